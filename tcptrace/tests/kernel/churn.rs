//! Thousands of connections at full speed: every transition must be there.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rustix::process::nice;

use crate::{
    cast::Actor, classic, line::Line, mode::Mode, namespace::Namespace, sys, tracer, verdict,
};

const CONNECTIONS: usize = 40_000;
/// On other kernels, where the processor is emulated.
const FEWER: usize = 2_000;
/// Each keeps its local port for a minute after its close, and there are 28,232 local ports for
/// one server address.
const SERVERS: u8 = 4;
/// How long the tracer may take for what the actor did, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the actor does: both ends of each connection, one after the other. The other end waits
/// for the end of the data, so that each connection takes the same way through its states.
///
/// Of each connection the end that is named first closes first.
///
/// On a busy machine the tracer goes first: whether it gets the processor is not what is tested.
///
/// Several at a time in one namespace differ in `place`.
pub(crate) fn act(count: usize, servers: u8, first: &str, place: u8) -> Result<()> {
    nice(10)?;
    let listeners = (1..=servers)
        .map(|server| TcpListener::bind((Ipv4Addr::new(127, 0, place, server), 80)))
        .collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    for number in 0..count {
        let server = number % listeners.len();
        let client = TcpStream::connect(addresses[server])?;
        let (accepted, _) = listeners[server].accept()?;
        let (closing, mut reading) = match first {
            "client" => (client, accepted),
            _ => (accepted, client),
        };
        drop(closing);
        ensure!(reading.read(&mut [0])? == 0, "nothing was sent");
    }
    Ok(())
}

/// The states that each connection takes.
const ACTIVE: [(&str, &str); 5] = [
    ("CLOSE", "SYN_SENT"),
    ("SYN_SENT", "ESTABLISHED"),
    ("ESTABLISHED", "FIN_WAIT1"),
    ("FIN_WAIT1", "FIN_WAIT2"),
    ("FIN_WAIT2", "TIME_WAIT"),
];
/// What the classic tracepoint tells of it.
const ACTIVE_CLASSIC: [(&str, &str); 5] =
    [ACTIVE[0], ACTIVE[1], ACTIVE[2], ACTIVE[3], ("FIN_WAIT2", "CLOSE")];
const PASSIVE: [(&str, &str); 5] = [
    ("LISTEN", "SYN_RECV"),
    ("SYN_RECV", "ESTABLISHED"),
    ("ESTABLISHED", "CLOSE_WAIT"),
    ("CLOSE_WAIT", "LAST_ACK"),
    ("LAST_ACK", "CLOSE"),
];
/// How many wrong connections a failure shows with all their lines.
const SHOWN: usize = 3;

/// The scenario on another kernel.
pub(crate) fn trial_of_mode(mode: Mode) -> Trial {
    let limits = match mode {
        Mode::Classic => vec![classic::NAMESPACE, "owner", "TIME_WAIT"],
        Mode::Btf | Mode::Fentry => Vec::new(),
    };
    verdict::noted("churn: every transition of 2,000 connections", limits, move || {
        play(FEWER, mode)
    })
}

/// The scenario.
pub(crate) fn run() -> Result<()> {
    play(CONNECTIONS, Mode::Btf)
}

fn play(connections: usize, mode: Mode) -> Result<()> {
    let tracer = tracer::shared()?;
    let begin = sys::boot_ns();
    let netns = Namespace::new()?;
    let actor = Actor::spawn("churn", &netns)?;
    actor.tell(&format!("churn {connections} {SERVERS} client"), PATIENCE)?.done()?;
    let wanted = connections * (ACTIVE.len() + PASSIVE.len());
    let enough = tracer.wait(PATIENCE, |lines| lines.count(netns.inode()) >= wanted)?;
    tracer.fence(&netns)?;

    let lines = tracer.lines(&[netns.inode()], begin)?;
    let mut by_connection: HashMap<&str, Vec<&Line>> = HashMap::new();
    let is_listener =
        |line: &Line| line.to == "LISTEN" || line.from == "LISTEN" && line.to == "CLOSE";
    for line in lines.iter().filter(|line| !line.is_fence() && !is_listener(line)) {
        by_connection.entry(&line.conn).or_default().push(line);
    }
    let (mut active, mut passive) = (0, 0);
    let mut wrong = Vec::new();
    for of_one in by_connection.values() {
        match of_one.as_slice() {
            [first, ..] if first.from == "CLOSE" => active += 1,
            _ => passive += 1,
        }
        if let Some(complaint) = complaint(of_one, mode, actor.pid()) {
            wrong.push((complaint, of_one));
        }
    }
    let mut report = format!(
        "{active} active and {passive} passive sides of {connections} were seen, {} of them wrong; \
         all lines came in time: {enough}\n",
        wrong.len()
    );
    for (complaint, lines) in wrong.iter().take(SHOWN) {
        _ = writeln!(report, "{complaint}");
        for line in *lines {
            _ = writeln!(report, "  {line}");
        }
    }
    ensure!(wrong.is_empty() && (active, passive) == (connections, connections), "{report}");
    Ok(())
}

/// What is wrong with the lines of one connection.
fn complaint(lines: &[&Line], mode: Mode, opener: u32) -> Option<String> {
    let first = lines.first()?;
    let is_active = first.from == "CLOSE";
    let whole = match (is_active, mode) {
        (true, Mode::Classic) => &ACTIVE_CLASSIC,
        (true, Mode::Btf | Mode::Fentry) => &ACTIVE,
        (false, _) => &PASSIVE,
    };
    let steps: Vec<(&str, &str)> =
        lines.iter().map(|line| (line.from.as_str(), line.to.as_str())).collect();
    // A port whose TIME_WAIT is older than a second may be taken again by a later connect.
    let is_whole = steps == whole
        || is_active && steps.split_last() == Some((&("TIME_WAIT", "CLOSE"), &whole[..]));
    if !is_whole {
        return Some(format!("{steps:?} is not the way of a connection:"));
    }
    if mode == Mode::Classic {
        return classic::too_much(lines).map(|what| format!("{what}:"));
    }
    let is_opener = first.pid == Some(u64::from(opener)) && first.comm.as_deref() == Some("churn");
    (is_active && !is_opener).then(|| format!("the opener is the actor, pid {opener}:"))
}
