//! Recordings to export.

use std::{fs, net::IpAddr, path::Path};

use tcptrace::{
    event::{
        Comm, Counters, Endpoint, Event, Lost, LostWhy, Process, SocketFields, Transition, Tuple,
    },
    recording::{Compression, Encoder, Metadata},
    time::{ClockSample, Timestamp},
};
use tcptrace_common::tcp_state::TcpState;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const HOUR: u64 = 3600 * SECOND;

/// When recordings begin: 2026-11-21T10:30:00Z.
const CLOCK: ClockSample =
    ClockSample { boot: Timestamp(HOUR), wall_ns: 1_795_257_000_000_000_000 };

/// What describes a recording of `host`.
pub(crate) fn of(host: &str) -> Metadata {
    Metadata {
        tool: "0.0.9".to_owned(),
        host: host.to_owned(),
        kernel: "6.1.0".to_owned(),
        boot_id: "b007".to_owned(),
        clock: CLOCK,
        command_line: "tcptrace record".to_owned(),
        reset_hook: true,
        destroy_hook: true,
        ..Metadata::default()
    }
}

/// Writes a recording to `name` in `folder`.
pub(crate) fn write(folder: &Path, name: &str, metadata: &Metadata, events: &[Event]) {
    fs::write(folder.join(name), bytes(metadata, &[events])).expect("a file");
}

/// A recording in as many batches.
pub(crate) fn bytes(metadata: &Metadata, batches: &[&[Event]]) -> Vec<u8> {
    let mut encoder = encoder(metadata);
    let mut bytes = Vec::new();
    for events in batches {
        events.iter().for_each(|event| encoder.add(event));
        bytes.extend(encoder.close_batch().expect("a batch"));
    }
    bytes.extend(encoder.finish().expect("an end"));
    bytes
}

pub(crate) fn encoder(metadata: &Metadata) -> Encoder {
    Encoder::new(metadata, Compression::Zstd).expect("an encoder")
}

/// One of each sort: closed in order, refused, IPv6 and v4-mapped, of which little is known; and a
/// loss.
pub(crate) fn events() -> Vec<Event> {
    let v6 = |tuple: Tuple| Tuple {
        local: Endpoint { addr: address("2001:db8::1"), ..tuple.local },
        remote: Endpoint { addr: address("2001:db8::2"), ..tuple.remote },
        ipv6: true,
        ..tuple
    };
    let mapped = |tuple: Tuple| Tuple { ipv6: true, v4mapped: true, ..tuple };
    let mut events = closed(1, 0, |tuple| tuple);
    events.extend(refused(2, 2 * SECOND));
    events.extend(closed(3, 3 * SECOND, v6));
    events.extend(closed(4, 4 * SECOND, mapped));
    let lost = Lost { at: time(5 * SECOND), count: 7, why: LostWhy::RingFull };
    events.push(Event::Lost(lost));
    events.extend(unknown(5, 6 * SECOND));
    // By now TIME_WAIT is over.
    events.push(Event::Tick(time(120 * SECOND)));
    events
}

/// `hours` with as many connections in each, and the hours after that in which TIME_WAIT ends.
pub(crate) fn hours(hours: &[u64], connections: u16) -> Vec<Event> {
    let mut events = Vec::new();
    for hour in hours {
        for number in 0..connections {
            let at = hour * HOUR + u64::from(number) * SECOND;
            events.extend(closed(100 + number, at, |tuple| tuple));
        }
    }
    events
}

fn time(ns: u64) -> Timestamp {
    Timestamp(CLOCK.boot.0 + ns)
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// This end closes first.
fn closed(number: u16, at: u64, ends: impl Fn(Tuple) -> Tuple) -> Vec<Event> {
    let step = |offset, from, to| Transition {
        tuple: ends(tuple(number)),
        ..transition(number, at + offset, from, to)
    };
    let counters = Counters {
        tx_bytes: 1000,
        rx_bytes: u64::from(number),
        retransmits: 1,
        srtt_us: Some(250),
    };
    let mut opening = step(0, TcpState::Close, TcpState::SynSent);
    opening.tuple.local.port = None;
    let done = SocketFields { done: true, dead: true, ..SocketFields::default() };
    [
        owned(opening),
        step(1_000, TcpState::SynSent, TcpState::Established),
        owned(step(5_000, TcpState::Established, TcpState::FinWait1)),
        step(6_500, TcpState::FinWait1, TcpState::FinWait2),
        Transition {
            socket: Some(done),
            counters: Some(counters),
            ..step(9_000, TcpState::FinWait2, TcpState::Close)
        },
    ]
    .map(Event::Transition)
    .into()
}

fn refused(number: u16, at: u64) -> Vec<Event> {
    const ECONNREFUSED: u16 = 111;
    let opening = owned(transition(number, at, TcpState::Close, TcpState::SynSent));
    let failed = SocketFields { err: ECONNREFUSED, ..SocketFields::default() };
    let closing = transition(number, at + 700, TcpState::SynSent, TcpState::Close);
    let closing = Transition {
        socket: Some(failed),
        counters: Some(Counters { srtt_us: None, ..Counters::default() }),
        ..closing
    };
    vec![Event::Transition(opening), Event::Transition(closing)]
}

/// From the classic tracepoint, which knows little.
fn unknown(number: u16, at: u64) -> Vec<Event> {
    let known = transition(number, at, TcpState::Established, TcpState::CloseWait);
    let bare = Transition { cookie: None, netns: None, socket: None, ..known };
    vec![Event::Transition(Transition { tuple: Tuple::default(), ..bare })]
}

fn tuple(number: u16) -> Tuple {
    Tuple {
        local: Endpoint { addr: address("10.0.0.1"), port: Some(20_000 + number) },
        remote: Endpoint { addr: address("10.0.0.2"), port: Some(443) },
        v4mapped: false,
        ipv6: false,
    }
}

fn transition(number: u16, at: u64, from: TcpState, to: TcpState) -> Transition {
    Transition {
        at: time(at),
        skaddr: 0xffff_8881_0000_0000 + u64::from(number),
        cookie: Some(number.into()),
        from,
        to,
        tuple: tuple(number),
        netns: Some(4_026_531_840),
        socket: Some(SocketFields::default()),
        on_cpu: None,
        counters: None,
        cgroup: None,
        orphan_lifetime: None,
    }
}

/// By a process whose name is no text, and not safe to print.
fn owned(transition: Transition) -> Transition {
    let comm = Comm(*b"\x1b[31m\"a,b\" \xff\0\0\0\0");
    Transition {
        socket: Some(SocketFields { owned: true, ..SocketFields::default() }),
        on_cpu: Some(Process { pid: 812, comm }),
        ..transition
    }
}
