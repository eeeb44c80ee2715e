//! Readers of foreign bytes that are no part of the library's surface, for the targets in `fuzz/`. Only
//! cargo-fuzz builds this.

use anyhow::{Context as _, Result};

use super::{btf::Btf, layout, netlink, processes, queues::Queues, tracepoint_format};
use crate::{event::Socket, time::Timestamp};

/// [`layout::resolve`]: where each field is.
///
/// # Errors
/// If one is missing that is needed.
pub fn offsets(btf: &Btf) -> Result<Vec<u16>> {
    let layout = layout::resolve(btf)?;
    Ok(bytemuck::cast_slice(&[layout]).to_vec())
}

/// [`tracepoint_format::compare`]: whether a `format` file is as the classic program needs it.
///
/// # Errors
/// What is different.
pub fn tracepoint_format(text: &str) -> Result<()> {
    tracepoint_format::compare(text)
}

/// [`processes::path_in`]: the path in a `/proc/PID/cgroup`.
#[must_use]
pub fn cgroup_path(text: &str) -> Option<&str> {
    processes::path_in(text)
}

/// [`netlink::walk`]: the sockets in a datagram of a dump, and whether it is the last.
///
/// # Errors
/// If it is none.
pub fn dumped(bytes: &[u8], at: Timestamp) -> Result<(Vec<Socket>, bool)> {
    let mut found = Vec::new();
    let is_last = netlink::walk(bytes, 1, at, &mut found)?;
    Ok((found, is_last))
}

/// Queues in memory of our own.
pub struct QueuesOf(Queues);

impl QueuesOf {
    /// Two queues, with these bytes at their beginnings and zeros behind them.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(one: &[u8], other: &[u8]) -> Result<Self> {
        Ok(Self(Queues::holding(&[one, other]).context("no memory")?))
    }

    /// Takes at most `most` records that were written before `until`.
    pub fn take(&mut self, until: u64, most: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        self.0.look(until);
        while taken.len() < most && self.0.next_time().is_some() {
            self.0.take(None, |record| {
                taken.push(record.to_vec());
                taken.len() < most
            });
        }
        self.0.release();
        taken
    }
}
