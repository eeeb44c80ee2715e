//! 200,000 connections at a time: each is known from the first look on, and each is told of at its end.

use std::{collections::HashSet, net::Ipv4Addr, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::namespaces::anonymous_kb;
use crate::{cast::Actor, namespace::Namespace, recorder::PROGRAM, surroundings::Run};

/// Connections, which are the ends of half as many pairs.
const CONNECTIONS: usize = 200_000;
/// A process may have 20,000 descriptors at least, and two are those of a pair.
const PROCESSES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(90);
/// Memory for each that is followed, in bytes, with all else that the tracer needs for the look.
const BYTES_EACH: u64 = 600;
/// A refused connection to this port is told of after the look at what there was before.
const FENCE: u16 = 9001;

pub(super) fn run() -> Result<()> {
    let netns = Namespace::unwatched()?;
    let holders = (0..PROCESSES).map(|number| Actor::spawn(&format!("hold{number}"), &netns));
    let holders = holders.collect::<Result<Vec<_>>>()?;
    let pairs = CONNECTIONS / 2;
    thread::scope(|scope| {
        let begin = |(number, holder): (usize, _)| {
            let count = pairs / PROCESSES + usize::from(number < pairs % PROCESSES);
            let place = Ipv4Addr::from_bits(Ipv4Addr::new(127, 3, 0, 1).to_bits() + number as u32);
            let command = format!("pile {count} {place}:80");
            scope.spawn(move || Actor::tell(holder, &command, PATIENCE)?.done().map(drop))
        };
        let begun: Vec<_> = holders.iter().enumerate().map(begin).collect();
        begun.into_iter().try_for_each(|held| held.join().ok().context("it died")?)
    })?;
    let mut lifetimes = Command::new(PROGRAM);
    let mut run = Run::start(lifetimes.args(["lifetimes", "--json", "--netns", &netns.path()]))?;
    let is_fence = |line: &str| line.contains(&format!("\"rport\":{FENCE},"));
    run.line_while(is_fence, || drop(netns.refuse(FENCE)))?;
    let memory = anonymous_kb(run.pid())? * 1024;
    let bound = CONNECTIONS as u64 * BYTES_EACH;
    ensure!(memory < bound, "{memory} bytes for {CONNECTIONS} connections");
    drop(holders);
    let mut ended = HashSet::new();
    while ended.len() < CONNECTIONS {
        let line = run.line(|line| line.starts_with("{\"type\":\"connection\""));
        let line = line.with_context(|| format!("{} of {CONNECTIONS} have ended", ended.len()))?;
        let conn = line.split_once("\"conn\":\"").and_then(|(_, rest)| rest.split('"').next());
        if !is_fence(&line) {
            ensure!(ended.insert(conn.context("a name")?.to_owned()), "told twice: {line}");
        }
    }
    let rest = run.stop(Signal::INT)?;
    ensure!(rest.iter().any(|line| line.ends_with("nothing lost")), "{rest:?}");
    Ok(())
}
