//! A process that is gone when its connection's owner is looked for: nobody else is named for it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::{Signal, kill_process};

use crate::{line::Line, recorder::PROGRAM, script, stage::Stage, surroundings::Run, sys};

/// Connections of whoever comes after it, some of whose sockets lie where its sockets lay.
const OF_OTHERS: usize = 40;
/// Ports of connections that are refused, and so tell that all before them has been told.
const BEGIN: u16 = 9001;
const END: u16 = 9002;
const PATIENCE: Duration = Duration::from_secs(30);

/// Who accepts a connection, which the client resets, and dies. Nothing of that happens under the lock
/// of the accepted socket, so no event names its process.
const GOES: &str = "
    GONE listen L :80
    cli connect A :80
    GONE accept B L
    cli shutdown A
    GONE eof B
    cli linger A
    cli close A
    GONE until B CLOSE
    kill GONE";
/// Another is still there, and looked for.
const STAYS: &str = "
    STAYS listen M :81
    cli connect C :81
    STAYS accept D M
    cli shutdown C
    STAYS eof D";

pub(super) fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut watch = Command::new(PROGRAM);
    let mut run = Run::start(watch.args(["watch", "--json", "--netns", &stage.here.path()]))?;
    run.line_while(|line| is_refused(line, BEGIN), || drop(stage.here.refuse(BEGIN)))?;
    let deadline = Instant::now() + PATIENCE;
    // The tracer looks for owners as often as that takes little of its time, so seldom after its start.
    for number in 0.. {
        if is_looked_for(&mut run, &mut stage, number)? {
            break;
        }
        ensure!(Instant::now() < deadline, "nobody was looked for");
    }
    run.stop(Signal::INT)?;
    Ok(())
}

/// Plays the exit while the tracer stands still, so that it looks when all is over. Returns whether it
/// looked.
fn is_looked_for(run: &mut Run, stage: &mut Stage, number: u16) -> Result<bool> {
    let (first, second, third) = (100 + number, 200 + number, 300 + number);
    let (gone, stays) = (format!("gone{number}"), format!("stays{number}"));
    let mut script = format!("{GOES}{STAYS}\nthief{number} listen N :{third}")
        .replace("cli ", &format!("cli{number} "))
        .replace("GONE", &gone)
        .replace("STAYS", &stays)
        .replace(":80", &format!(":{first}"))
        .replace(":81", &format!(":{second}"));
    for other in 0..OF_OTHERS {
        script +=
            &format!("\nthief{number} connect E{other} :{third}\nthief{number} accept F{other} N");
    }
    let tracer = sys::pid_of(run.pid())?;
    kill_process(tracer, Signal::STOP)?;
    let played = script::parse(&script)?.iter().try_for_each(|step| stage.play(step));
    kill_process(tracer, Signal::CONT)?;
    played?;
    let lines = until_refused(run, stage, END + number)?;
    let pid = |name: &str| stage.record.people.get(name).map(|person| person.pid);
    let of_server = |port: u16| {
        let is_it = move |line: &&Line| line.local.1 == Some(port) && line.remote.1.is_some();
        lines.iter().filter(is_it)
    };
    ensure!(of_server(first).any(|line| line.to == "CLOSE"), "its end was not told");
    for line in of_server(first) {
        let is_it = line.pid == pid(&gone) && line.comm.as_ref() == Some(&gone);
        ensure!(is_it || (line.pid, &line.comm) == (None, &None), "somebody else: {line}");
    }
    // A look that found whoever was still there looked for whoever was not, too.
    let Some(found) = of_server(second).find(|line| line.owner.as_deref() == Some("fd")) else {
        return Ok(false);
    };
    ensure!(found.pid == pid(&stays), "{found}");
    Ok(true)
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
