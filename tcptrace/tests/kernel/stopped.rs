//! A tracer that stands still under load: what finds no room is counted, and what comes later is all
//! told, each line in its turn.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{cast::Actor, line::Line, namespace::Namespace, recorder::PROGRAM, surroundings::Run};

/// Ten transitions each, more than there is room for.
const TOO_MANY: usize = 60_000;
const SOME: usize = 500;
const SERVERS: u8 = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// Refused connections to these ports tell what came before from what came after.
const BEFORE: u16 = 9001;
const AGAIN: u16 = 9002;
const AFTER: u16 = 9003;

pub(crate) fn run() -> Result<()> {
    let netns = Namespace::unwatched()?;
    let mut watch = Command::new(PROGRAM);
    let mut run = Run::start(watch.args(["watch", "--json", "--netns", &netns.path()]))?;
    let fence = |run: &mut Run, port| {
        run.line_while(|line| is_fence(line, port), || drop(netns.refuse(port)))
    };
    fence(&mut run, BEFORE)?;
    let tracer = Pid::from_raw(run.pid().cast_signed()).context("a tracer has a pid")?;
    kill_process(tracer, Signal::STOP)?;
    let churn = |count| -> Result<()> {
        let actor = Actor::spawn("churn", &netns)?;
        actor.tell(&format!("churn {count} {SERVERS} client"), PATIENCE)?.done().map(drop)
    };
    churn(TOO_MANY)?;
    kill_process(tracer, Signal::CONT)?;
    // A line of this says that there is room again.
    fence(&mut run, AGAIN)?;
    churn(SOME)?;
    netns.refuse(AFTER)?;
    let mut told = 0;
    loop {
        let line = run.line(|line| line.contains("\"type\":\"transition\""))?;
        if is_fence(&line, AFTER) {
            break;
        }
        let line = Line::parse(&line)?;
        told += usize::from(is_of_churn(&line));
    }
    ensure!(told == SOME * 10, "{told} transitions of {SOME} connections were told");
    let rest = run.stop(Signal::INT)?;
    let says_so = rest.iter().any(|line| line.contains("lost because the ring buffer was full"));
    ensure!(says_so, "nothing was lost, or nothing was said of it: {rest:?}");
    Ok(())
}

fn is_fence(line: &str, port: u16) -> bool {
    line.contains(&format!("\"rport\":{port},"))
}

/// Neither of a listener nor of the end of a minisock, which may come from the load before.
fn is_of_churn(line: &Line) -> bool {
    let is_listener = line.to == "LISTEN" || line.from == "LISTEN" && line.to == "CLOSE";
    !is_listener && line.from != "TIME_WAIT" && line.remote.1 != Some(AGAIN)
}
