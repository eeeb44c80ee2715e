//! Minisocks: the small kernel objects that stand for a connection in TIME_WAIT, and for an orphan
//! in FIN_WAIT2, after the full socket has gone. No tracepoint speaks of them.

mod deadlines;

use std::{collections::HashSet, net::IpAddr, time::Duration};

use deadlines::{Deadlines, Id};
use slab::Slab;
use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Counters, Endpoint, Tuple},
    model::{change::ConnectionId, connection::Connection, map::HashMap, places::Places},
    time::Timestamp,
};

/// How long after its deadline a minisock is given up although no dump has looked. The kernel's timer
/// wheel rounds a timer of 60 s up to whole 512 jiffies, at 1000 Hz to 4,096 (`calc_wheel_index`, 5.10 to
/// 7.2): it fires up to 2.05 s late at 250 Hz, 4.1 s at 1000 Hz, and 5.12 s at 100 Hz.
const GRACE: Duration = Duration::from_secs(6);
/// When to look whether an orphan in FIN_WAIT2 has received its FIN meanwhile.
const LOOK_AT_ORPHAN: Duration = Duration::from_secs(1);
/// When to look whether a minisock has ended, counted from its deadline.
const LOOK_AFTER_DEADLINE: Duration = Duration::from_millis(300);
/// When to try again to look into a namespace that could not be walked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A minisock and the connection it stands for.
#[derive(Clone, Debug)]
pub struct Minisock {
    /// The connection; its state is FIN_WAIT2 or TIME_WAIT.
    pub connection: Connection,
    /// When it ends if nothing happens to it.
    pub deadline: Timestamp,
    /// The deadline is the kernel's own: the constant of TIME_WAIT, or what the event or a dump said.
    /// Else it is a guess, which no line may rest on.
    pub timed: bool,
    /// Counters that the full socket had at its end, until the connection is reported.
    pub counters: Option<Counters>,
}

/// Namespace and both ends; a v4-mapped socket and an IPv4 one share their addresses. As numbers, of
/// which 0 stands for what is unknown: it is hashed for every connection.
type Key = (u32, u128, u128, u32);

/// The minisocks of one network namespace.
#[derive(Debug)]
struct Namespace {
    minisocks: usize,
    /// When a dump of it could tell something.
    look: Timestamp,
}

/// All minisocks that are being followed, bounded.
#[derive(Debug, Default)]
pub struct Minisocks {
    all: Slab<Minisock>,
    by_tuple: Places,
    /// Of those in FIN_WAIT2, which are few.
    orphans: HashMap<ConnectionId, usize>,
    orphans_by_cookie: HashMap<u64, usize>,
    deadlines: Deadlines,
    namespaces: HashMap<u32, Namespace>,
}

fn key(netns: Option<u32>, tuple: &Tuple) -> Key {
    let address = |end: &Endpoint| match end.addr {
        Some(IpAddr::V4(addr)) => addr.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(addr)) => addr.to_bits(),
        None => 0,
    };
    let port = |end: &Endpoint| u32::from(end.port.unwrap_or_default());
    let ports = port(&tuple.local) << 16 | port(&tuple.remote);
    (netns.unwrap_or_default(), address(&tuple.local), address(&tuple.remote), ports)
}

fn key_of(minisock: &Minisock) -> Key {
    key(minisock.connection.netns(), &minisock.connection.tuple())
}

