//! Who holds which socket: `iter/task_file`, else /proc.

use std::{
    collections::HashMap,
    fs::File,
    io::{ErrorKind, Read as _},
};

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::Iter};
use procfs::process::{FDTarget, all_processes};
use tcptrace_common::symbols;

use super::decode;
use crate::event::{Comm, Holder, Process, Socket};

/// Bytes read at once: as many as the kernel gathers (`bpf_seq_read`, 5.10 to 7.2), and one record more.
const PIECE: usize = 33 << 10;

/// Opens an iterator program for one walk, in the network namespace of the calling thread.
pub(super) fn open_iterator(ebpf: &mut Ebpf, name: &str) -> Result<File> {
    let program: &mut Iter = ebpf
        .program_mut(name)
        .with_context(|| format!("the kernel object has no program {name}"))?
        .try_into()?;
    let id = program.attach()?;
    Ok(program.take_link(id)?.into_file()?)
}

/// Hands what an iterator writes to `take`, piece by piece, which takes off the records that are whole;
/// the rest comes again with the next piece.
pub(super) fn read_iterator(mut iterator: File, mut take: impl FnMut(&mut &[u8])) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    loop {
        let read = match iterator.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("the iterator ended early"),
        };
        filled += read;
        let mut rest = &buffer[..filled];
        take(&mut rest);
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

/// What processes hold.
#[derive(Debug, Default)]
pub struct Holders {
    /// Every descriptor that is a TCP socket (from /proc: any socket), of every process.
    pub descriptors: Vec<Holder>,
    /// The sockets among them whose connection is over, which no dump shows. Not from /proc.
    pub over: Vec<Socket>,
}

/// Every descriptor of every process that is a TCP socket, by the iterator.
pub(super) fn by_iterator(ebpf: &mut Ebpf, jiffy_ns: u64) -> Result<Holders> {
    let mut found = Holders::default();
    read_iterator(open_iterator(ebpf, symbols::ITER_TASK_FILE)?, |bytes| {
        let mut rest = *bytes;
        while let Some((descriptor, over)) = decode::next_holder(&mut rest, jiffy_ns) {
            found.descriptors.extend(descriptor);
            found.over.extend(over);
            *bytes = rest;
        }
    })?;
    // One for each descriptor, but they are shared.
    found.over.sort_unstable_by_key(|socket| (socket.skaddr, socket.at));
    found.over.dedup_by_key(|socket| socket.skaddr);
    Ok(found)
}

/// Every descriptor of every process that is a socket, from /proc. Processes that end meanwhile or
/// that we may not look into are passed over.
pub(super) fn from_proc() -> Result<Holders> {
    let mut holders = Vec::new();
    let mut names: HashMap<i32, Comm> = HashMap::new();
    for process in all_processes().context("cannot read /proc")?.flatten() {
        for descriptor in process.fd().into_iter().flatten().flatten() {
            let FDTarget::Socket(inode) = descriptor.target else {
                continue;
            };
            let comm = *names.entry(process.pid()).or_insert_with(|| {
                process.stat().map(|stat| Comm::from(stat.comm.as_str())).unwrap_or_default()
            });
            let (Ok(pid), Ok(inode)) = (u32::try_from(process.pid()), u32::try_from(inode)) else {
                continue;
            };
            holders.push(Holder {
                skaddr: None,
                cookie: None,
                inode,
                process: Process { pid, comm },
                fd: descriptor.fd.unsigned_abs(),
            });
        }
    }
    Ok(Holders { descriptors: holders, over: Vec::new() })
}
