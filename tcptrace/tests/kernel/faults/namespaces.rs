//! Network namespaces that come and go: their connections are all told, and nothing of them stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    line::Line,
    namespace::ip_here,
    recorder::{Folder, PROGRAM, Running, read},
    sys,
};

const ROUNDS: u16 = 6;
const EACH: u16 = 20;
/// Of the first namespace, and so on.
const PORT: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// More than what the allocator keeps or gives back from one round to the next.
const MARGIN_KB: u64 = 1024;

pub(super) fn run() -> Result<()> {
    let folder = Folder::new()?;
    let mut command = Command::new(PROGRAM);
    // Each file begins with a look into every namespace that there is.
    command.args(["record", "-q", "--rotate", "1s", "-o"]).arg(folder.0.join("r.arrows"));
    let mut recorder = Running::start(&mut command)?;
    let pid = recorder.0.id();
    let mut held = Vec::new();
    until_more_than(1, &folder)?;
    let at_first = descriptors_at_rest(pid)?;
    for round in 0..ROUNDS {
        for number in 0..EACH {
            let port = PORT + round * EACH + number;
            let life = thread::Builder::new().name("brief".to_owned()).spawn(move || live(port))?;
            life.join().ok().context("it panicked")??;
        }
        until_more_than(folder.recordings()?.len(), &folder)?;
        held.push(anonymous_kb(pid)?);
    }
    let left = descriptors_left(&at_first, pid)?;
    ensure!(recorder.end(Signal::INT)? == Some(0), "it did not end in order");
    ensure!(left.is_none(), "descriptors were left: {at_first:?}, then {left:?}");
    // In the first rounds its tables grow to their size.
    let (middle, end) = (held[held.len() / 2], held[held.len() - 1]);
    ensure!(end <= middle + MARGIN_KB, "memory grows: {held:?}");
    told(&folder)
}

/// Waits for so many recordings and one more.
fn until_more_than(files: usize, folder: &Folder) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while folder.recordings()?.len() <= files {
        ensure!(Instant::now() < deadline, "it does not go on to another file");
        thread::yield_now();
    }
    Ok(())
}

/// One connection in a namespace that goes with this thread.
pub(crate) fn live(port: u16) -> Result<()> {
    sys::unshare_netns()?;
    ip_here("link set lo up")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    drop(client);
    ensure!(server.read(&mut [0])? == 0, "nothing was sent");
    Ok(())
}

/// What the descriptors of a process are, and how many of each.
pub(crate) type Descriptors = BTreeMap<String, usize>;

/// Those that it has while it does not look around.
pub(crate) fn descriptors_at_rest(pid: u32) -> Result<Descriptors> {
    /// They take longer than a look.
    const SAMPLES: usize = 2000;
    let mut least = descriptors(pid)?;
    for _ in 1..SAMPLES {
        let now = descriptors(pid)?;
        if now.values().sum::<usize>() < least.values().sum() {
            least = now;
        }
    }
    Ok(least)
}

/// Those that it has if it keeps more of any kind than it had at first. It may have fewer: a program that
/// is not needed is detached for a while.
pub(crate) fn descriptors_left(at_first: &Descriptors, pid: u32) -> Result<Option<Descriptors>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = descriptors(pid)?;
        if now.iter().all(|(kind, count)| at_first.get(kind).is_some_and(|first| count <= first)) {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Ok(Some(now));
        }
        thread::yield_now();
    }
}

fn descriptors(pid: u32) -> Result<Descriptors> {
    let mut kinds = BTreeMap::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // It may be closed by now.
        let Ok(target) = fs::read_link(file?.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let kind = target.split_once(":[").map_or(target.as_str(), |(kind, _)| kind);
        // The one that is being written has another name each time.
        let kind = if kind.ends_with(".arrows") { "recording" } else { kind };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    Ok(kinds)
}

/// Memory of its own that a process has, in kB.
pub(crate) fn anonymous_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.context("the kernel tells RssAnon")?.parse().context("RssAnon is a number")
}

/// Of the connection of each namespace everything is in the recordings.
fn told(folder: &Folder) -> Result<()> {
    let output = read(&["watch", "--json"], &folder.recordings()?)?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let mut of_port: BTreeMap<u16, BTreeSet<(String, String)>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("{\"type\":\"transition\"")) {
        let line = Line::parse(line)?;
        let is_brief = |port: &u16| (PORT..PORT + ROUNDS * EACH).contains(port);
        let ports = [line.local.1, line.remote.1];
        if let Some(port) = ports.into_iter().flatten().find(is_brief) {
            of_port.entry(port).or_default().insert((line.from, line.to));
        }
    }
    for number in 0..ROUNDS * EACH {
        let moves = of_port.remove(&(PORT + number)).unwrap_or_default();
        for (from, to) in [
            ("CLOSE", "SYN_SENT"),
            ("LISTEN", "SYN_RECV"),
            ("FIN_WAIT2", "TIME_WAIT"),
            ("LAST_ACK", "CLOSE"),
        ] {
            let is_there = moves.contains(&(from.to_owned(), to.to_owned()));
            ensure!(is_there, "no {from} -> {to} in namespace {number}: {moves:?}");
        }
    }
    Ok(())
}
