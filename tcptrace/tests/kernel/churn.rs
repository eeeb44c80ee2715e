//! Thousands of connections at full speed: every transition must be there.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::nice;

use crate::{cast::Actor, line::Line, namespace::Namespace, tracer};

const CONNECTIONS: usize = 40_000;
/// Each keeps its local port for a minute after its close, and there are 28,232 local ports for
/// one server address.
const SERVERS: u8 = 4;
/// How long the tracer may take for what the actor did, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the actor does: both ends of each connection, one after the other. The passive end waits
/// for the end of the data, so that each connection takes the same way through its states.
///
/// On a busy machine the tracer goes first: whether it gets the processor is not what is tested.
pub(crate) fn act(count: usize) -> Result<()> {
    nice(10)?;
    let listeners = (1..=SERVERS)
        .map(|server| TcpListener::bind((Ipv4Addr::new(127, 0, 0, server), 80)))
        .collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    for number in 0..count {
        let server = number % listeners.len();
        let client = TcpStream::connect(addresses[server])?;
        let (mut accepted, _) = listeners[server].accept()?;
        drop(client);
        ensure!(accepted.read(&mut [0])? == 0, "nothing was sent");
    }
    std::io::stdout().flush()?;
    Ok(())
}

/// The states that each connection takes, without the end of FIN_WAIT2: the kernel tells that
/// nobody, so it shows when the tracer next looks.
const ACTIVE: [(&str, &str); 4] = [
    ("CLOSE", "SYN_SENT"),
    ("SYN_SENT", "ESTABLISHED"),
    ("ESTABLISHED", "FIN_WAIT1"),
    ("FIN_WAIT1", "FIN_WAIT2"),
];
const PASSIVE: [(&str, &str); 5] = [
    ("LISTEN", "SYN_RECV"),
    ("SYN_RECV", "ESTABLISHED"),
    ("ESTABLISHED", "CLOSE_WAIT"),
    ("CLOSE_WAIT", "LAST_ACK"),
    ("LAST_ACK", "CLOSE"),
];

/// The scenario.
pub(crate) fn run() -> Result<()> {
    let tracer = tracer::shared()?;
    let netns = Namespace::new()?;
    let actor = Actor::spawn("churn", &netns)?;
    actor.tell(&format!("churn {CONNECTIONS}"), PATIENCE)?.done()?;
    let wanted = CONNECTIONS * (ACTIVE.len() + PASSIVE.len());
    let enough = tracer.wait(PATIENCE, |lines| lines.count(netns.inode()) >= wanted)?;
    tracer.fence(&netns)?;

    let lines = tracer.lines(netns.inode())?;
    let mut connections: HashMap<&str, Vec<&Line>> = HashMap::new();
    for line in &lines {
        connections.entry(&line.conn).or_default().push(line);
    }
    let (mut active, mut passive) = (0, 0);
    for of_one in connections.values() {
        let first = of_one.first().context("a connection has lines")?;
        let whole = match (first.from.as_str(), first.to.as_str()) {
            ("CLOSE", "SYN_SENT") if !first.is_fence() => &ACTIVE[..],
            ("LISTEN", "SYN_RECV") => &PASSIVE[..],
            ("CLOSE", "LISTEN") | ("CLOSE", "SYN_SENT") => continue,
            _ => anyhow::bail!("a connection begins with {first}"),
        };
        let steps: Vec<(&str, &str)> = of_one
            .iter()
            .map(|line| (line.from.as_str(), line.to.as_str()))
            .take(whole.len())
            .collect();
        ensure!(steps == whole, "a connection went {steps:?}: {first}");
        if whole.len() == ACTIVE.len() {
            active += 1;
            ensure!(
                first.pid == Some(u64::from(actor.pid())) && first.comm.as_deref() == Some("churn"),
                "the opener of an active side is the actor, pid {}: {first}",
                actor.pid()
            );
            let more = &of_one[whole.len()..];
            let states: Vec<&str> = more.iter().map(|line| line.to.as_str()).collect();
            // A port whose TIME_WAIT is older than a second may be taken again by a later connect.
            ensure!(
                ["TIME_WAIT", "CLOSE"].starts_with(&states),
                "after FIN_WAIT2 came {states:?}: {first} … {}",
                more[0]
            );
        } else {
            passive += 1;
            ensure!(of_one.len() == whole.len(), "after its end a connection went on: {first}");
        }
    }
    ensure!(
        (active, passive) == (CONNECTIONS, CONNECTIONS),
        "{active} active and {passive} passive sides of {CONNECTIONS} were seen (all lines came in time: {enough})"
    );
    Ok(())
}
