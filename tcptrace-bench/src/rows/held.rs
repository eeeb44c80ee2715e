//! Connections that last: how much memory they take, and how long looking at them does.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::people;
use crate::{
    hold::Held,
    options::Bench,
    process_cost::{self, anonymous_bytes},
    sheet::{Measure, Sheet},
    tracer::Tracer,
};

const MEMORY: Measure = Measure { name: "memory", unit: "MiB", budget: None };
const EACH: Measure = Measure { name: "memory each", unit: "B", budget: None };
const FIRST_LINE: Measure = Measure { name: "first line", unit: "ms", budget: None };
const LOOK: Measure = Measure { name: "look", unit: "ms", budget: None };
const LOOK_CPU: Measure = Measure { name: "look, CPU", unit: "ms", budget: None };

/// The tracers whose memory is looked at; both begin with a line of heads, as soon as they know what there is.
const TRACERS: [&[&str]; 2] = [&["watch"], &["stuck", "--format", "csv"]];
/// Commands that look once.
const LOOKS: [&[&str]; 2] = [&["list"], &["stuck", "--once"]];
const SS: [&[&str]; 2] = [&["-tan"], &["-tanp"]];

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let mut without = Vec::new();
    for &sockets in bench.effort.sockets {
        let held = Held::start(bench, sockets)?;
        let with = people(sockets.into());
        for (place, arguments) in TRACERS.iter().enumerate() {
            let name = format!("{}, {with}", arguments[0]);
            let (ms, bytes) = memory(bench, arguments)?;
            sheet.add(FIRST_LINE, &name, ms);
            sheet.add(MEMORY, &name, bytes / f64::from(1 << 20));
            match without.get(place) {
                Some(before) => sheet.add(EACH, &name, (bytes - before) / f64::from(sockets)),
                None => without.push(bytes),
            }
        }
        let ours = LOOKS.map(|arguments| (bench.tcptrace.as_os_str(), "", arguments));
        let theirs = SS.map(|arguments| (OsStr::new("ss"), "ss ", arguments));
        for (program, prefix, arguments) in ours.into_iter().chain(theirs) {
            let mut command = Command::new(program);
            looks_where_they_are(command.args(arguments), &held)?;
            look(bench, sheet, &mut command, &format!("{prefix}{}, {with}", arguments.join(" ")))?;
        }
    }
    Ok(())
}

/// Milliseconds until a tracer says something, and its memory then: it knows all sockets by that time.
fn memory(bench: &Bench, arguments: &[&str]) -> Result<(f64, f64)> {
    let started = Instant::now();
    let mut tracer = Tracer::spawn(bench, arguments, Stdio::piped())?;
    let mut output = tracer.output()?;
    ensure!(output.read(&mut [0])? == 1, "`{}` printed nothing", arguments[0]);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let bytes = anonymous_bytes(tracer.pid())?;
    // Or it would wait for a reader of its last lines.
    let rest = thread::spawn(move || io::copy(&mut output, &mut io::sink()));
    tracer.stop()?;
    rest.join().map_err(|_| anyhow!("the thread that reads lines died"))??;
    Ok((ms, bytes))
}

/// Runs a command that prints into a file, and adds how long that took.
fn look(bench: &Bench, sheet: &mut Sheet, command: &mut Command, with: &str) -> Result<()> {
    let file = File::create(bench.file("look.txt"))?;
    let (seconds, cost) = process_cost::run(command.stdout(file).stderr(Stdio::null()))?;
    // 1 and 3 are no failures: something is stuck on this host, or a namespace has gone meanwhile.
    ensure!(matches!(cost.status.code(), Some(0 | 1 | 3)), "{command:?} failed ({})", cost.status);
    sheet.add(LOOK, with, seconds * 1e3);
    sheet.add(LOOK_CPU, with, cost.cpu.total() * 1e3);
    Ok(())
}

/// `ss` sees one network namespace: that of these connections. Where tcptrace is makes no difference to
/// what it sees, but entering costs something.
fn looks_where_they_are(command: &mut Command, held: &Held) -> Result<()> {
    let path = format!("/proc/{}/ns/net", held.pid().as_raw_nonzero());
    let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    let enter = move || {
        let kind = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(namespace.as_fd(), kind)?)
    };
    // SAFETY: between fork and exec only a system call is made.
    unsafe { command.pre_exec(enter) };
    Ok(())
}
