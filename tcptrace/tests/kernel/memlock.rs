//! Little memory that may be locked: kernels before 5.11 count that of the programs, later ones do not.

use std::{fs, os::unix::process::CommandExt as _};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::{
    process::{Resource, Rlimit, Signal, setrlimit},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};

use crate::{mode, surroundings::Run, verdict};

const NAME: &str = "memlock: a low limit is told where it counts";
/// What systemd gave before version 240, and Docker does.
const LOW: u64 = 64 << 10;

pub(crate) fn trial() -> Trial {
    verdict::noted(NAME, Vec::new(), run)
}

fn run() -> Result<()> {
    let mut watch = mode::tcptrace()?;
    let restrict = || {
        let limit = Some(LOW);
        setrlimit(Resource::Memlock, Rlimit { current: limit, maximum: limit })?;
        // Else root would raise it.
        remove_capability_from_bounding_set(CapabilitySet::SYS_RESOURCE)?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, nothing is allocated.
    unsafe { watch.arg("watch").pre_exec(restrict) };
    let mut run = Run::start(&mut watch)?;
    if is_counted()? {
        let line = run.line(|_| true)?;
        let expected = "tcptrace: cannot trace: RLIMIT_MEMLOCK: 64 KiB, and this kernel counts ";
        ensure!(line.starts_with(expected) && line.ends_with("`ulimit -l unlimited`"), "{line}");
        ensure!(run.status()? == Some(3));
    } else {
        run.line(|line| line.starts_with("PID"))?;
        run.stop(Signal::INT)?;
    }
    Ok(())
}

fn is_counted() -> Result<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let mut next = || numbers.next().context("a number")?.context("a version");
    Ok((next()?, next()?) < (5, 11))
}
