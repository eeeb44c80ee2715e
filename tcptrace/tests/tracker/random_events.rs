//! Events in arbitrary order over a few sockets: mostly what a kernel might say, now and then not.

use std::{net::IpAddr, time::Duration};

use proptest::{collection::vec, prelude::*};
use tcptrace::{
    event::{
        Comm, DumpEnd, Endpoint, Ends, Event, Holder, Hook, HookKind, Lost, LostWhy, Process,
        Shape, Socket, SocketFields, Timer, TimerKind, Transition, Tuple,
    },
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState::{self, *};

/// Nothing happens before this moment.
pub(crate) const START: Timestamp = Timestamp(1_000_000_000_000);

/// States that the tracepoint names.
const NAMED: [TcpState; 10] =
    [Established, SynSent, SynRecv, FinWait1, FinWait2, Close, CloseWait, LastAck, Listen, Closing];

/// Sequences of up to `length` events, in the order of their time.
pub(crate) fn events(length: usize) -> impl Strategy<Value = Vec<Event>> {
    events_among(&NAMED, length)
}

/// The same with states that no kernel would name, as a damaged recording might.
pub(crate) fn absurd_events(length: usize) -> impl Strategy<Value = Vec<Event>> {
    events_among(&TcpState::ALL, length)
}

fn events_among(states: &'static [TcpState], length: usize) -> impl Strategy<Value = Vec<Event>> {
    let step = (any::<u8>(), 0..4_u64, any::<u32>(), 0..STEPS.len());
    vec(step, 1..length).prop_map(move |steps| {
        let mut host = Host { now: START, states: [Close; 4], possible: states };
        let event = |(what, socket, dice, step)| host.event(what, socket, Dice(dice), STEPS[step]);
        steps.into_iter().map(event).collect()
    })
}

/// Time between two events, in nanoseconds; never none, so that no two connections begin at once.
const STEPS: [u64; 7] = [1, 900, 30_000, 700_000, 40_000_000, 2_000_000_000, 61_000_000_000];

/// Numbers as they are needed, from one random one.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        let rolled = self.0 % sides;
        self.0 = (self.0 / sides).wrapping_mul(2_654_435_761).wrapping_add(12_345) >> 3;
        rolled
    }

    fn one_in(&mut self, sides: u32) -> bool {
        self.roll(sides) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll(all.len() as u32)).expect("an index")]
    }
}

/// What the sockets are really doing.
struct Host {
    now: Timestamp,
    states: [TcpState; 4],
    /// What else they may be said to do.
    possible: &'static [TcpState],
}

impl Host {
    fn event(&mut self, what: u8, socket: u64, mut dice: Dice, step: u64) -> Event {
        self.now = Timestamp(self.now.0 + step);
        let at = self.now;
        match what {
            0..160 => Event::Transition(self.transition(socket, &mut dice)),
            160..175 => Event::Hook(Hook {
                at,
                skaddr: skaddr(socket),
                cookie: cookie(socket, &mut dice),
                kind: hook(socket, &mut dice),
            }),
            175..215 => Event::Socket(self.row(socket, &mut dice)),
            215..240 => Event::DumpEnd(DumpEnd {
                started: Timestamp(at.0 - u64::from(dice.roll(3)) * 600_000),
                netns: dice.one_of(&[&[1][..], &[1, 2], &[2], &[]]).to_vec(),
            }),
            240..248 => Event::Holder(Holder {
                skaddr: (!dice.one_in(3)).then(|| skaddr(socket)),
                cookie: cookie(socket, &mut dice),
                inode: inode(socket),
                process: process(&mut dice),
                fd: 3,
            }),
            _ => Event::Lost(Lost { at, count: 1, why: LostWhy::RingFull }),
        }
    }

    fn transition(&mut self, socket: u64, dice: &mut Dice) -> Transition {
        let slot = usize::try_from(socket).expect("an index");
        let real = self.states[slot];
        let (from, to) = if dice.one_in(12) {
            (dice.one_of(self.possible), dice.one_of(self.possible))
        } else if real == Close && dice.one_in(2) {
            (Listen, SynRecv)
        } else {
            (real, dice.one_of(followers(real)))
        };
        self.states[slot] = to;
        let fields = SocketFields {
            owned: dice.one_in(3),
            dead: dice.one_in(2),
            done: dice.one_in(2),
            err: dice.one_of(&[0, 0, 0, 104, 110, 103, 71]),
            shutdown: 0,
            kernel: dice.one_in(20),
            repair: dice.one_in(30),
            inode: dice.one_in(2).then(|| inode(socket)),
        };
        let classic = dice.one_in(25);
        Transition {
            at: self.now,
            skaddr: skaddr(socket),
            cookie: if classic || from == Listen { None } else { cookie(socket, dice) },
            from,
            to,
            tuple: tuple(socket, dice),
            netns: (!classic).then_some(1),
            socket: (!classic).then_some(fields),
            on_cpu: dice.one_in(2).then(|| process(dice)),
            counters: None,
            cgroup: None,
            orphan_lifetime: dice.one_in(2).then(|| Duration::from_secs(2)),
        }
    }