impl Minisocks {
    /// Number of minisocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Minisock> {
        self.all.iter().map(|(_, minisock)| minisock)
    }

    /// Adds a minisock; the one that stood at the same addresses before is returned.
    pub fn insert(&mut self, minisock: Minisock) -> Option<Minisock> {
        let connection = &minisock.connection;
        let (id, netns, key) = (connection.id(), connection.netns(), key_of(&minisock));
        let replaced = self.find(&key).and_then(|place| self.remove(place));
        if let Some(netns) = netns {
            let look = look_at(&minisock, connection.last_seen());
            let namespace =
                self.namespaces.entry(netns).or_insert(Namespace { minisocks: 0, look });
            namespace.minisocks += 1;
            namespace.look = namespace.look.min(look);
        }
        let (deadline, state, cookie) =
            (minisock.deadline, connection.state(), connection.cookie());
        let place = self.all.insert(minisock);
        self.by_tuple.insert(&key, place);
        if state == TcpState::FinWait2 {
            self.orphans.insert(id, place);
            cookie.into_iter().for_each(|cookie| {
                self.orphans_by_cookie.insert(cookie, place);
            });
        }
        self.deadlines.insert(deadline, (id, place));
        replaced
    }

    /// Changes the minisock in this place and notes its new deadline.
    pub fn update(&mut self, place: usize, change: impl FnOnce(&mut Minisock)) {
        let Some(minisock) = self.all.get_mut(place) else {
            return;
        };
        let before = minisock.deadline;
        change(minisock);
        let look = look_at(minisock, minisock.connection.last_seen());
        let Minisock { connection, deadline, .. } = minisock;
        let (id, netns, deadline) = (connection.id(), connection.netns(), *deadline);
        let (state, cookie) = (connection.state(), connection.cookie());
        if deadline != before {
            self.forget_deadline(before, id, place);
            self.deadlines.insert(deadline, (id, place));
        }
        if let Some(namespace) = netns.and_then(|netns| self.namespaces.get_mut(&netns)) {
            namespace.look = namespace.look.min(look);
        }
        if state != TcpState::FinWait2 {
            self.forget_orphan(cookie, id, place);
        }
    }

    /// The minisock in this place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&Minisock> {
        self.all.get(place)
    }

    /// The orphan in FIN_WAIT2 of this connection.
    #[must_use]
    pub fn orphan(&self, id: ConnectionId) -> Option<&Minisock> {
        self.all.get(*self.orphans.get(&id)?)
    }

    /// Whether any is an orphan in FIN_WAIT2.
    #[must_use]
    pub fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Where the minisock at these addresses lies.
    #[must_use]
    pub fn place_at(&self, netns: Option<u32>, tuple: &Tuple) -> Option<usize> {
        if self.is_empty() { None } else { self.find(&key(netns, tuple)) }
    }

    /// The minisock at these addresses.
    #[must_use]
    pub fn at(&self, netns: Option<u32>, tuple: &Tuple) -> Option<&Minisock> {
        self.all.get(self.place_at(netns, tuple)?)
    }

    /// Removes the minisock at these addresses.
    pub fn remove_at(&mut self, netns: Option<u32>, tuple: &Tuple) -> Option<Minisock> {
        self.remove(self.place_at(netns, tuple)?)
    }

    /// Removes the orphan with this cookie.
    pub fn remove_orphan(&mut self, cookie: u64) -> Option<Minisock> {
        self.remove(*self.orphans_by_cookie.get(&cookie)?)
    }

    fn find(&self, key: &Key) -> Option<usize> {
        self.by_tuple.find(key, |place| self.all.get(place).is_some_and(|it| key_of(it) == *key))
    }

    fn remove(&mut self, place: usize) -> Option<Minisock> {
        let minisock = self.all.try_remove(place)?;
        let connection = &minisock.connection;
        self.by_tuple.remove(&key_of(&minisock), place);
        if connection.state() == TcpState::FinWait2 {
            self.forget_orphan(connection.cookie(), connection.id(), place);
        }
        self.forget_deadline(minisock.deadline, connection.id(), place);
        if let Some(netns) = connection.netns()
            && let Some(namespace) = self.namespaces.get_mut(&netns)
        {
            namespace.minisocks -= 1;
            if namespace.minisocks == 0 {
                self.namespaces.remove(&netns);
            }
        }
        Some(minisock)
    }

    fn forget_deadline(&mut self, deadline: Timestamp, id: ConnectionId, place: usize) {
        let Self { all, deadlines, .. } = self;
        let is_valid = |at, (id, place): Id| {
            all.get(place)
                .is_some_and(|minisock| minisock.deadline == at && minisock.connection.id() == id)
        };
        deadlines.remove(deadline, (id, place), all.len(), is_valid);
    }

    fn forget_orphan(&mut self, cookie: Option<u64>, id: ConnectionId, place: usize) {
        if self.orphans.remove(&id).is_some()
            && let Some(cookie) = cookie
            && self.orphans_by_cookie.get(&cookie) == Some(&place)
        {
            self.orphans_by_cookie.remove(&cookie);
        }
    }

    /// Removes the minisock that ends first.
    pub fn remove_first(&mut self) -> Option<Minisock> {
        let (_, (_, place)) = self.deadlines.first()?;
        self.remove(place)
    }

    /// When the deadline of the first minisock will have passed so long ago that no dump will tell
    /// of it.
    #[must_use]
    pub fn overdue_at(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| deadline + GRACE)
    }

    /// Removes what a dump of these namespaces, begun at `started`, should have named but did not;
    /// sorted, so that a replay tells it in the same order.
    pub fn remove_absent(&mut self, started: Timestamp, netns: &HashSet<u32>) -> Vec<Minisock> {
        let mut absent: Vec<_> = self
            .all
            .iter()
            .map(|(place, minisock)| (&minisock.connection, place))
            .filter(|(connection, _)| {
                connection.last_seen() < started
                    && connection.netns().is_some_and(|inode| netns.contains(&inode))
            })
            .map(|(connection, place)| (connection.id(), place))
            .collect();
        absent.sort_unstable();
        absent.into_iter().filter_map(|(_, place)| self.remove(place)).collect()
    }

    /// Plans the next look, after a dump of these namespaces that began at `started`. One that was
    /// due and is not among them could not be walked.
    pub fn plan_looks(&mut self, started: Timestamp, netns: &HashSet<u32>) {
        for (inode, namespace) in &mut self.namespaces {
            if netns.contains(inode) {
                namespace.look = Timestamp(u64::MAX);
            } else if namespace.look <= started {
                namespace.look = started + LOOK_AGAIN;
            }
        }
        for (_, minisock) in &self.all {
            if let Some(inode) = minisock.connection.netns()
                && netns.contains(&inode)
                && let Some(namespace) = self.namespaces.get_mut(&inode)
            {
                namespace.look = namespace.look.min(look_at(minisock, started));
            }
        }
    }

    /// The namespaces in which a dump could tell something by now, ascending.
    #[must_use]
    pub fn worth_a_look(&self, now: Timestamp) -> Vec<u32> {
        let due = self.namespaces.iter().filter(|(_, namespace)| namespace.look <= now);
        let mut netns: Vec<_> = due.map(|(&inode, _)| inode).collect();
        netns.sort_unstable();
        netns
    }

    /// When a look is worth it next.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        self.namespaces.values().map(|namespace| namespace.look).min()
    }
}

