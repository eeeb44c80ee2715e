//! The lines that a scenario expects, as text.
//!
//! One line is one transition, in the order of the connection: `C ESTABLISHED -> FIN_WAIT1 cli task`.
//! C is the socket's name in the script; `C.2` is the second connection on that socket; `C'` is the
//! other end of C, where nobody accepted it. The name may be left out while it stays the same.
//! Each connection must be listed, with all its lines; only a listener may be left out.
//!
//! After the states stands the owner, then in any order what is not usual:
//!
//! | owner | meaning |
//! | --- | --- |
//! | `cli` | pid and name are those of the actor `cli` |
//! | `cli?` | the same, or null |
//! | `-` | null |
//!
//! | word | meaning | usual |
//! | --- | --- | --- |
//! | `task` `fd` `opener` `none` | how the owner is known, `task\|opener` for either | any |
//! | `classified` `confirmed` `derived` | the evidence, also with `\|` | `event`; for `reset_by_peer` also `confirmed` |
//! | `fin` `refused` … | the reason, also with `\|`; `null` is a word too | `null` |
//! | `exact` `at_least` `estimated` `unknown` | kind of dwell, also with `\|` | `exact`, but `unknown` in the first line of a connection |
//! | `~300ms` | the state lasted over the step `wait 300ms` and no other wait | any |
//! | `2s..3s` | the dwell lies between | any |
//! | `v4mapped` | an IPv6 socket with IPv4 addresses | not one |
//!
//! `C opened cli` stands for the two lines of a connect, `S arrived` for those of a passive end.
//! A `task` line must lie within a step of that actor on that socket, and an `exact` dwell must be
//! the difference of two lines: both are always checked.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::script::parse_duration;

/// A line that must come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) text: String,
    pub(crate) socket: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) owner: Owner,
    pub(crate) known_by: Vec<String>,
    pub(crate) evidence: Vec<String>,
    pub(crate) reasons: Vec<String>,
    pub(crate) dwell: Vec<String>,
    pub(crate) length: Length,
    pub(crate) v4mapped: bool,
}

/// Who must be named.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owner {
    Nobody,
    Actor(String),
    /// The actor or nobody.
    Perhaps(String),
}

/// How long the dwell must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Length {
    Any,
    /// That of the wait with this duration.
    Wait(Duration),
    Between(Duration, Duration),
}

const STATES: [&str; 11] = [
    "CLOSE",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSING",
    "TIME_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
];
const KNOWN_BY: [&str; 4] = ["task", "fd", "opener", "none"];
const EVIDENCE: [&str; 4] = ["event", "classified", "confirmed", "derived"];
const REASONS: [&str; 9] = [
    "fin",
    "refused",
    "reset_by_peer",
    "reset_by_us",
    "timeout",
    "destroyed",
    "unreachable",
    "local",
    "null",
];
const DWELLS: [&str; 4] = ["exact", "at_least", "estimated", "unknown"];

/// Parses the expected lines of a scenario.
pub(crate) fn parse(text: &str) -> Result<Vec<Expected>> {
    let mut all = Vec::new();
    let mut socket = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        parse_line(line, &mut socket, &mut all)
            .with_context(|| format!("in the expected line `{line}`"))?;
    }
    Ok(all)
}

/// How long the lines may take to come: the longest dwell, and what any line may take.
pub(crate) fn patience(expected: &[Expected], usual: Duration) -> Duration {
    let longest = expected.iter().map(|line| match line.length {
        Length::Between(_, most) => most,
        _ => Duration::ZERO,
    });
    usual + longest.max().unwrap_or_default()
}

fn parse_line(line: &str, socket: &mut String, all: &mut Vec<Expected>) -> Result<()> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.get(1) != Some(&"->") {
        *socket = words.remove(0).to_owned();
    }
    ensure!(!socket.is_empty(), "the first line must name its socket");
    match words.as_slice() {
        ["opened", owner, rest @ ..] => {
            all.push(transition(
                line,
                socket,
                "CLOSE",
                "SYN_SENT",
                &[&[*owner, "task"], rest].concat(),
            )?);
            all.push(transition(
                line,
                socket,
                "SYN_SENT",
                "ESTABLISHED",
                &[&[*owner], rest].concat(),
            )?);
        }
        ["arrived", rest @ ..] => {
            all.push(transition(line, socket, "LISTEN", "SYN_RECV", &[&["-"], rest].concat())?);
            all.push(transition(
                line,
                socket,
                "SYN_RECV",
                "ESTABLISHED",
                &[&["-"], rest].concat(),
            )?);
        }
        [from, "->", to, rest @ ..] => all.push(transition(line, socket, from, to, rest)?),
        _ => bail!("write `C FROM -> TO owner …`, `C opened owner` or `S arrived`"),
    }
    Ok(())
}

fn transition(text: &str, socket: &str, from: &str, to: &str, rest: &[&str]) -> Result<Expected> {
    for state in [from, to] {
        ensure!(STATES.contains(&state), "`{state}` is no state");
    }
    let (owner, rest) = rest.split_first().context("the owner is missing; `-` is nobody")?;
    let mut expected = Expected {
        text: text.to_owned(),
        socket: socket.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        owner: match owner.strip_suffix('?') {
            Some(actor) => Owner::Perhaps(actor.to_owned()),
            None if *owner == "-" => Owner::Nobody,
            None => Owner::Actor((*owner).to_owned()),
        },
        known_by: Vec::new(),
        evidence: Vec::new(),
        reasons: Vec::new(),
        dwell: Vec::new(),
        length: Length::Any,
        v4mapped: false,
    };
    for word in rest {
        let alternatives: Vec<String> = word.split('|').map(str::to_owned).collect();
        let are_all =
            |known: &[&str]| alternatives.iter().all(|word| known.contains(&word.as_str()));
        if are_all(&KNOWN_BY) {
            expected.known_by = alternatives;
        } else if are_all(&EVIDENCE) {
            expected.evidence = alternatives;
        } else if are_all(&REASONS) {
            expected.reasons = alternatives;
        } else if are_all(&DWELLS) {
            expected.dwell = alternatives;
        } else if let Some(wait) = word.strip_prefix('~') {
            expected.length = Length::Wait(parse_duration(wait)?);
        } else if let Some((least, most)) = word.split_once("..") {
            expected.length = Length::Between(parse_duration(least)?, parse_duration(most)?);
        } else if *word == "v4mapped" {
            expected.v4mapped = true;
        } else {
            bail!("`{word}` is none of the words that `expect.rs` lists");
        }
    }
    let fill = |list: &mut Vec<String>, usual: &str| {
        if list.is_empty() {
            list.push(usual.to_owned());
        }
    };
    fill(&mut expected.reasons, "null");
    if expected.evidence.is_empty()
        && expected.reasons.iter().any(|reason| reason == "reset_by_peer")
    {
        // Where the kernel has a tracepoint for it, a reset is seen twice.
        expected.evidence.extend(["event", "confirmed"].map(str::to_owned));
    }
    fill(&mut expected.evidence, "event");
    let begins = matches!((from, to), ("CLOSE" | "LISTEN", _)) && (from, to) != ("LISTEN", "CLOSE");
    fill(&mut expected.dwell, if begins { "unknown" } else { "exact" });
    Ok(expected)
}
