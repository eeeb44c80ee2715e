//! Events as a host with many connections makes them, one after the other and without a kernel.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use tcptrace::{
    event::{
        Comm, Counters, Endpoint, Event, Hook, HookKind, Process, SocketFields, Transition, Tuple,
    },
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
};

/// Nanoseconds from one event to the next: a busy host, of whose closed connections half a million are in
/// TIME_WAIT at any time.
const PACE_NS: u64 = 10_000;

const SERVERS: u64 = 100;
const PROCESSES: u64 = 20;

/// Who is at an end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

/// The way of a connection, both ends in the order in which they move. The last is the end of the
/// server's socket, which is an event without a transition.
const WAY: [(Side, TcpState, TcpState); 11] = [
    (Client, Close, SynSent),
    (Server, Listen, SynRecv),
    (Server, SynRecv, Established),
    (Client, SynSent, Established),
    (Client, Established, FinWait1),
    (Server, Established, CloseWait),
    (Client, FinWait1, FinWait2),
    (Server, CloseWait, LastAck),
    (Client, FinWait2, Close),
    (Server, LastAck, Close),
    (Server, Close, Close),
];

/// Steps until both ends of a connection are established.
const STEPS_TO_ESTABLISHED: u64 = 4;

/// Connections of which all that are open take a step each, in turn.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    open: u64,
    /// Sets its addresses and sockets apart from those of other traffic.
    number: u8,
    /// Each turn takes them in another order, as one that comes back to them at random does.
    is_scattered: bool,
}

impl Traffic {
    /// When it begins.
    pub const START: Timestamp = Timestamp(1_000_000_000);

    /// So many connections, at least one, with two sockets each. Traffic of another `number` has no socket
    /// in common.
    #[must_use]
    pub const fn new(open: u64, number: u8) -> Self {
        Self { open, number, is_scattered: false }
    }

    /// The same, but each turn takes the connections in another order.
    #[must_use]
    pub const fn scattered(self) -> Self {
        Self { is_scattered: true, ..self }
    }

    /// How many events it takes until all connections are established.
    #[must_use]
    pub const fn until_established(&self) -> u64 {
        self.open * STEPS_TO_ESTABLISHED
    }

    /// How many events there are until all connections are over and the next begin.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.open * WAY.len() as u64
    }

    /// What sets it apart from other traffic.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// When the event of this number is, if there is no other traffic.
    #[must_use]
    pub fn time(number: u64) -> Timestamp {
        Timestamp(Self::START.0 + number * PACE_NS + scatter(number) % PACE_NS)
    }

    /// The event of this number, at that time.
    #[must_use]
    pub fn event(&self, number: u64, at: Timestamp) -> Event {
        let steps = WAY.len() as u64;
        let (turn, place) = (number / self.open, number % self.open);
        let slot =
            if self.is_scattered { place * stride(self.open, turn) % self.open } else { place };
        let step = turn % steps;
        let connection = turn / steps * self.open + slot;
        let (side, from, to) = WAY[step as usize];
        // Sockets of the two sides; the addresses are used again at once, as those of the kernel are.
        let socket = 2 * slot + u64::from(side == Server);
        let skaddr = 0xffff_8881_0000_0000 + (u64::from(self.number) << 36) + socket * 0x1000;
        let cookie =
            (u64::from(self.number) << 40) + 2 * connection + 1 + u64::from(side == Server);
        if from == to {
            return Event::Hook(Hook {
                at,
                skaddr,
                cookie: Some(cookie),
                kind: HookKind::Destroyed,
            });
        }
        let owned = matches!(to, SynSent | FinWait1 | LastAck);
        // The kernel has not chosen it yet when the first event comes.
        let port = (to != SynSent).then(|| 1024 + (connection / SERVERS % 60_000) as u16);
        let client = end(Ipv4Addr::new(10, 0, 0, 1), port);
        let server =
            end(Ipv4Addr::new(10, 1, self.number, (connection % SERVERS) as u8), Some(443));
        let (local, remote) = if side == Client { (client, server) } else { (server, client) };
        let process = (scatter(connection) % PROCESSES) as u32;
        Event::Transition(Transition {
            at,
            skaddr,
            cookie: (from != Listen).then_some(cookie),
            from,
            to,
            tuple: Tuple { local, remote, v4mapped: false, ipv6: false },
            netns: Some(4_026_531_840),
            socket: Some(SocketFields {
                owned,
                dead: matches!(from, FinWait1 | FinWait2 | LastAck),
                done: matches!(from, FinWait2 | CloseWait | LastAck),
                shutdown: if matches!(from, FinWait1 | FinWait2 | CloseWait | LastAck) {
                    3
                } else {
                    0
                },
                inode: matches!(to, SynSent | FinWait1)
                    .then_some(100_000 + (connection % 1_000_000) as u32),
                ..SocketFields::default()
            }),
            on_cpu: owned.then(|| Process {
                pid: 1000 + process,
                comm: Comm::from(format!("worker-{process}").as_str()),
            }),
            counters: (to == Close).then(|| Counters {
                tx_bytes: 200 + scatter(cookie) % 5000,
                rx_bytes: 300 + scatter(!cookie) % 90_000,
                retransmits: 0,
                srtt_us: Some(50 + (scatter(cookie) % 400) as u32),
            }),
            cgroup: (owned || to == Close).then_some(4242),
            orphan_lifetime: (from == FinWait2).then_some(Duration::from_secs(60)),
        })
    }
}