    fn row(&self, socket: u64, dice: &mut Dice) -> Socket {
        let at = Timestamp(self.now.0 - u64::from(dice.roll(4)) * 400_000);
        let real = self.states[usize::try_from(socket).expect("an index")];
        let minisock = dice.one_in(2);
        let state = match () {
            () if minisock => dice.one_of(&[FinWait2, TimeWait]),
            () if dice.one_in(6) => dice.one_of(self.possible),
            () => real,
        };
        let shape = if minisock { Shape::Minisock } else { Shape::Full };
        let left = i64::from(dice.roll(130)) * 500_000_000 - 3_000_000_000;
        Socket {
            at,
            skaddr: (!minisock && !dice.one_in(3)).then(|| skaddr(socket)),
            cookie: cookie(socket, dice),
            state,
            shape: if dice.one_in(20) { Shape::Request } else { shape },
            tuple: tuple(socket, dice),
            netns: 1,
            inode: None,
            kernel: None,
            recv_q: 0,
            send_q: 0,
            timer: dice.one_in(2).then(|| Timer {
                kind: TimerKind::Timewait,
                expires: Timestamp(at.0.saturating_add_signed(left)),
                retransmits: 0,
            }),
            last_ack: None,
            last_data: None,
            last_sent: None,
            waiting: None,
            cgroup: None,
        }
    }
}

fn hook(socket: u64, dice: &mut Dice) -> HookKind {
    let ends = Ends { netns: 1, tuple: tuple(socket, dice) };
    let process = process(dice);
    dice.one_of(&[
        HookKind::Destroyed,
        HookKind::ResetReceived,
        HookKind::ResetSent,
        HookKind::Accepted(process),
        HookKind::TimeWaitMade,
        HookKind::OrphanMade,
        HookKind::NoMinisock,
        HookKind::MinisockGotFin(ends),
        HookKind::MinisockReset(ends),
        HookKind::MinisockEnded(ends),
    ])
}

fn followers(state: TcpState) -> &'static [TcpState] {
    match state {
        Close => &[SynSent, SynSent, Listen],
        SynSent => &[Established, SynRecv, Close],
        SynRecv => &[Established, FinWait1, CloseWait, Close],
        Established => &[FinWait1, CloseWait, Close],
        FinWait1 => &[FinWait2, FinWait2, Closing, FinWait1, Close],
        CloseWait => &[LastAck, Close],
        FinWait2 => &[FinWait2, Close],
        _ => &[Close],
    }
}

fn skaddr(socket: u64) -> u64 {
    0xffff_8881_0000_0000 | (u64::from(b'A') + socket)
}

fn inode(socket: u64) -> u32 {
    9000 + u32::try_from(socket).expect("a small number")
}

/// The socket's own cookie, as a rule, else that of another at the same address.
fn cookie(socket: u64, dice: &mut Dice) -> Option<u64> {
    match dice.roll(16) {
        0 => None,
        1 => Some(u64::from(b'a') + socket),
        _ => Some(u64::from(b'A') + socket),
    }
}

/// Sockets 0 and 2 have the same ends.
fn tuple(socket: u64, dice: &mut Dice) -> Tuple {
    let end = |port| Endpoint { addr: Some(IpAddr::from([10, 0, 0, 1])), port: Some(port) };
    let port = 4000 + u16::try_from(socket % 2).expect("a small number");
    let mut tuple = Tuple { local: end(port), remote: end(80), v4mapped: false, ipv6: false };
    match dice.roll(12) {
        0 => tuple.local.port = None,
        1 => tuple.remote = Endpoint::default(),
        2 => tuple.local.port = Some(5000),
        _ => {}
    }
    tuple
}

fn process(dice: &mut Dice) -> Process {
    Process { pid: 7 + dice.roll(2), comm: Comm::from("srv") }
}
