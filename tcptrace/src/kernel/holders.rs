//! Who holds which socket: `iter/task_file`, else /proc.

use std::{collections::HashMap, fs::File, io::Read as _};

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::Iter};
use procfs::process::{FDTarget, all_processes};
use tcptrace_common::{record::OwnerRecord, symbols};

use super::decode;
use crate::event::{Comm, Holder, Process};

/// Opens an iterator program for one walk, in the network namespace of the calling thread.
pub(super) fn open_iterator(ebpf: &mut Ebpf, name: &str) -> Result<File> {
    let program: &mut Iter = ebpf
        .program_mut(name)
        .with_context(|| format!("the kernel object has no program {name}"))?
        .try_into()?;
    let id = program.attach()?;
    Ok(program.take_link(id)?.into_file()?)
}

/// Every descriptor of every process that is a TCP socket, by the iterator.
pub(super) fn by_iterator(ebpf: &mut Ebpf) -> Result<Vec<Holder>> {
    let mut bytes = Vec::new();
    open_iterator(ebpf, symbols::ITER_TASK_FILE)?
        .read_to_end(&mut bytes)
        .context("iter/task_file ended early")?;
    Ok(bytes.chunks_exact(size_of::<OwnerRecord>()).filter_map(decode::holder).collect())
}

/// Every descriptor of every process that is a socket, from /proc. Processes that end meanwhile or
/// that we may not look into are passed over.
pub(super) fn from_proc() -> Result<Vec<Holder>> {
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
    Ok(holders)
}