/// A step that has no divisor in common with `open`, so that walking by it comes to all.
fn stride(open: u64, turn: u64) -> u64 {
    // Near the golden section, where one is far from the next and from the one before.
    let mut stride = open * (618 + turn % 50) / 1000 + 1;
    while common_divisor(stride, open) > 1 {
        stride += 1;
    }
    stride
}

const fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// A number that looks like any other, so that columns are no easier to compress than real ones.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn end(address: Ipv4Addr, port: Option<u16>) -> Endpoint {
    Endpoint { addr: Some(IpAddr::V4(address)), port }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The tracker would call anything else uncertain, and that costs more.
    #[test]
    fn every_socket_goes_on_from_where_it_was() {
        const OPEN: u64 = 1000;
        for traffic in [Traffic::new(OPEN, 0), Traffic::new(OPEN, 1).scattered()] {
            let mut states: HashMap<u64, TcpState> = HashMap::new();
            let mut ended = 0;
            for number in 0..3 * OPEN * WAY.len() as u64 {
                match traffic.event(number, Traffic::time(number)) {
                    Event::Transition(transition) => {
                        let before = states.insert(transition.skaddr, transition.to);
                        let is_new = matches!(transition.from, Close | Listen);
                        assert!(
                            is_new && before.is_none_or(|state| state == Close)
                                || before == Some(transition.from)
                        );
                    }
                    Event::Hook(hook) => {
                        assert_eq!(states.get(&hook.skaddr), Some(&Close));
                        ended += 1;
                    }
                    other => assert_eq!(None, Some(other)),
                }
            }
            assert_eq!(ended, 3 * OPEN);
        }
    }

    #[test]
    fn all_are_established_when_it_says_so() {
        let traffic = Traffic::new(7, 3).scattered();
        let mut states: HashMap<u64, TcpState> = HashMap::new();
        for number in 0..traffic.until_established() {
            if let Event::Transition(transition) = traffic.event(number, Traffic::time(number)) {
                states.insert(transition.skaddr, transition.to);
            }
        }
        assert_eq!(states.len(), 14);
        assert!(states.values().all(|state| *state == Established));
    }

    #[test]
    fn each_turn_comes_to_all() {
        for (open, turn) in [(1, 0), (2, 3), (1000, 7), (500_000, 11)] {
            assert_eq!(common_divisor(stride(open, turn), open), 1, "{open} {turn}");
        }
    }
}
