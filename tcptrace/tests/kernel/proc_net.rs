//! `/proc/net/tcp` and `tcp6` of a namespace, looked at again and again: when the kernel's own table shows that a
//! connection is in another state, or gone. Nothing tells of that, so it can only be asked.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{line::Line, namespace::Namespace, state_name, sys};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// The kernel's function changes the table a moment after it is called or before it returns, and a guest's
/// processor may stand still in between. What is reckoned from timers is further away from the truth.
const SLACK_NS: u64 = 20_000_000;

type Ends = (SocketAddr, SocketAddr);

/// What the table showed of one connection from some look on.
struct Change {
    /// None: it is not there.
    state: Option<u8>,
    /// Begin of the last look that showed something else, and end of the first that showed this.
    between: (u64, u64),
}

/// The table of one namespace over time.
type Table = HashMap<Ends, Vec<Change>>;

pub(crate) struct Watch {
    /// Dropped at the end.
    going_on: Sender<()>,
    thread: JoinHandle<Result<Table>>,
}

impl Watch {
    pub(crate) fn start(netns: &Namespace) -> Self {
        let (going_on, end) = mpsc::channel();
        let path = netns.path();
        let thread = thread::spawn(move || watch(&path, &end));
        Self { going_on, thread }
    }

    /// Ends it, and compares each of `lines` with what it saw: the first that is not so.
    pub(crate) fn compare(self, lines: &[&Line]) -> Result<Option<String>> {
        drop(self.going_on);
        let Ok(table) = self.thread.join() else { bail!("the look at /proc/net/tcp panicked") };
        let table = table?;
        Ok(lines.iter().find_map(|line| wrong(line, &table)))
    }
}

fn watch(netns: &str, end: &Receiver<()>) -> Result<Table> {
    let file = fs::File::open(netns).context("the namespace is gone")?;
    sys::enter_netns(&file)?;
    let mut table = Table::new();
    let mut last = sys::boot_ns();
    loop {
        // One more look after the end, so that it is told what was there then.
        let is_last = end.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
        let begin = sys::boot_ns();
        let mut text = String::new();
        for family in ["tcp", "tcp6"] {
            let path = format!("/proc/thread-self/net/{family}");
            text += &fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        }
        let between = (last, sys::boot_ns());
        let mut shown: HashMap<Ends, u8> = text.lines().filter_map(parse).collect();
        for (ends, changes) in &mut table {
            let state = shown.remove(ends);
            if changes.last().is_none_or(|change| change.state != state) {
                changes.push(Change { state, between });
            }
        }
        for (ends, state) in shown {
            table.insert(ends, vec![Change { state: Some(state), between }]);
        }
        if is_last {
            return Ok(table);
        }
        last = begin;
    }
}

/// `   0: 0100007F:0050 0100007F:C350 06 …`: number, both ends, state. An IPv6 address is four such words.
/// The heading has no ends.
fn parse(line: &str) -> Option<(Ends, u8)> {
    let mut words = line.split_whitespace().skip(1);
    let mut end = || {
        let (address, port) = words.next()?.split_once(':')?;
        // Four bytes each, read as a number of this machine.
        let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
        let address = if address.len() == 8 {
            IpAddr::from(word(0)?.to_ne_bytes())
        } else {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].map(u32::to_ne_bytes);
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::from(bytes).to_canonical()
        };
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(SocketAddr::new(address, port))
    };
    let ends = (end()?, end()?);
    Some((ends, u8::from_str_radix(words.next()?, 16).ok()?))
}

/// Whether the table did not change at the time of this line as the line says, and how it did.
fn wrong(line: &Line, table: &Table) -> Option<String> {
    let (Some(local), Some(remote)) = (line.local(), line.remote()) else {
        return Some(format!("an end is not known in {line}"));
    };
    let ends = (local, remote);
    let changes = table.get(&ends).map_or(&[][..], Vec::as_slice);
    let is_so = |change: &&Change| {
        let (after, before) = change.between;
        let name = change.state.map(state_name);
        let is_it =
            if line.to == "CLOSE" { name != Some(&line.from) } else { name == Some(&line.to) };
        is_it && (after.saturating_sub(SLACK_NS)..=before + SLACK_NS).contains(&line.boot_ns)
    };
    if changes.iter().any(|change| is_so(&change)) {
        return None;
    }
    let seen: Vec<String> = changes
        .iter()
        .map(|Change { state, between: (after, before) }| {
            format!("{} in {after}..{before}", state.map_or("gone", state_name))
        })
        .collect();
    Some(format!(
        "/proc/net/tcp did not show {} -> {} at {}, but: {}",
        line.from,
        line.to,
        line.boot_ns,
        seen.join(", ")
    ))
}
