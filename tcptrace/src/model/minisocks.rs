//! Minisocks: the small kernel objects that stand for a connection in TIME_WAIT, and for an orphan
//! in FIN_WAIT2, after the full socket has gone. No tracepoint speaks of them.

mod deadlines;

use std::{collections::HashSet, net::IpAddr, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use deadlines::Deadlines;

use crate::{
    event::{Counters, Endpoint, Tuple},
    model::{change::ConnectionId, connection::Connection, map::HashMap},
    time::Timestamp,
};

/// How long after its deadline a minisock is given up although no dump has looked. The kernel's
/// timer wheel fires a 60 s timer up to about a second late (60.27 s were measured).
const GRACE: Duration = Duration::from_secs(3);
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
    pub connection: Box<Connection>,
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
    by_id: HashMap<ConnectionId, Minisock>,
    by_tuple: HashMap<Key, ConnectionId>,
    orphans_by_cookie: HashMap<u64, ConnectionId>,
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

impl Minisocks {
    /// Number of minisocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds a minisock; the one that stood at the same addresses before is returned.
    pub fn insert(&mut self, minisock: Minisock) -> Option<Minisock> {
        let connection = &minisock.connection;
        let identity = connection.identity;
        let replaced = self.remove_at(identity.netns, &identity.tuple);
        self.by_tuple.insert(key(identity.netns, &identity.tuple), identity.id);
        if connection.state == TcpState::FinWait2
            && let Some(cookie) = identity.cookie
        {
            self.orphans_by_cookie.insert(cookie, identity.id);
        }
        self.deadlines.insert(minisock.deadline, identity.id);
        if let Some(netns) = identity.netns {
            let look = look_at(&minisock, connection.last_seen);
            let namespace =
                self.namespaces.entry(netns).or_insert(Namespace { minisocks: 0, look });
            namespace.minisocks += 1;
            namespace.look = namespace.look.min(look);
        }
        self.by_id.insert(identity.id, minisock);
        replaced
    }

    /// Changes a minisock in place and notes its new deadline.
    pub fn update(&mut self, id: ConnectionId, change: impl FnOnce(&mut Minisock)) {
        let Some(minisock) = self.by_id.get_mut(&id) else {
            return;
        };
        let before = minisock.deadline;
        change(minisock);
        let deadline = minisock.deadline;
        if deadline != before {
            self.forget_deadline(before, id);
            self.deadlines.insert(deadline, id);
        }
        let Some(minisock) = self.by_id.get(&id) else {
            return;
        };
        let Connection { identity, state, last_seen, .. } = *minisock.connection;
        if let Some(namespace) = identity.netns.and_then(|netns| self.namespaces.get_mut(&netns)) {
            namespace.look = namespace.look.min(look_at(minisock, last_seen));
        }
        if state != TcpState::FinWait2 {
            self.forget_orphan(identity.cookie, id);
        }
    }

    /// The minisock of this connection.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<&Minisock> {
        self.by_id.get(&id)
    }

    /// The minisock at these addresses.
    #[must_use]
    pub fn at(&self, netns: Option<u32>, tuple: &Tuple) -> Option<&Minisock> {
        let id = self.by_tuple.get(&key(netns, tuple))?;
        self.by_id.get(id)
    }

    /// Removes the minisock at these addresses.
    pub fn remove_at(&mut self, netns: Option<u32>, tuple: &Tuple) -> Option<Minisock> {
        let id = *self.by_tuple.get(&key(netns, tuple))?;
        self.remove(id)
    }

    /// Removes the orphan with this cookie.
    pub fn remove_orphan(&mut self, cookie: u64) -> Option<Minisock> {
        let id = *self.orphans_by_cookie.get(&cookie)?;
        self.remove(id)
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Minisock> {
        let minisock = self.by_id.remove(&id)?;
        let identity = &minisock.connection.identity;
        self.by_tuple.remove(&key(identity.netns, &identity.tuple));
        let (identity, deadline) = (*identity, minisock.deadline);
        self.forget_orphan(identity.cookie, id);
        self.forget_deadline(deadline, id);
        if let Some(netns) = identity.netns
            && let Some(namespace) = self.namespaces.get_mut(&netns)
        {
            namespace.minisocks -= 1;
            if namespace.minisocks == 0 {
                self.namespaces.remove(&netns);
            }
        }
        Some(minisock)
    }

    fn forget_deadline(&mut self, deadline: Timestamp, id: ConnectionId) {
        let Self { by_id, deadlines, .. } = self;
        let is_valid =
            |at, id| by_id.get(&id).is_some_and(|minisock: &Minisock| minisock.deadline == at);
        deadlines.remove(deadline, id, by_id.len(), is_valid);
    }

    fn forget_orphan(&mut self, cookie: Option<u64>, id: ConnectionId) {
        if let Some(cookie) = cookie
            && self.orphans_by_cookie.get(&cookie) == Some(&id)
        {
            self.orphans_by_cookie.remove(&cookie);
        }
    }

    /// Removes the minisock that ends first.
    pub fn remove_first(&mut self) -> Option<Minisock> {
        let (_, id) = self.deadlines.first()?;
        self.remove(id)
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
            .by_id
            .values()
            .map(|minisock| &*minisock.connection)
            .filter(|connection| {
                connection.last_seen < started
                    && connection.identity.netns.is_some_and(|inode| netns.contains(&inode))
            })
            .map(|connection| connection.identity.id)
            .collect();
        absent.sort_unstable();
        absent.into_iter().filter_map(|id| self.remove(id)).collect()
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
        for minisock in self.by_id.values() {
            if let Some(inode) = minisock.connection.identity.netns
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
    if minisock.connection.state == TcpState::FinWait2 {
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
            connection: Box::new(Connection::from_socket(&socket)),
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
        let ids: Vec<_> = minisocks.by_id.keys().copied().collect();
        for dump in 0..100 {
            for &id in &ids {
                minisocks.update(id, |minisock| minisock.deadline = Timestamp(begun.0 + dump));
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
