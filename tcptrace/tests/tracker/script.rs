//! A small language for what happens to sockets, one thing a line.
//!
//! ```text
//! A 1>4 own cli shut=3       socket A goes from ESTABLISHED to FIN_WAIT1; `cli` is on the CPU and
//!                            owns the lock. Also: dead done err=104 inode kernel repair cookie=7 ns=2
//!                            classic; lo=10.0.0.1/80 re=10.0.0.2/- for its ends, else those usual
//!                            for the socket and the event
//! A 5>5                      the same state again
//! A reset-sent               a hook; also reset-received, destroyed, time-wait-made, orphan-made,
//!                            no-minisock, mini-fin, mini-reset, mini-ended
//! A accepted srv             srv accepts A
//! A row 1 inode              a dump shows A in state 1; `mini` for a minisock, `request`; `rows.rs`
//!                            has the rest
//! dump 1,2                   that dump covered these namespaces and began now; `dump 1 began=-2ms`
//! A holder srv               srv holds A's descriptor; `A holder srv proc` does not know the address
//! sysctl fin_timeout=60      settings of namespace 1
//! end                        the snapshot of which the last dump is a part is complete
//! lost 3                     records were lost
//! +200ms                     time passes
//! tick                       the tracker is told so
//! state                      prints what was counted
//! wants                      prints which namespaces a dump would help, and when to ask again
//! ```
//!
//! Options come first: `option no-reset-hook`, `no-destroy-hook`, `sockets=2`, `minisocks=2`,
//! `addresses`.

#![expect(clippy::panic, reason = "a script with a mistake is a failed test, with a message")]

use std::{net::IpAddr, time::Duration};

use tcptrace::{
    event::{
        Comm, DumpEnd, Endpoint, Ends, Event, Holder, Hook, HookKind, Lost, LostWhy, Process,
        Shape, SocketFields, Sysctl, Sysctls, Transition, Tuple,
    },
    model::{
        change::Change,
        tracker::{Options, Tracker},
    },
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState;

use crate::{
    render::{Renderer, duration},
    rows::row,
};

/// Nothing happens before this moment.
pub(crate) const START: u64 = 1_000_000_000_000;

/// Runs `script` and compares the lines that come of it with `expected`.
pub(crate) fn check(script: &str, expected: &str) {
    let lines = run(script);
    let expected: Vec<_> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(
        lines == expected,
        "\n{script}\ngives\n  {}\ninstead of\n  {}",
        lines.join("\n  "),
        expected.join("\n  ")
    );
}

/// The lines that `script` makes the tracker write.
pub(crate) fn run(script: &str) -> Vec<String> {
    let mut run = Run {
        now: Timestamp(START),
        options: Options::default(),
        compared: true,
        tracker: None,
        renderer: Renderer::default(),
        lines: Vec::new(),
    };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        run.line(&words);
    }
    run.lines
}

/// The events of a script.
pub(crate) fn events(script: &str) -> Vec<Event> {
    let mut now = Timestamp(START);
    let mut events = Vec::new();
    for line in script.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match *words {
            [] => {}
            [time] if time.starts_with('+') => now = shifted(now, time),
            _ => events.push(event(&words, now)),
        }
    }
    events
}

struct Run {
    now: Timestamp,
    options: Options,
    /// The first dump is over: no socket is older than the trace.
    compared: bool,
    tracker: Option<Tracker>,
    renderer: Renderer,
    lines: Vec<String>,
}

impl Run {
    fn line(&mut self, words: &[&str]) {
        match *words {
            ["option", ref options @ ..] => options.iter().for_each(|word| self.option(word)),
            ["tick"] => {
                let now = self.now;
                let mut changes = Vec::new();
                self.tracker().advance_to(now, &mut changes);
                self.tell(&changes);
            }
            ["state"] => self.state(),
            ["wants"] => self.wants(),
            [time] if time.starts_with('+') => self.now = shifted(self.now, time),
            _ => {
                let event = event(words, self.now);
                let mut changes = Vec::new();
                self.tracker().apply(&event, &mut changes);
                self.tell(&changes);
            }
        }
    }

    fn option(&mut self, word: &str) {
        match word.split_once('=') {
            None if word == "no-reset-hook" => self.options.reset_hook = false,
            None if word == "no-destroy-hook" => self.options.destroy_hook = false,
            None if word == "not-compared" => self.compared = false,
            None if word == "addresses" => self.renderer.addresses = true,
            Some(("sockets", count)) => self.options.max_connections = number(count),
            Some(("minisocks", count)) => self.options.max_minisocks = number(count),
            _ => panic!("no such option: {word}"),
        }
    }

