//! What a process has cost: CPU time and memory.

use std::{
    io,
    mem::MaybeUninit,
    ops::Sub,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};
use procfs::process::Process;
use rustix::{
    process::Pid,
    time::{ClockId, clock_gettime},
};

/// CPU time in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    /// Of a living process, to a hundredth of a second.
    pub(crate) fn so_far(pid: Pid) -> Result<Self> {
        let stat = Process::new(pid.as_raw_nonzero().get()).and_then(|process| process.stat());
        let stat = stat.context("cannot read what a process cost")?;
        let second = procfs::ticks_per_second() as f64;
        Ok(Self { user: stat.utime as f64 / second, system: stat.stime as f64 / second })
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// All that a process cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) status: ExitStatus,
    pub(crate) cpu: Cpu,
    /// The most memory that it had at any time, in bytes.
    pub(crate) peak_bytes: f64,
}

/// Anonymous memory of a living process, in bytes: what it has allocated, without programs that it maps and
/// without ring buffers.
pub(crate) fn anonymous_bytes(pid: Pid) -> Result<f64> {
    let status = Process::new(pid.as_raw_nonzero().get()).and_then(|process| process.status());
    let kilobytes = status.context("cannot read the memory of a process")?.rssanon;
    Ok(kilobytes.context("this kernel does not tell anonymous memory (RssAnon)")? as f64 * 1024.0)
}

/// CPU time of this thread in nanoseconds.
pub(crate) fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Runs a command to its end; returns how many seconds that took, and what it cost.
pub(crate) fn run(command: &mut Command) -> Result<(f64, Cost)> {
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).spawn();
    let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let cost = wait(Pid::from_child(&child))?;
    Ok((started.elapsed().as_secs_f64(), cost))
}

/// Waits for the end of a child of this process.
pub(crate) fn wait(pid: Pid) -> Result<Cost> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to values of the types that the kernel writes.
    let waited =
        unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, usage.as_mut_ptr()) };
    if waited < 0 {
        return Err(io::Error::last_os_error()).context("cannot wait for a process");
    }
    // SAFETY: all zeros is a valid value, and the kernel has written one.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Cost {
        status: ExitStatus::from_raw(status),
        cpu: Cpu { user: seconds(usage.ru_utime), system: seconds(usage.ru_stime) },
        peak_bytes: usage.ru_maxrss as f64 * 1024.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "the function under test waits for it")]
    fn a_process_that_works_costs_time_and_memory() {
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3";
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let cost = wait(Pid::from_child(&child)).unwrap();
        assert_eq!(cost.status.code(), Some(3));
        assert!(cost.cpu.total() > 0.0, "{cost:?}");
        assert!(cost.peak_bytes > 100_000.0, "{cost:?}");
    }
}
