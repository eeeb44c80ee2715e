//! A tracer that hardly gets a processor: what it tells late is told all the same, or counted.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cast::Actor,
    picture::Follower,
    recorder::{PROGRAM, Running},
    stage::Stage,
};

/// Two loads, and the tracer with what they leave of one processor.
const LOADS: u64 = 2;
const CONNECTIONS: u64 = 12_000;
/// Records of a connection, both ends together.
const RECORDS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn run() -> Result<()> {
    let stage = Stage::new()?;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0", "nice", "-n", "19", PROGRAM, "record"]);
    command.args(["--netns", &stage.here.path(), "-o", "-"]).stdin(Stdio::null());
    let mut recorder = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let mut known = Follower::new(recorder.0.stdout.take().context("stdout is a pipe")?);
    known.until_it_agrees(&stage.here, PATIENCE).context("before any load")?;
    let loads = (0..LOADS).map(|number| {
        let load = Actor::spawn(&format!("load{number}"), &stage.here)?;
        let pid = load.pid().to_string();
        let pinned = Command::new("taskset").args(["--cpu-list", "-p", "0", &pid]).output()?;
        ensure!(pinned.status.success(), "taskset: {pinned:?}");
        Ok(load)
    });
    let loads = loads.collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let begin = |(number, load): (usize, _)| {
            // Each has addresses of its own, and goes before the tracer by 9 steps of niceness.
            let command = format!("churn {CONNECTIONS} 4 client {number}");
            scope.spawn(move || Actor::tell(load, &command, PATIENCE)?.done().map(drop))
        };
        let begun: Vec<_> = loads.iter().enumerate().map(begin).collect();
        begun.into_iter().try_for_each(|load| load.join().ok().context("a load died")?)
    })?;
    known.until_it_agrees(&stage.here, PATIENCE).context("when it had time again")?;
    let (told, lost, all) = (known.transitions, known.lost, LOADS * CONNECTIONS * RECORDS);
    ensure!(told + lost >= all, "{told} were told and {lost} lost, of {all} at least");
    Ok(())
}