    fn tracker(&mut self) -> &mut Tracker {
        self.tracker.get_or_insert_with(|| {
            let mut tracker = Tracker::new(self.options.clone());
            if self.compared {
                let end = DumpEnd { started: Timestamp(0), netns: Vec::new() };
                tracker.apply(&Event::DumpEnd(end), &mut Vec::new());
            }
            tracker
        })
    }

    fn tell(&mut self, changes: &[Change]) {
        // That is for findings only.
        let told = changes.iter().filter(|change| !matches!(change, Change::Released(_)));
        self.lines.extend(told.map(|change| self.renderer.change(change)));
    }

    fn state(&mut self) {
        let tracker = self.tracker();
        let (summary, len) = (*tracker.summary(), tracker.len());
        self.lines.push(format!(
            "followed {len} ended {} uncertain {} evicted {} lost {}",
            summary.connections,
            summary.uncertain,
            summary.evicted,
            summary.lost.total()
        ));
    }

    fn wants(&mut self) {
        let now = self.now;
        let tracker = self.tracker();
        let dump = match tracker.wanted_dump(now) {
            None => "all".to_owned(),
            Some(netns) if netns.is_empty() => "nothing".to_owned(),
            Some(netns) => format!("{netns:?}"),
        };
        let next = match tracker.next_deadline() {
            None => "never".to_owned(),
            Some(at) => at.since(now).map_or("overdue".to_owned(), duration),
        };
        self.lines.push(format!("wants {dump} next {next}"));
    }
}

/// The event that these words describe.
pub(crate) fn event(words: &[&str], now: Timestamp) -> Event {
    match *words {
        ["sysctl", ref settings @ ..] => {
            let settings = settings.iter().map(|setting| sysctl(setting));
            Event::Sysctls(Sysctls::new(1, settings))
        }
        ["end"] => Event::SnapshotEnd(now),
        ["lost", count] => {
            Event::Lost(Lost { at: now, count: number(count), why: LostWhy::RingFull })
        }
        ["dump", netns, ref rest @ ..] => {
            let began = rest.iter().find_map(|word| word.strip_prefix("began="));
            Event::DumpEnd(DumpEnd {
                started: began.map_or(now, |time| shifted(now, time)),
                netns: netns.split(',').filter(|inode| *inode != "-").map(number).collect(),
            })
        }
        [name, what, ref rest @ ..] => {
            let letter = letter(name);
            match what {
                "destroyed" => hook(letter, rest, now, HookKind::Destroyed),
                "reset-sent" => hook(letter, rest, now, HookKind::ResetSent),
                "reset-received" => hook(letter, rest, now, HookKind::ResetReceived),
                "time-wait-made" => hook(letter, rest, now, HookKind::TimeWaitMade),
                "orphan-made" => hook(letter, rest, now, HookKind::OrphanMade),
                "no-minisock" => hook(letter, rest, now, HookKind::NoMinisock),
                "mini-fin" => hook(letter, rest, now, HookKind::MinisockGotFin(ends(letter))),
                "mini-reset" => hook(letter, rest, now, HookKind::MinisockReset(ends(letter))),
                "mini-ended" => hook(letter, rest, now, HookKind::MinisockEnded(ends(letter))),
                "accepted" => hook(letter, &rest[1..], now, HookKind::Accepted(process(rest[0]))),
                "holder" => Event::Holder(Holder {
                    skaddr: (!rest.contains(&"proc")).then(|| skaddr(letter)),
                    cookie: match rest.iter().find_map(|word| word.strip_prefix("cookie=")) {
                        Some(cookie) => cookie.parse().ok(),
                        None => Some(u64::from(u32::from(letter))),
                    },
                    inode: inode(letter),
                    process: process(rest[0]),
                    fd: rest.iter().find_map(|word| word.strip_prefix("fd=")).map_or(3, number),
                }),
                "row" => Event::Socket(row(letter, rest, now, Shape::Full)),
                "mini" => Event::Socket(row(letter, rest, now, Shape::Minisock)),
                "request" => Event::Socket(row(letter, rest, now, Shape::Request)),
                states => Event::Transition(transition(letter, states, rest, now)),
            }
        }
        _ => panic!("what is {words:?}?"),
    }
}

/// `fin_timeout=60`; a `-` stands for a space.
fn sysctl(setting: &str) -> (Sysctl, String) {
    let (name, value) = setting.split_once('=').expect("name=value");
    let find = |prefix: &str| Sysctl::from_name(&format!("{prefix}{name}"));
    let sysctl = find("net.ipv4.tcp_").or_else(|| find("net.ipv4.")).expect("a setting");
    (sysctl, value.replace('-', " "))
}

fn ends(letter: char) -> Ends {
    Ends { netns: 1, tuple: usual_tuple(letter) }
}

fn hook(letter: char, words: &[&str], at: Timestamp, kind: HookKind) -> Event {
    let mut cookie = Some(u64::from(u32::from(letter)));
    for word in words {
        cookie = word.strip_prefix("cookie=").expect("a cookie").parse().ok();
    }
    Event::Hook(Hook { at, skaddr: skaddr(letter), cookie, kind })
}

