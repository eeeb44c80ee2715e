//! The findings of a row as text.
//!
//! A line that begins with a kind and the name of a socket of the steps begins a finding; the lines
//! below it say more. What is not said is not there, and must not be.
//!
//! | line | what it says |
//! | --- | --- |
//! | `close_wait_not_closed S` | the finding is about socket S; `~C` is the other end of C, unnamed |
//! | `there` | it is in the second namespace |
//! | `held srv:S,T kid:S` | the processes that hold it, each with its descriptors |
//! | `held accept_queue srv:L` | not by a process; in the queue of the listener L |
//! | `closed by cli` | who closed an orphan: known live, not known at once |
//! | `since cli close C` | the step at which it entered its state; `A .. B`: at one of several |
//! | `not before srv send S 1` | it is found a limit after this step, for it made progress until then |
//! | `live estimated syn` | how the age is known live and by what; `exact event` if not said |
//! | `once at_least last_ack` | the same, at once; `a b \| c d`: either |
//! | `once perhaps at_least last_ack` | at once it may be missed: what the socket itself knows is too little |
//! | `peer FIN_WAIT2 cli:C` | state and holders of the other end on this host |
//! | `timer probe` | its timer; `a \| b`: either |
//! | `lasts 10s` | the kernel ends it so long after it entered its state |
//! | `says close() the` | a part of cause, remedy or what is no help |
//! | `sysctl net.ipv4.tcp_fin_timeout 10` | a setting that is told |
//! | `ends LAST_ACK exact` | state after it and how its age is then known; `-` is none, `*` any |

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::script::parse_duration;

/// One finding, as expected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) kind: String,
    pub(crate) socket: String,
    /// It is about the other end of that socket.
    pub(crate) reversed: bool,
    pub(crate) there: bool,
    pub(crate) hands: Hands,
    pub(crate) closed_by: Option<String>,
    /// The first and the last step at which it can have entered its state.
    pub(crate) since: (String, String),
    pub(crate) not_before: Option<String>,
    pub(crate) live: Vec<Known>,
    pub(crate) once: Vec<Known>,
    /// A look may miss it.
    pub(crate) perhaps: bool,
    pub(crate) peer: Option<(String, Hands)>,
    pub(crate) timer: Option<String>,
    pub(crate) lasts: Option<Duration>,
    pub(crate) says: Vec<String>,
    pub(crate) sysctls: Vec<(String, i64)>,
    pub(crate) end: Option<End>,
}

/// In whose hands a socket is.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    /// As `held_by` says it.
    pub(crate) name: String,
    /// Processes, and the sockets by whose descriptors they hold it.
    pub(crate) owners: Vec<(String, Vec<String>)>,
}

/// How an age is known, and by what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) way: String,
    pub(crate) source: String,
}

/// How a finding ends.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The state after it; `-` none, `*` any.
    pub(crate) now: String,
    pub(crate) way: String,
}

impl Default for Hands {
    fn default() -> Self {
        Self { name: "nobody".to_owned(), owners: Vec::new() }
    }
}

impl End {
    /// Programs on functions of the kernel see how long what is else reckoned from timers and dumps was so.
    pub(crate) fn be_exact(&mut self) {
        if self.way == "estimated" {
            "exact".clone_into(&mut self.way);
        }
    }
}

/// Parses the findings of a row.
pub(crate) fn parse(text: &str) -> Result<Vec<Expected>> {
    let mut all: Vec<Expected> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        parse_line(line, &mut all).with_context(|| format!("in the line `{line}`"))?;
    }
    for finding in &mut all {
        if finding.live.is_empty() {
            finding.live = known("exact event")?;
        }
        let Expected { kind, socket, since, once, end, .. } = &*finding;
        ensure!(!since.0.is_empty(), "{kind} {socket} wants `since`");
        ensure!(!once.is_empty(), "{kind} {socket} wants `once`");
        ensure!(end.is_some(), "{kind} {socket} wants `ends`");
    }
    Ok(all)
}

fn parse_line(line: &str, all: &mut Vec<Expected>) -> Result<()> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if word.contains('_') {
        let (reversed, socket) = match rest.strip_prefix('~') {
            Some(socket) => (true, socket),
            None => (false, rest),
        };
        let (kind, socket) = (word.to_owned(), socket.to_owned());
        all.push(Expected { kind, socket, reversed, ..Expected::default() });
        return Ok(());
    }
    let finding = all.last_mut().context("a kind comes first")?;
    match (word, rest) {
        ("there", "") => finding.there = true,
        ("held", hands) => finding.hands = parse_hands(hands)?,
        ("closed", by) => {
            let by = by.strip_prefix("by ").context("closed by whom?")?;
            finding.closed_by = Some(by.to_owned());
        }
        ("since", steps) => {
            let (first, last) = steps.split_once(" .. ").unwrap_or((steps, steps));
            finding.since = (first.to_owned(), last.to_owned());
        }
        ("not", step) => {
            let step = step.strip_prefix("before ").context("not before what?")?;
            finding.not_before = Some(step.to_owned());
        }
        ("live", ways) => finding.live = known(ways)?,
        ("once", ways) => {
            let sure = ways.strip_prefix("perhaps ");
            finding.perhaps = sure.is_some();
            finding.once = known(sure.unwrap_or(ways))?;
        }
        ("peer", peer) => {
            let (state, hands) = peer.split_once(' ').context("in whose hands?")?;
            finding.peer = Some((state.to_owned(), parse_hands(hands)?));
        }
        ("timer", timer) => finding.timer = Some(timer.to_owned()),
        ("lasts", time) => finding.lasts = Some(parse_duration(time)?),
        ("says", text) => finding.says.push(text.to_owned()),
        ("sysctl", setting) => {
            let (name, value) = setting.split_once(' ').context("which value?")?;
            finding.sysctls.push((name.to_owned(), value.parse()?));
        }
        ("ends", end) => {
            let (now, way) = end.split_once(' ').context("how is its age known then?")?;
            finding.end = Some(End { now: now.to_owned(), way: way.to_owned() });
        }
        _ => bail!("it is none of the lines that `notation.rs` lists"),
    }
    Ok(())
}

/// `nobody`, `srv:S,T kid:S`, `accept_queue srv:L`.
fn parse_hands(text: &str) -> Result<Hands> {
    let mut hands = Hands { name: "processes".to_owned(), owners: Vec::new() };
    for word in text.split(' ') {
        match word.split_once(':') {
            Some((actor, sockets)) => {
                let sockets = sockets.split(',').map(str::to_owned).collect();
                hands.owners.push((actor.to_owned(), sockets));
            }
            None => hands.name = word.to_owned(),
        }
    }
    Ok(hands)
}

fn known(text: &str) -> Result<Vec<Known>> {
    let parse = |text: &str| {
        let (way, source) = text.trim().split_once(' ').context("by what is the age known?")?;
        Ok(Known { way: way.to_owned(), source: source.to_owned() })
    };
    text.split('|').map(parse).collect()
}
