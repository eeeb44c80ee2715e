//! What the kernel hides from a program because an interrupt found it running.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    cast::Actor,
    namespace::{Namespace, words},
    surroundings::Run,
};

const CONNECTIONS: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// So many events must have been hidden before the share of those told all the same means something.
const ENOUGH: u64 = 60;
const ROUNDS: usize = 20;

/// Most of it is told by the second program, and the rest is counted.
pub(crate) fn run() -> Result<()> {
    let mut record = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    let mut run = Run::start(record.args(["record", "-o", "/dev/null"]))?;
    let pid = run.pid();
    let mut rounds = 0;
    while hidden(pid)? < ENOUGH {
        rounds += 1;
        ensure!(rounds <= ROUNDS, "only {} events were hidden in {ROUNDS} rounds", hidden(pid)?);
        let busy: Vec<_> = (0..2).map(|_| thread::spawn(churn)).collect();
        for churn in busy {
            churn.join().ok().context("the churn panicked")??;
        }
    }
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

fn churn() -> Result<()> {
    let netns = Namespace::unwatched()?;
    // Segments go to any processor, which they interrupt wherever it is.
    let processors = thread::available_parallelism()?.get().min(32);
    let mut spread = words("unshare --mount sh -c");
    spread.push(format!(
        "mount -t sysfs sysfs /sys && echo {:x} > /sys/class/net/lo/queues/rx-0/rps_cpus",
        (1_u64 << processors) - 1
    ));
    netns.run(&spread)?;
    let actor = Actor::spawn("churn", &netns)?;
    actor.tell(&format!("churn {CONNECTIONS} 4 client"), PATIENCE)?.done()?;
    Ok(())
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