fn transition(letter: char, states: &str, words: &[&str], at: Timestamp) -> Transition {
    let (from, to) = states.split_once('>').expect("states");
    let (from, to) = (state(from), state(to));
    let mut transition = Transition {
        at,
        skaddr: skaddr(letter),
        cookie: Some(u64::from(u32::from(letter))),
        from,
        to,
        tuple: usual_tuple(letter),
        netns: Some(1),
        socket: Some(SocketFields::default()),
        on_cpu: None,
        counters: None,
        cgroup: None,
        orphan_lifetime: None,
    };
    match (from, to) {
        (TcpState::Close, TcpState::SynSent) => transition.tuple.local.port = None,
        (TcpState::Listen, TcpState::SynRecv) => transition.cookie = None,
        _ if from == TcpState::Listen || to == TcpState::Listen => {
            transition.tuple.remote = Endpoint::default();
        }
        _ => {}
    }
    for word in words {
        change_transition(&mut transition, letter, word);
    }
    transition
}

fn change_transition(transition: &mut Transition, letter: char, word: &str) {
    let mut fields = transition.socket.unwrap_or_default();
    match word.split_once('=') {
        Some(("cookie", cookie)) => transition.cookie = cookie.parse().ok(),
        Some(("ns", netns)) => transition.netns = netns.parse().ok(),
        Some(("lo", end)) => transition.tuple.local = endpoint(end),
        Some(("re", end)) => transition.tuple.remote = endpoint(end),
        Some(("limit", seconds)) => {
            transition.orphan_lifetime = Some(Duration::from_secs(number(seconds)));
        }
        Some(("err", err)) => fields.err = number(err),
        Some(("shut", mask)) => fields.shutdown = number(mask),
        Some(_) => panic!("what is {word}?"),
        None => match word {
            "own" => fields.owned = true,
            "dead" => fields.dead = true,
            "done" => fields.done = true,
            "kernel" => fields.kernel = true,
            "repair" => fields.repair = true,
            "inode" => fields.inode = Some(inode(letter)),
            "ipv6" => transition.tuple.ipv6 = true,
            "v4mapped" => (transition.tuple.ipv6, transition.tuple.v4mapped) = (true, true),
            "classic" => {
                transition.socket = None;
                transition.cookie = None;
                transition.netns = None;
                return;
            }
            name => transition.on_cpu = Some(process(name)),
        },
    }
    transition.socket = transition.socket.map(|_| fields);
}

/// A, B, C… are clients, each with a port of its own; L to P listen on port 80; Q to Z are what
/// `accept()` gives, Q for A, R for B and so on.
pub(crate) fn usual_tuple(letter: char) -> Tuple {
    let client = |number: u32| Endpoint {
        addr: Some(IpAddr::from([10, 0, 0, 1])),
        port: u16::try_from(4000 + number).ok(),
    };
    let server = |last| Endpoint { addr: Some(IpAddr::from([10, 0, 0, last])), port: Some(80) };
    let number = u32::from(letter) - u32::from('A');
    let (local, remote) = match letter {
        'A'..='K' => (client(number), server(2)),
        'L'..='P' => (endpoint("0.0.0.0/80"), Endpoint::default()),
        _ => (server(2), client(number - 16)),
    };
    Tuple { local, remote, v4mapped: false, ipv6: false }
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let (addr, port) = text.split_once('/').expect("address/port");
    Endpoint { addr: addr.parse().ok(), port: port.parse().ok() }
}

fn letter(name: &str) -> char {
    let mut chars = name.chars();
    match (chars.next(), chars.next()) {
        (Some(letter @ 'A'..='Z'), None) => letter,
        _ => panic!("{name} is no socket"),
    }
}

pub(crate) fn skaddr(letter: char) -> u64 {
    0xffff_8881_0000_0000 | u64::from(u32::from(letter))
}

pub(crate) fn inode(letter: char) -> u32 {
    9000 + u32::from(letter)
}

pub(crate) fn process(name: &str) -> Process {
    assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{name} is no process");
    Process { pid: name.bytes().map(u32::from).sum(), comm: Comm::from(name) }
}

pub(crate) fn state(number: &str) -> TcpState {
    number.parse().ok().and_then(TcpState::from_number).expect("a state's number")
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The moment `time` (`+2s`, `-5ms`) from `now`.
pub(crate) fn shifted(now: Timestamp, time: &str) -> Timestamp {
    let (sign, rest) = time.split_at(1);
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &rest[digits.len()..] {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        unit => panic!("{unit} is no unit"),
    };
    let ns = number::<u64>(digits) * unit;
    Timestamp(if sign == "-" { now.0 - ns } else { now.0 + ns })
}
