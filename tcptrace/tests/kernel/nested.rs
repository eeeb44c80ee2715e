//! What the kernel hides from a program because an interrupt found it running.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Signal,
    thread::CapabilitySet,
};

use crate::{
    cast::Actor,
    hooks,
    mode::{self, Mode},
    namespace::Namespace,
    privileges::{LOOKING, must_keep},
    surroundings::Run,
    sys, verdict,
};

pub(crate) const NAME: &str = "nested: what an interrupt hides is told";
const CONNECTIONS: usize = 20_000;
/// On other kernels, where the processor is emulated.
const FEWER: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// So many events must have been hidden before the share of those told all the same means something.
const ENOUGH: u64 = 60;
const ENOUGH_OF_FEWER: u64 = 20;
const ROUNDS: usize = 20;

/// The test on another kernel. The classic tracepoint has no second program.
pub(crate) fn trial_of_mode(mode: Mode) -> Option<Trial> {
    if mode == Mode::Classic {
        return None;
    }
    // Before 5.12 programs are not kept from running.
    Some(match hooks::kernel_names("recursion_misses") {
        Ok(false) => verdict::absent(NAME, "programs that interrupts hide"),
        _ => verdict::noted(NAME, Vec::new(), || {
            let run = start()?;
            hide(run.pid(), FEWER, ENOUGH_OF_FEWER)?;
            most_is_told(run)
        }),
    })
}

/// Most of it is told by the second program, and the rest is counted. That program goes while nothing is
/// hidden, and comes back although the privileges that it was loaded with are gone.
pub(crate) fn run() -> Result<()> {
    let run = start()?;
    let pid = run.pid();
    must_keep(pid, LOOKING | CapabilitySet::SYS_ADMIN, 2)?;
    let attached = links(pid)?;
    let mut rounds = 0;
    while links(pid)? >= attached {
        rounds += 1;
        ensure!(rounds <= ROUNDS, "{attached} programs are still attached after {ROUNDS} rounds");
        churn(&Namespace::unwatched()?, CONNECTIONS)?;
    }
    hide(pid, CONNECTIONS, ENOUGH)?;
    ensure!(links(pid)? == attached, "the second program did not come back");
    most_is_told(run)
}

fn start() -> Result<Run> {
    Run::start(mode::tcptrace()?.args(["record", "-o", "/dev/null"]))
}

/// Makes connections until so many of their events have been hidden.
fn hide(pid: u32, connections: usize, enough: u64) -> Result<()> {
    let mut rounds = 0;
    while hidden(pid)? < enough {
        rounds += 1;
        ensure!(rounds <= ROUNDS, "only {} events were hidden in {ROUNDS} rounds", hidden(pid)?);
        let interrupted = move || {
            let netns = Namespace::unwatched()?;
            spread_segments(&netns)?;
            churn(&netns, connections)
        };
        let busy: Vec<_> = (0..2).map(|_| thread::spawn(interrupted)).collect();
        for churn in busy {
            churn.join().ok().context("the churn panicked")??;
        }
    }
    Ok(())
}

fn most_is_told(mut run: Run) -> Result<()> {
    let hidden = hidden(run.pid())?;
    let rest = run.stop(Signal::INT)?;
    let lost = rest.iter().find_map(|line| line.split_once(" lost to recursion"));
    let lost: u64 = match lost {
        None => 0,
        Some((before, _)) => before.rsplit(' ').next().unwrap_or_default().parse()?,
    };
    ensure!(lost * 2 < hidden, "of {hidden} hidden events {lost} were lost: {rest:?}");
    Ok(())
}

fn churn(netns: &Namespace, connections: usize) -> Result<()> {
    let actor = Actor::spawn("churn", netns)?;
    actor.tell(&format!("churn {connections} 4 client"), PATIENCE)?.done()?;
    Ok(())
}

/// Has segments go to any processor, which they interrupt wherever it is.
fn spread_segments(netns: &Namespace) -> Result<()> {
    let processors = thread::available_parallelism()?.get().min(32);
    let mask = format!("{:x}", (1_u64 << processors) - 1);
    netns.enter("spread", move || {
        // The files of a namespace's links are in a sysfs that is mounted there, for this thread alone.
        sys::unshare_mounts()?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).context("cannot mount /sys")?;
        Ok(fs::write("/sys/class/net/lo/queues/rx-0/rps_cpus", mask)?)
    })
}

/// How many programs are attached.
fn links(pid: u32) -> Result<usize> {
    let mut count = 0;
    for file in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(file?.path()).unwrap_or_default();
        count += usize::from(text.contains("link_type:"));
    }
    Ok(count)
}

/// How often the kernel did not run the program that most was hidden from.
fn hidden(pid: u32) -> Result<u64> {
    let mut most = 0;
    for file in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(file?.path()).unwrap_or_default();
        let misses = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
        most = most.max(misses.map_or(Ok(0), |misses| misses.trim().parse())?);
    }
    Ok(most)
}
