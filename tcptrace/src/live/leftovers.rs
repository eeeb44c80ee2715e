//! What a command leaves running, and its end.

use std::{
    collections::{HashMap, HashSet},
    os::fd::OwnedFd,
    process,
    time::{Duration, Instant},
};

use procfs::process::{Process, Stat, all_processes};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// How long processes have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);
/// How long they may take after that. What hangs in the kernel does not end at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon those that were begun meanwhile are looked for.
const NEXT_LOOK: Duration = Duration::from_millis(50);

/// The processes that descend from us, since a moment. Those whose parents end become our children,
/// for we are their subreaper, so no one gets away.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Children that we had before, perhaps from a shell that became us: they and what they begin
    /// are not meant.
    earlier: HashSet<u32>,
}

impl Leftovers {
    pub(super) fn from_now_on() -> Self {
        let ours = process::id();
        let stats = running();
        let children = stats.into_iter().filter(|(_, stat)| parent(stat) == ours);
        Self { earlier: children.map(|(pid, _)| pid).collect() }
    }

    /// Ends all that still run, and what they begin meanwhile, first by SIGTERM, then by SIGKILL; of
    /// our descendants only `those` (ascending), if it tells. `bury` takes leave of children that have
    /// ended.
    pub(super) fn end(&self, mut those: impl FnMut() -> Option<Vec<u32>>, mut bury: impl FnMut()) {
        let begun = Instant::now();
        let mut asked = HashSet::new();
        loop {
            bury();
            let rest = self.rest(&mut those);
            if rest.is_empty() {
                // The last may have ended between these lines.
                return bury();
            }
            let pids: Vec<String> = rest.iter().map(|(pid, _)| pid.to_string()).collect();
            let pids = pids.join(", ");
            if asked.is_empty() {
                log::warn!("the command left processes running, which are ended: {pids}");
            }
            if begun.elapsed() > GRACE + PATIENCE {
                log::warn!("some do not end, not even by SIGKILL: {pids}");
                return;
            }
            for (pid, pidfd) in &rest {
                // Either fails only if the process has ended by now.
                if begun.elapsed() >= GRACE {
                    _ = pidfd_send_signal(pidfd, Signal::KILL);
                } else if asked.insert(*pid) {
                    _ = pidfd_send_signal(pidfd, Signal::TERM);
                }
            }
            let mut polled: Vec<_> =
                rest.iter().map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN)).collect();
            let limit = Timespec::try_from(NEXT_LOOK).unwrap_or_default();
            // However it ends, another look follows.
            _ = poll(&mut polled, Some(&limit));
        }
    }

    /// Those that still run.
    fn rest(&self, mut those: impl FnMut() -> Option<Vec<u32>>) -> Vec<(u32, OwnedFd)> {
        let stats = running();
        // Asked after the look, so that it knows all that were seen.
        let those = those();
        let is_meant = |pid: &u32| {
            self.descends(*pid, &stats)
                && those.as_ref().is_none_or(|those| those.binary_search(pid).is_ok())
        };
        let pids = stats.keys().copied().filter(is_meant);
        let mut rest: Vec<_> =
            pids.filter_map(|pid| Some((pid, open(pid, stats[&pid].starttime)?))).collect();
        rest.sort_unstable_by_key(|(pid, _)| *pid);
        rest
    }

    /// Whether a process descends from us, and not by way of an earlier child.
    fn descends(&self, mut pid: u32, stats: &HashMap<u32, Stat>) -> bool {
        let ours = process::id();
        // However the processes changed while we looked, this comes to an end.
        for _ in 0..stats.len() {
            if self.earlier.contains(&pid) {
                return false;
            }
            match stats.get(&pid).map(parent) {
                Some(parent) if parent == ours => return true,
                Some(parent) => pid = parent,
                None => return false,
            }
        }
        false
    }
}

/// All processes that run.
fn running() -> HashMap<u32, Stat> {
    let processes = all_processes().into_iter().flatten().flatten();
    let stats = processes.filter_map(|process| process.stat().ok()).filter(is_running);
    stats.map(|stat| (stat.pid.unsigned_abs(), stat)).collect()
}

/// Whether it is no zombie; one may be the first thread of a process that goes on without it.
fn is_running(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X') || stat.num_threads > 1
}

fn parent(stat: &Stat) -> u32 {
    stat.ppid.unsigned_abs()
}

/// The process of this number, if it is still the one that began at that time.
fn open(pid: u32, starttime: u64) -> Option<OwnedFd> {
    let pid = i32::try_from(pid).ok()?;
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
    (stat.starttime == starttime).then_some(pidfd)
}
