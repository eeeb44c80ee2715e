//! Who holds which socket: `iter/task_file`, else /proc.

use std::{
    collections::HashMap,
    fs::{self, File},
};

use anyhow::{Context as _, Result};
use procfs::process::{FDTarget, all_processes};

use super::{decode, iterators};
use crate::event::{Comm, Holder, Process, Socket};

/// What processes hold.
#[derive(Debug, Default)]
pub struct Holders {
    /// Every descriptor that is a TCP socket (from /proc: any socket), of every process.
    pub descriptors: Vec<Holder>,
    /// The sockets among them whose connection is over, which no dump shows. Not from /proc.
    pub over: Vec<Socket>,
}

/// Every descriptor of every process that is a TCP socket, by the iterator.
pub(super) fn by_iterator(walk: File, jiffy_ns: u64) -> Result<Holders> {
    let mut found = Holders::default();
    iterators::read(walk, |bytes| {
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
            let comm = *names.entry(process.pid()).or_insert_with(|| name(process.pid()));
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

/// The name of a process, which may be any bytes, line feeds too; empty if the process is gone.
fn name(pid: i32) -> Comm {
    let line = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    Comm::from(line.strip_suffix(b"\n").unwrap_or(&line))
}
