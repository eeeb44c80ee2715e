//! The kernel programs that a process has, and what they have cost.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use rustix::process::Pid;

/// From `enum bpf_map_type`.
const BPF_MAP_TYPE_RINGBUF: u64 = 27;

/// What a program has cost since the kernel counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Nanoseconds in it.
    pub(crate) run_ns: u64,
    /// How often it ran.
    pub(crate) runs: u64,
}

impl Cost {
    /// Nanoseconds of one run.
    pub(crate) fn ns_each(self) -> f64 {
        self.run_ns as f64 / self.runs as f64
    }
}

/// What the programs of this process cost during `action`, by the names that they have in the kernel.
pub(crate) fn costs_of<T>(
    pid: Pid,
    action: impl FnOnce() -> Result<T>,
) -> Result<(T, BTreeMap<String, Cost>)> {
    // They are counted for as long as this is kept.
    let _counted = enable_stats(Stats::RunTime).context("the kernel does not count programs")?;
    let before = costs(pid)?;
    let done = action()?;
    let spent = costs(pid)?.into_iter().map(|(name, cost)| {
        let before = before.get(&name).copied().unwrap_or_default();
        (name, Cost { run_ns: cost.run_ns - before.run_ns, runs: cost.runs - before.runs })
    });
    Ok((done, spent.collect()))
}

/// What the programs that this process holds have cost, by the names that they have in the kernel.
/// Nothing is counted while nobody has asked the kernel to (`aya::sys::enable_stats`).
fn costs(pid: Pid) -> Result<BTreeMap<String, Cost>> {
    let mut costs = BTreeMap::new();
    let by_id: BTreeMap<u32, Cost> =
        descriptors(pid)?.iter().filter_map(|(_, text)| cost(text)).collect();
    for program in loaded_programs() {
        // Those of other processes may go while they are looked at.
        let Ok(program) = program else { continue };
        if let (Some(cost), Some(name)) = (by_id.get(&program.id()), program.name_as_str()) {
            costs.insert(name.to_owned(), *cost);
        }
    }
    Ok(costs)
}

/// Whether this process holds a kernel program by now.
pub(crate) fn has_programs(pid: Pid) -> bool {
    // The process may have gone.
    descriptors(pid).is_ok_and(|texts| texts.iter().any(|(_, text)| cost(text).is_some()))
}

/// Whether this process waits for a ring buffer by now, which it does as soon as all is attached.
pub(crate) fn waits_for_a_ring_buffer(pid: Pid) -> bool {
    // The process may have gone.
    descriptors(pid).is_ok_and(|texts| is_ring_buffer_awaited(&texts))
}

fn is_ring_buffer_awaited(descriptors: &[(u32, String)]) -> bool {
    let is_ring_buffer = |number: u32| {
        let mut found = descriptors.iter().filter(|(other, _)| *other == number);
        found.any(|(_, text)| field(text, "map_type") == Some(BPF_MAP_TYPE_RINGBUF))
    };
    descriptors.iter().flat_map(|(_, text)| text.lines()).any(|line| {
        let awaited = line.strip_prefix("tfd:").and_then(|rest| rest.split_whitespace().next());
        awaited.and_then(|number| number.parse().ok()).is_some_and(is_ring_buffer)
    })
}

/// What the kernel tells of each descriptor.
fn descriptors(pid: Pid) -> Result<Vec<(u32, String)>> {
    let folder = format!("/proc/{}/fdinfo", pid.as_raw_nonzero());
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    let descriptors = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // It may be closed meanwhile.
        Some((number, fs::read_to_string(entry.path()).ok()?))
    });
    Ok(descriptors.collect())
}

/// The number of a program and its cost; `None` of another descriptor.
fn cost(text: &str) -> Option<(u32, Cost)> {
    let number = u32::try_from(field(text, "prog_id")?).ok()?;
    let cost = Cost { run_ns: field(text, "run_time_ns")?, runs: field(text, "run_cnt")? };
    Some((number, cost))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values.filter(|(key, _)| *key == name).find_map(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str =
        "pos:\t0\nprog_type:\t26\nprog_id:\t812\nrun_time_ns:\t9000\nrun_cnt:\t75\n";
    const LINK: &str = "pos:\t0\nlink_type:\ttracing\nlink_id:\t7\nprog_id:\t812\n";

    #[test]
    fn programs_are_told_from_links() {
        assert_eq!(cost(PROGRAM), Some((812, Cost { run_ns: 9000, runs: 75 })));
        assert_eq!(cost(LINK), None);
    }

    #[test]
    fn a_ring_buffer_that_is_only_there_is_not_awaited() {
        let ring = (9, "map_type:\t27\nmap_id:\t40\n".to_owned());
        let array = (10, "map_type:\t6\n".to_owned());
        let epoll = |number| (4, format!("tfd:        {number} events:  8000001d data: 1\n"));
        assert!(is_ring_buffer_awaited(&[ring.clone(), epoll(9)]));
        assert!(!is_ring_buffer_awaited(&[ring, array, epoll(10)]));
    }
}
