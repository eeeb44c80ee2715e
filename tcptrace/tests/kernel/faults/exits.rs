//! A process that is gone when its connection's owner is looked for: nobody else is named for it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, kill_process};

use crate::{line::Line, recorder::PROGRAM, script, stage::Stage, surroundings::Run, sys};

/// Connections of whoever comes after it, some of whose sockets lie where its sockets lay.
const OF_OTHERS: usize = 40;
const BEFORE: u16 = 9001;
const AFTER: u16 = 9002;

/// The first accepts a connection, which the client resets, and dies. Nothing of that happens under
/// the lock of the accepted socket, so no event names its process.
const GOES: &str = "
    gone listen L :80
    cli connect A :80
    gone accept B L
    cli shutdown A
    gone eof B
    cli linger A
    cli close A
    gone until B CLOSE
    kill gone";
/// The second is still there, and looked for.
const STAYS: &str = "
    stays listen M :81
    cli connect C :81
    stays accept D M
    cli shutdown C
    stays eof D";

pub(super) fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut watch = Command::new(PROGRAM);
    let mut run = Run::start(watch.args(["watch", "--json", "--netns", &stage.here.path()]))?;
    run.line_while(|line| is_refused(line, BEFORE), || drop(stage.here.refuse(BEFORE)))?;
    let tracer = sys::pid_of(run.pid())?;
    kill_process(tracer, Signal::STOP)?;
    let mut others = "thief listen N :82".to_owned();
    for number in 0..OF_OTHERS {
        others += &format!("\nthief connect E{number} :82\nthief accept F{number} N");
    }
    for step in script::parse(&format!("{GOES}{STAYS}\n{others}"))? {
        stage.play(&step)?;
    }
    kill_process(tracer, Signal::CONT)?;
    let lines = until_refused(&mut run, &stage, AFTER)?;
    let pid = |name: &str| stage.record.people.get(name).map(|person| person.pid);
    let of_server = |port: u16| {
        let is_it = move |line: &&Line| line.local.1 == Some(port) && line.remote.1.is_some();
        lines.iter().filter(is_it)
    };
    // The look found whoever was still there, so whoever was not was looked for as well.
    let found = of_server(81).find(|line| line.owner.as_deref() == Some("fd"));
    let found = found.with_context(|| format!("nobody was looked for: {lines:?}"))?;
    ensure!(found.pid == pid("stays"), "{found}");
    ensure!(of_server(80).any(|line| line.to == "CLOSE"), "its end was not told: {lines:?}");
    for line in of_server(80) {
        let is_it = line.pid == pid("gone") && line.comm.as_deref() == Some("gone");
        ensure!(is_it || (line.pid, &line.comm) == (None, &None), "somebody else: {line}");
    }
    run.stop(Signal::INT)?;
    Ok(())
}

/// What is told before a connection to this port, which is refused.
fn until_refused(run: &mut Run, stage: &Stage, port: u16) -> Result<Vec<Line>> {
    stage.here.refuse(port)?;
    let mut lines = Vec::new();
    loop {
        let line = run.line(|line| line.starts_with("{\"type\":\"transition\""))?;
        if is_refused(&line, port) {
            return Ok(lines);
        }
        lines.push(Line::parse(&line)?);
    }
}

fn is_refused(line: &str, port: u16) -> bool {
    line.contains(&format!("\"rport\":{port},"))
}