fn look_at(minisock: &Minisock, now: Timestamp) -> Timestamp {
    let after_deadline = (minisock.deadline + LOOK_AFTER_DEADLINE).max(now + LOOK_AFTER_DEADLINE);
    if minisock.connection.state() == TcpState::FinWait2 {
        after_deadline.min(now + LOOK_AT_ORPHAN)
    } else {
        after_deadline
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::IpAddr, time::Duration};

    use tcptrace_common::tcp_state::TcpState;

    use super::{Minisock, Minisocks};
    use crate::{
        event::{Endpoint, Shape, Socket, Tuple},
        model::connection::Connection,
        time::Timestamp,
    };

    fn minisock(port: u16, netns: u32, at: Timestamp) -> Minisock {
        let end = |port| Endpoint { addr: Some(IpAddr::from([10, 0, 0, 1])), port: Some(port) };
        let socket = Socket {
            at,
            skaddr: None,
            cookie: Some(u64::from(port)),
            state: TcpState::TimeWait,
            shape: Shape::Minisock,
            tuple: Tuple { local: end(port), remote: end(80), v4mapped: false, ipv6: false },
            netns,
            inode: None,
            kernel: None,
            recv_q: 0,
            send_q: 0,
            timer: None,
            last_ack: None,
            last_data: None,
            last_sent: None,
            waiting: None,
            cgroup: None,
        };
        Minisock {
            connection: Connection::from_socket(&socket),
            deadline: at + Duration::from_secs(60),
            timed: false,
            counters: None,
        }
    }

    #[test]
    fn dump_after_dump_takes_no_more_memory() {
        let mut minisocks = Minisocks::default();
        let begun = Timestamp(1_000_000_000_000);
        for port in 1..=100 {
            minisocks.insert(minisock(port, u32::from(port % 3), begun));
        }
        let places: Vec<_> = minisocks.all.iter().map(|(place, _)| place).collect();
        for dump in 0..100 {
            for &place in &places {
                minisocks.update(place, |minisock| minisock.deadline = Timestamp(begun.0 + dump));
            }
            minisocks.plan_looks(begun, &HashSet::from([0, 1]));
        }
        assert_eq!(minisocks.namespaces.len(), 3);
        assert!(minisocks.deadlines.len() < 2_000, "{}", minisocks.deadlines.len());
        while minisocks.remove_first().is_some() {}
        assert!(minisocks.is_empty() && minisocks.by_tuple.is_empty());
        assert!(minisocks.deadlines.first().is_none() && minisocks.namespaces.is_empty());
        assert_eq!((minisocks.overdue_at(), minisocks.next_look()), (None, None));
    }
}
