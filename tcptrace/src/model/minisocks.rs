//! Minisocks: the small kernel objects that stand for a connection in TIME_WAIT, and for an orphan
//! in FIN_WAIT2, after the full socket has gone. No tracepoint speaks of them.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Counters, Tuple},
    model::{change::ConnectionId, connection::Connection},
    time::Timestamp,
};

/// How long after its deadline a minisock is given up although no dump has looked. The kernel's
/// timer wheel fires a 60 s timer up to about a second late (60.27 s were measured).
const GRACE: Duration = Duration::from_secs(3);
/// When to look whether an orphan in FIN_WAIT2 has received its FIN meanwhile.
const LOOK_AT_ORPHAN: Duration = Duration::from_secs(1);
/// When to look whether a minisock has ended, counted from its deadline.
const LOOK_AFTER_DEADLINE: Duration = Duration::from_millis(300);

/// A minisock and the connection it stands for.
#[derive(Clone, Debug)]
pub struct Minisock {
    /// The connection; its state is FIN_WAIT2 or TIME_WAIT.
    pub connection: Connection,
    /// When it ends if nothing happens to it.
    pub deadline: Timestamp,
    /// Counters that the full socket had at its end, until the connection is reported.
    pub counters: Option<Counters>,
}

type Key = (u32, Tuple);

/// All minisocks that are being followed, bounded.
#[derive(Debug, Default)]
pub struct Minisocks {
    by_id: HashMap<ConnectionId, Minisock>,
    by_tuple: HashMap<Key, ConnectionId>,
    orphans_by_cookie: HashMap<u64, ConnectionId>,
    deadlines: BinaryHeap<Reverse<(Timestamp, ConnectionId)>>,
    looks: HashMap<u32, Timestamp>,
}

fn key(connection: &Connection) -> Key {
    (connection.identity.netns.unwrap_or_default(), connection.identity.tuple)
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
        let id = connection.identity.id;
        let replaced = self.remove_at(connection.identity.netns, &connection.identity.tuple);
        self.by_tuple.insert(key(connection), id);
        if connection.state == TcpState::FinWait2
            && let Some(cookie) = connection.identity.cookie
        {
            self.orphans_by_cookie.insert(cookie, id);
        }
        self.schedule(&minisock, minisock.connection.last_seen);
        self.by_id.insert(id, minisock);
        replaced
    }

    fn schedule(&mut self, minisock: &Minisock, now: Timestamp) {
        let id = minisock.connection.identity.id;
        self.deadlines.push(Reverse((minisock.deadline, id)));
        if let Some(netns) = minisock.connection.identity.netns {
            let look = look_at(minisock, now);
            let next = self.looks.entry(netns).or_insert(look);
            *next = (*next).min(look);
        }
    }

    /// Changes a minisock in place and notes its new deadline.
    pub fn update(&mut self, id: ConnectionId, change: impl FnOnce(&mut Minisock)) {
        let Some(mut minisock) = self.by_id.remove(&id) else {
            return;
        };
        let (state, deadline) = (minisock.connection.state, minisock.deadline);
        change(&mut minisock);
        if state == TcpState::FinWait2
            && minisock.connection.state != state
            && let Some(cookie) = minisock.connection.identity.cookie
        {
            self.orphans_by_cookie.remove(&cookie);
        }
        if minisock.deadline != deadline {
            self.schedule(&minisock, minisock.connection.last_seen);
        }
        self.by_id.insert(id, minisock);
    }

    /// The minisock at these addresses.
    #[must_use]
    pub fn at(&self, netns: Option<u32>, tuple: &Tuple) -> Option<&Minisock> {
        let id = self.by_tuple.get(&(netns.unwrap_or_default(), *tuple))?;
        self.by_id.get(id)
    }

    /// Removes the minisock at these addresses.
    pub fn remove_at(&mut self, netns: Option<u32>, tuple: &Tuple) -> Option<Minisock> {
        let id = *self.by_tuple.get(&(netns.unwrap_or_default(), *tuple))?;
        self.remove(id)
    }

    /// Removes the orphan with this cookie.
    pub fn remove_orphan(&mut self, cookie: u64) -> Option<Minisock> {
        let id = *self.orphans_by_cookie.get(&cookie)?;
        self.remove(id)
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Minisock> {
        let minisock = self.by_id.remove(&id)?;
        self.by_tuple.remove(&key(&minisock.connection));
        if let Some(cookie) = minisock.connection.identity.cookie {
            self.orphans_by_cookie.remove(&cookie);
        }
        Some(minisock)
    }

    /// Removes the minisock that ends first, to make room.
    pub fn evict(&mut self) -> Option<Minisock> {
        while let Some(Reverse((deadline, id))) = self.deadlines.pop() {
            if self.is_current(deadline, id) {
                return self.remove(id);
            }
        }
        None
    }

    /// Removes a minisock whose deadline passed so long ago that no dump will tell of it.
    pub fn remove_overdue(&mut self, now: Timestamp) -> Option<Minisock> {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            let current = self.is_current(deadline, id);
            if current && now < deadline + GRACE {
                return None;
            }
            self.deadlines.pop();
            if current {
                return self.remove(id);
            }
        }
        None
    }

    /// Removes what a dump of these namespaces, begun at `started`, should have named but did not;
    /// sorted, so that a replay tells it in the same order.
    pub fn remove_absent(&mut self, started: Timestamp, netns: &[u32]) -> Vec<Minisock> {
        let mut absent: Vec<_> = self
            .by_id
            .values()
            .map(|minisock| &minisock.connection)
            .filter(|connection| {
                connection.last_seen < started
                    && connection.identity.netns.is_some_and(|inode| netns.contains(&inode))
            })
            .map(|connection| connection.identity.id)
            .collect();
        absent.sort_unstable();
        absent.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Plans the next look at these namespaces, after a dump begun at `started`.
    pub fn plan_looks(&mut self, started: Timestamp, netns: &[u32]) {
        for inode in netns {
            self.looks.remove(inode);
        }
        for minisock in self.by_id.values() {
            if let Some(inode) = minisock.connection.identity.netns
                && netns.contains(&inode)
            {
                let look = look_at(minisock, started);
                let next = self.looks.entry(inode).or_insert(look);
                *next = (*next).min(look);
            }
        }
    }

    /// The namespaces in which a dump could tell something by now, ascending.
    #[must_use]
    pub fn worth_a_look(&self, now: Timestamp) -> Vec<u32> {
        let mut netns: Vec<_> =
            self.looks.iter().filter(|&(_, &at)| at <= now).map(|(&inode, _)| inode).collect();
        netns.sort_unstable();
        netns
    }

    /// When something is due next: a look or a deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let overdue = self.deadlines.peek().map(|Reverse((deadline, _))| *deadline + GRACE);
        let look = self.looks.values().min().copied();
        [overdue, look].into_iter().flatten().min()
    }

    fn is_current(&self, deadline: Timestamp, id: ConnectionId) -> bool {
        self.by_id.get(&id).is_some_and(|minisock| minisock.deadline == deadline)
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
