//! The steps of a scenario as text.
//!
//! Steps stand one to a line. A step begins with the name of an actor (a process, which is started
//! at its first step and has that name) or with a word for the stage itself.
//!
//! | an actor's step | what it does |
//! | --- | --- |
//! | `srv listen L :80` | socket L listens; `:80` is short for `127.0.0.1:80` |
//! | `cli connect C :80` | socket C connects and waits for the answer |
//! | `cli connect C :81 => ECONNREFUSED` | the same, and it must fail so |
//! | `cli start C :80` | connects without waiting |
//! | `cli bind C :7000` | makes the socket and gives it a local address |
//! | `srv accept S L` | accepts from listener L and calls it S |
//! | `cli shutdown C`, `cli close C` | the end of sending, of the descriptor |
//! | `cli send C 5`, `cli recv C 5`, `cli eof C` | data, and waiting for the other end's end |
//! | `cli linger C` | sets `SO_LINGER` to 0: close resets |
//! | `cli linger2 C 10`, `cli keepalive C`, `cli rcvbuf C 4096` | sets `TCP_LINGER2`, `SO_KEEPALIVE`, `SO_RCVBUF` |
//! | `cli fill C`, `srv drain S` | sends until there is no more room; reads to the end |
//! | `cli open C`, `cli dup D C` | makes a socket and nothing else; a second descriptor of the same |
//! | `cli disconnect C` | `connect(AF_UNSPEC)` |
//! | `cli until C FIN_WAIT2` | waits for a state |
//! | `cli fork kid` | a child process with copies of all sockets; its steps begin with `kid` |
//! | `cli rename X` | a new process name; `\x1b` is a byte |
//!
//! `listen` and `connect` take `mptcp` at their end, `connect` also `fastopen`, `start` also `deferred`
//! (the SYN waits for the first write), `listen` also `backlog=0`.
//!
//! | a step of the stage | what it does |
//! | --- | --- |
//! | `wait 300ms` | lets time pass; the lengths in one scenario differ: see [`crate::expect`] |
//! | `sysctl NAME VALUE`, `sysctl there NAME VALUE` | sets a `net.…` sysctl |
//! | `sysctl NAME VALUE if present` | sets it if this kernel has it |
//! | `link lo down` | and `up` |
//! | `veth` | makes a second namespace, 10.0.0.2, joined to the first, 10.0.0.1 |
//! | `place srv there` | starts the actor in that second namespace |
//! | `run ss -K …`, `run there ip …` | a command in a namespace |
//! | `kill cli` | SIGKILL |
//! | `trace` | from here on a tracer of its own is asked, not the shared one |

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::namespace::words;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) deed: Deed,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Act { actor: String, verb: String, socket: String, command: String, error: Option<String> },
    Fork { actor: String, child: String },
    Rename { actor: String, name: String },
    Wait(Duration),
    Sysctl { name: String, value: String, at: Place },
    Link(String, String),
    Veth,
    Place(String),
    Run { there: bool, command: Vec<String> },
    Kill(String),
    Trace,
}

/// Where a sysctl is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Here,
    There,
    /// Here, unless the kernel has no such sysctl.
    HereIfPresent,
}

impl Step {
    /// The process that acts and the socket it acts on.
    pub(crate) fn actor_and_socket(&self) -> Option<(&str, &str)> {
        match &self.deed {
            Deed::Act { actor, socket, .. } => Some((actor, socket)),
            _ => None,
        }
    }
}

/// The verbs of an actor's steps that name a socket.
const VERBS: [&str; 20] = [
    "listen",
    "connect",
    "start",
    "bind",
    "accept",
    "shutdown",
    "close",
    "send",
    "recv",
    "eof",
    "linger",
    "linger2",
    "keepalive",
    "rcvbuf",
    "fill",
    "drain",
    "open",
    "dup",
    "disconnect",
    "until",
];
/// What no actor can be called.
const STAGE: [&str; 8] = ["wait", "sysctl", "link", "veth", "place", "run", "kill", "trace"];

/// Parses the steps of a scenario.
pub(crate) fn parse(script: &str) -> Result<Vec<Step>> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| parse_step(line).with_context(|| format!("in the step `{line}`"))).collect()
}

/// `300ms` or `2s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().with_context(|| format!("`{text}` is no duration"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_secs_f64(number / 1000.0)),
        "s" => Ok(Duration::from_secs_f64(number)),
        _ => bail!("`{text}` is no duration: write 300ms or 2s"),
    }
}

fn parse_step(line: &str) -> Result<Step> {
    let (deed, error) = match line.split_once("=>") {
        Some((deed, error)) => (deed, Some(error.trim().to_owned())),
        None => (line, None),
    };
    let words = words(deed);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let deed = match *words.as_slice() {
        ["wait", duration] => Deed::Wait(parse_duration(duration)?),
        ["sysctl", name, value] => sysctl(name, value, Place::Here),
        ["sysctl", "there", name, value] => sysctl(name, value, Place::There),
        ["sysctl", name, value, "if", "present"] => sysctl(name, value, Place::HereIfPresent),
        ["link", name, to @ ("up" | "down")] => Deed::Link(name.to_owned(), to.to_owned()),
        ["veth"] => Deed::Veth,
        ["place", actor, "there"] => Deed::Place(actor.to_owned()),
        ["run", "there", ref command @ ..] => Deed::Run { there: true, command: owned(command) },
        ["run", ref command @ ..] => Deed::Run { there: false, command: owned(command) },
        ["kill", actor] => Deed::Kill(actor.to_owned()),
        ["trace"] => Deed::Trace,
        [actor, "fork", child] => Deed::Fork { actor: actor.to_owned(), child: child.to_owned() },
        [actor, "rename", name] => Deed::Rename { actor: actor.to_owned(), name: name.to_owned() },
        [actor, verb, socket, ref rest @ ..]
            if VERBS.contains(&verb) && !STAGE.contains(&actor) =>
        {
            let rest: Vec<String> = rest.iter().map(|word| full_address(word)).collect();
            Deed::Act {
                actor: actor.to_owned(),
                verb: verb.to_owned(),
                socket: socket.to_owned(),
                command: format!("{verb} {socket} {}", rest.join(" ")).trim().to_owned(),
                error,
            }
        }
        _ => bail!("it is none of the steps that `script.rs` lists"),
    };
    Ok(Step { text: line.to_owned(), deed })
}

fn sysctl(name: &str, value: &str, at: Place) -> Deed {
    Deed::Sysctl { name: name.to_owned(), value: value.to_owned(), at }
}

/// Waits of one scenario differ in length, because expectations refer to them by it.
pub(crate) fn check_waits(steps: &[Step]) -> Result<()> {
    let mut seen = Vec::new();
    for step in steps {
        if let Deed::Wait(duration) = step.deed {
            ensure!(
                !seen.contains(&duration),
                "two waits of {duration:?}; give them different lengths"
            );
            seen.push(duration);
        }
    }
    Ok(())
}

fn full_address(word: &str) -> String {
    match word.strip_prefix(':') {
        Some(port) if port.parse::<u16>().is_ok() => format!("127.0.0.1:{port}"),
        _ => word.to_owned(),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
