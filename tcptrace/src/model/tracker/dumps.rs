//! Dumps: comparing what is remembered with the sockets that exist.

use std::{collections::HashSet, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::{Tracker, closing::MinisockEnd, sockets::Sockets};
use crate::{
    event::{DumpEnd, Shape, Socket, TIME_WAIT, Tuple},
    model::{
        change::{Change, Dwell, End, Evidence, Moved},
        connection::Connection,
        filter::Verdict,
        map::HashMap,
        minisocks::Minisock,
        since::{Since, can_become},
        socket_list::time_wait_began,
    },
    time::Timestamp,
};

/// How far a dump row and an event of the same socket may be apart and still contradict each other
/// without meaning: the event comes before the state is stored.
const SLACK: Duration = Duration::from_millis(1);

/// Finds known sockets for the rows of a netlink dump, which name no address.
#[derive(Debug)]
pub(super) struct Index {
    cookies: HashMap<u64, u64>,
    /// Sockets without a cookie by their ends; `None` where two namespaces have the same.
    tuples: HashMap<Tuple, Option<u64>>,
}

impl Index {
    pub(super) fn new(sockets: &Sockets) -> Self {
        let mut index = Self { cookies: HashMap::default(), tuples: HashMap::default() };
        for (skaddr, connection) in sockets.iter() {
            index.add(skaddr, connection);
        }
        index
    }

    /// The socket that a row without an address means: the one with its cookie, else (classic
    /// tracepoint, which tells no cookie) the only one with its ends.
    pub(super) fn find(&self, socket: &Socket) -> Option<u64> {
        let by_cookie = socket.cookie.and_then(|cookie| self.cookies.get(&cookie));
        by_cookie.copied().or_else(|| *self.tuples.get(&socket.tuple)?)
    }

    pub(super) fn add(&mut self, skaddr: u64, connection: &Connection) {
        match connection.cookie() {
            Some(cookie) => {
                // Two may have one cookie if a row was taken for another with the same ends. A
                // replay must then choose the same.
                let known = self.cookies.entry(cookie).or_insert(skaddr);
                *known = skaddr.max(*known);
            }
            None => {
                let only = self.tuples.entry(connection.tuple()).or_insert(Some(skaddr));
                if *only != Some(skaddr) {
                    *only = None;
                }
            }
        }
    }
}

/// Sockets of a dump that named no address, until an event does.
#[derive(Debug, Default)]
pub(super) struct Unplaced {
    by_cookie: HashMap<u64, Box<Connection>>,
    /// Their cookies by their ends; `None` where two namespaces have the same.
    by_tuple: HashMap<Tuple, Option<u64>>,
}

impl Unplaced {
    pub(super) fn len(&self) -> usize {
        self.by_cookie.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.by_cookie.values().map(Box::as_ref)
    }

    pub(super) fn get(&self, cookie: u64) -> Option<&Connection> {
        self.by_cookie.get(&cookie).map(Box::as_ref)
    }

    fn get_mut(&mut self, cookie: u64) -> Option<&mut Connection> {
        self.by_cookie.get_mut(&cookie).map(Box::as_mut)
    }

    fn insert(&mut self, cookie: u64, connection: Box<Connection>) {
        let only = self.by_tuple.entry(connection.tuple()).or_insert(Some(cookie));
        if *only != Some(cookie) {
            *only = None;
        }
        self.by_cookie.insert(cookie, connection);
    }

    /// Takes out the socket that an event names at last, by its cookie or its ends.
    pub(super) fn take(&mut self, cookie: Option<u64>, tuple: &Tuple) -> Option<Box<Connection>> {
        if self.by_cookie.is_empty() {
            return None;
        }
        self.remove(cookie.or_else(|| *self.by_tuple.get(tuple)?)?)
    }

    fn remove(&mut self, cookie: u64) -> Option<Box<Connection>> {
        let connection = self.by_cookie.remove(&cookie)?;
        let tuple = connection.tuple();
        if self.by_tuple.get(&tuple) == Some(&Some(cookie)) {
            self.by_tuple.remove(&tuple);
        }
        if self.by_cookie.is_empty() {
            self.by_tuple.clear();
        }
        Some(connection)
    }
}

impl Tracker {
    pub(super) fn socket(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        match socket.shape {
            Shape::Full => self.full_socket(socket, changes),
            Shape::Minisock => self.seen_minisock(socket, changes),
            Shape::Request => {}
        }
    }

    fn full_socket(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        // One that is closed is on its way out of the table that the dump walks.
        if socket.state == TcpState::Close {
            return;
        }
        let skaddr = socket.skaddr.or_else(|| self.skaddr_of(socket));
        let known = match skaddr {
            Some(skaddr) => self.sockets.get_mut(skaddr),
            None => socket.cookie.and_then(|cookie| self.unplaced.get_mut(cookie)),
        };
        if let Some(connection) = known {
            if socket.at < connection.last_seen() + SLACK {
                return;
            }
            // A row of a state that is over came late; its connection is there all the same.
            if connection.state() != TcpState::Close
                && connection.may_be(socket.cookie, &socket.tuple)
            {
                connection.learn_row(socket);
                if can_become(connection.state(), socket.state) {
                    connection.correct(socket.state, Since::AtLeast(socket.at));
                    let identity = connection.identity();
                    self.count_uncertain(&identity);
                }
                return;
            }
            // Another connection has the socket by now, and how that began was missed.
            let (identity, state) = (connection.identity(), connection.state());
            self.count_uncertain(&identity);
            if state != TcpState::Close {
                changes.push(Change::Forgotten(identity.id));
            }
        }
        if !self.asks_for(socket) {
            return;
        }
        let mut connection = Connection::from_socket(socket);
        connection.set_skaddr(skaddr);
        match (skaddr, socket.cookie) {
            (Some(skaddr), _) => {
                self.keep(skaddr, connection, changes);
            }
            (None, Some(cookie)) => {
                self.unplaced.remove(cookie);
                if self.len() < self.options.max_connections {
                    self.unplaced.insert(cookie, Box::new(connection));
                } else {
                    self.summary.evicted += 1;
                }
            }
            (None, None) => {}
        }
    }

    fn asks_for(&self, socket: &Socket) -> bool {
        let identity = Connection::from_socket(socket).identity();
        self.options.only.judge_identity(&identity) != Verdict::Never
    }

    /// Which known socket a row without an address means.
    fn skaddr_of(&mut self, socket: &Socket) -> Option<u64> {
        let sockets = &self.sockets;
        self.index.get_or_insert_with(|| Index::new(sockets)).find(socket)
    }

    fn seen_minisock(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        // A timer that is overdue has not fired yet.
        let expires = socket.timer.map(|timer| timer.expires.max(socket.at));
        let netns = Some(socket.netns);
        let place = self.minisocks.place_at(netns, &socket.tuple);
        let known = place.and_then(|place| self.minisocks.get(place));
        if known.is_some_and(|known| socket.at < known.connection.last_seen()) {
            return;
        }
        if let (Some(place), Some(Minisock { connection, .. })) = (place, known)
            && connection.may_be(socket.cookie, &socket.tuple)
        {
            if (connection.state(), socket.state) == (TcpState::FinWait2, TcpState::TimeWait) {
                let began = time_wait_began(socket).map_or(socket.at, |at| at.min(socket.at));
                let began = Since::Estimated(began);
                self.orphan_got_its_fin(netns, &socket.tuple, began, changes);
            }
            self.minisocks.update(place, |minisock| {
                minisock.connection.seen(socket.at);
                minisock.deadline = expires.unwrap_or(minisock.deadline).max(socket.at);
                minisock.timed |= expires.is_some();
            });
            return;
        }
        if !self.asks_for(socket) {
            return;
        }
        if self.minisocks.len() >= self.options.max_minisocks {
            self.summary.evicted += 1;
            return;
        }
        let replaced = self.minisocks.insert(Minisock {
            connection: Connection::from_socket(socket),
            deadline: expires.unwrap_or(socket.at + TIME_WAIT),
            timed: expires.is_some(),
            counters: None,
        });
        if let Some(replaced) = replaced {
            self.end_minisock(replaced, MinisockEnd::Displaced(socket.at), changes);
        }
    }

    /// The peer's FIN has reached an orphan in FIN_WAIT2: the kernel said when, or a dump shows TIME_WAIT at
    /// its ends, with a timer that began with 60 s then, or the peer's end saw its FIN acknowledged.
    pub(super) fn orphan_got_its_fin(
        &mut self,
        netns: Option<u32>,
        tuple: &Tuple,
        began: Since,
        changes: &mut Vec<Change>,
    ) {
        if !self.minisocks.has_orphans() {
            return;
        }
        let Some(place) = self.minisocks.place_at(netns, tuple) else {
            return;
        };
        let Some(minisock) = self.minisocks.get(place) else {
            return;
        };
        if minisock.connection.state() != TcpState::FinWait2 {
            return;
        }
        let mut connection = minisock.connection.clone();
        let counters = minisock.counters;
        let before = connection.since();
        let (at, began, dwell) = match began {
            Since::Exact(at) => (at, began, before.dwell(at)),
            // The timer counts in jiffies, which may put the moment before we last saw FIN_WAIT2.
            Since::AtLeast(at) | Since::Estimated(at) => {
                let at = at.max(connection.last_seen());
                (at, Since::Estimated(at), before.dwell(at).estimated())
            }
            Since::Unknown => return,
        };
        let moved = Moved {
            at,
            identity: connection.identity(),
            from: TcpState::FinWait2,
            to: TcpState::TimeWait,
            dwell,
            evidence: Evidence::Confirmed,
            reason: None,
            owner: connection.owner(),
            on_cpu: None,
        };
        changes.push(Change::Moved(moved));
        connection.enter(TcpState::TimeWait, began, dwell);
        connection.seen(at);
        self.summary.connections += 1;
        changes.push(Change::Finished(Box::new(connection.finished(
            at,
            End::TimeWait,
            moved.owner,
            counters,
            None,
        ))));
        self.minisocks.update(place, |minisock| {
            minisock.connection = connection;
            minisock.deadline = at + TIME_WAIT;
            minisock.timed = true;
        });
    }

    pub(super) fn dump_end(&mut self, end: &DumpEnd, changes: &mut Vec<Change>) {
        self.resync = self.resync.filter(|missed| *missed >= end.started);
        self.index = None;
        self.compared = true;
        let started = end.started - SLACK;
        let netns = end.netns.iter().copied().collect();
        for minisock in self.minisocks.remove_absent(started, &netns) {
            self.end_minisock(minisock, MinisockEnd::Absent(end.started), changes);
        }
        self.minisocks.plan_looks(end.started, &netns);
        self.forget_absent(started, end.started, &netns, changes);
    }

    /// Forgets full sockets whose end was missed: two dumps in a row did not name them. (One may
    /// miss a socket that moves between the kernel's tables while it walks.)
    fn forget_absent(
        &mut self,
        started: Timestamp,
        at: Timestamp,
        netns: &HashSet<u32>,
        changes: &mut Vec<Change>,
    ) {
        let mut gone = Vec::new();
        let placed = self.sockets.iter_mut().map(|(skaddr, known)| (Some(skaddr), known));
        let unplaced = self.unplaced.by_cookie.values_mut().map(|known| (None, known.as_mut()));
        for (skaddr, connection) in placed.chain(unplaced) {
            let walked = connection.netns().is_some_and(|inode| netns.contains(&inode));
            if !walked || connection.state() == TcpState::Close {
                continue;
            }
            let absent = connection.last_seen() < started;
            let asked_for =
                self.options.only.judge_identity(&connection.identity()) == Verdict::Yes;
            if absent && connection.is_missed() {
                gone.push((connection.id(), skaddr, connection.cookie()));
            } else if absent && asked_for {
                self.resync = self.resync.max(Some(at));
            }
            connection.set_missed(absent);
        }
        gone.sort_unstable();
        for (_, skaddr, cookie) in gone {
            let connection = match (skaddr, cookie) {
                (Some(skaddr), _) => self.sockets.remove(skaddr),
                (None, cookie) => {
                    cookie.and_then(|cookie| self.unplaced.remove(cookie)).map(|known| *known)
                }
            };
            let Some(mut connection) = connection else {
                continue;
            };
            self.count_uncertain(&connection.identity());
            let moved = Moved {
                at,
                identity: connection.identity(),
                from: connection.state(),
                to: TcpState::Close,
                dwell: Dwell::Unknown,
                evidence: Evidence::Confirmed,
                reason: None,
                owner: connection.owner(),
                on_cpu: None,
            };
            changes.push(Change::Moved(moved));
            if connection.state() != TcpState::Listen {
                connection.enter(TcpState::Close, Since::Unknown, Dwell::Unknown);
                self.summary.connections += 1;
                changes.push(Change::Finished(Box::new(connection.finished(
                    moved.at,
                    End::Unknown,
                    moved.owner,
                    None,
                    None,
                ))));
            }
        }
    }
}
