//! What the kernel hides from a program because an interrupt found it running.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::{process::Signal, thread::CapabilitySet};

use crate::{
    cast::Actor,
    namespace::{Namespace, words},
    privileges::{LOOKING, must_keep},
    surroundings::Run,
};

const CONNECTIONS: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// So many events must have been hidden before the share of those told all the same means something.
const ENOUGH: u64 = 60;
const ROUNDS: usize = 20;

/// Most of it is told by the second program, and the rest is counted. That program goes while nothing is
/// hidden, and comes back although the privileges that it was loaded with are gone.
pub(crate) fn run() -> Result<()> {
    let mut record = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    let mut run = Run::start(record.args(["record", "-o", "/dev/null"]))?;
    let pid = run.pid();
    must_keep(pid, LOOKING | CapabilitySet::SYS_ADMIN, 2)?;
    let attached = links(pid)?;
    let mut rounds = 0;
    while links(pid)? >= attached {
        rounds += 1;
        ensure!(rounds <= ROUNDS, "{attached} programs are still attached after {ROUNDS} rounds");
        churn(false)?;
    }
    rounds = 0;
    while hidden(pid)? < ENOUGH {
        rounds += 1;
        ensure!(rounds <= ROUNDS, "only {} events were hidden in {ROUNDS} rounds", hidden(pid)?);
        let busy: Vec<_> = (0..2).map(|_| thread::spawn(|| churn(true))).collect();
        for churn in busy {
            churn.join().ok().context("the churn panicked")??;
        }
    }
    ensure!(links(pid)? == attached, "the second program did not come back");
    let hidden = hidden(pid)?;
    let rest = run.stop(Signal::INT)?;
    let lost = rest.iter().find_map(|line| line.split_once(" lost to recursion"));
    let lost: u64 = match lost {
        None => 0,
        Some((before, _)) => before.rsplit(' ').next().unwrap_or_default().parse()?,
    };
    ensure!(lost * 2 < hidden, "of {hidden} hidden events {lost} were lost: {rest:?}");
    Ok(())
}

/// Many connections, of which segments `interrupt` any processor or stay on theirs.
fn churn(interrupt: bool) -> Result<()> {
    let netns = Namespace::unwatched()?;
    if interrupt {
        spread_segments(&netns)?;
    }
    let actor = Actor::spawn("churn", &netns)?;
    actor.tell(&format!("churn {CONNECTIONS} 4 client"), PATIENCE)?.done()?;
    Ok(())
}

fn spread_segments(netns: &Namespace) -> Result<()> {
    // Segments go to any processor, which they interrupt wherever it is.
    let processors = thread::available_parallelism()?.get().min(32);
    let mut spread = words("unshare --mount sh -c");
    spread.push(format!(
        "mount -t sysfs sysfs /sys && echo {:x} > /sys/class/net/lo/queues/rx-0/rps_cpus",
        (1_u64 << processors) - 1
    ));
    netns.run(&spread).map(drop)
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
