//! The tracker: follows every connection through its states.
//!
//! Events go in by time, facts come out. Every table is bounded, and what does not fit is counted.

use std::{collections::HashMap, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{DumpEnd, Event, Holder, Hook, HookKind, Process, Shape, Socket, Transition},
    model::{
        change::{Change, Dwell, End, Evidence, Moved, Owner, Reason},
        classify::{Outcome, classify_close, may_have_sent_reset},
        connection::{Connection, Since},
        minisocks::{Minisock, Minisocks},
        socket_list::{TIME_WAIT, time_wait_began},
        summary::Summary,
    },
    time::Timestamp,
};

/// How long a line may be held until the reset that explains it is seen. The kernel sends it
/// within microseconds of the transition, but a task may be preempted in between.
const HOLD: Duration = Duration::from_millis(50);
/// How far a dump row and an event of the same socket may be apart and still contradict each other
/// without meaning: the event comes before the state is stored.
const SLACK: Duration = Duration::from_millis(1);
/// `tcp_fin_timeout`, as long as no dump has told a minisock's own timer.
const FIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Holders of sockets that no event has named yet.
const MAX_UNPLACED_HOLDERS: usize = 65_536;

/// What the tracker may assume and how much it may keep.
#[derive(Clone, Debug)]
pub struct Options {
    /// `tcp_send_reset` is being traced, so that its absence means something.
    pub reset_hook: bool,
    /// `tcp_destroy_sock` is being traced, so that closed sockets can be kept until it speaks.
    pub destroy_hook: bool,
    /// Connections followed at a time.
    pub max_connections: usize,
    /// Minisocks followed at a time.
    pub max_minisocks: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reset_hook: true,
            destroy_hook: true,
            max_connections: 2_000_000,
            max_minisocks: 1_000_000,
        }
    }
}

/// A line that waits for the reset that may explain it.
#[derive(Debug)]
struct Held {
    moved: Moved,
    connection: Connection,
    transition: Transition,
}

/// Follows every connection through its states.
#[derive(Debug, Default)]
pub struct Tracker {
    options: Options,
    sockets: HashMap<u64, Connection>,
    /// Sockets of a dump that named no address (netlink), by cookie, until an event does.
    unplaced: HashMap<u64, Connection>,
    unplaced_holders: HashMap<u32, Process>,
    minisocks: Minisocks,
    held: Vec<Held>,
    /// Something was lost, and no dump has been compared since.
    resync: bool,
    summary: Summary,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Number of full sockets that are being followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len() + self.unplaced.len()
    }

    /// Whether no full socket is being followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in one event. Events of one socket must come in their order.
    pub fn apply(&mut self, event: &Event, changes: &mut Vec<Change>) {
        match event {
            Event::Transition(transition) => {
                self.advance_to(transition.at, changes);
                self.transition(transition, changes);
            }
            Event::Hook(hook) => {
                self.advance_to(hook.at, changes);
                self.hook(hook, changes);
            }
            Event::Socket(socket) => self.socket(socket, changes),
            Event::DumpEnd(end) => self.dump_end(end, changes),
            Event::Holder(holder) => self.holder(holder),
            Event::Lost(lost) => {
                self.summary.add_lost(lost);
                self.resync = true;
            }
            Event::Clock(_) => {}
        }
    }

    /// Lets time pass: tells what was held, and what ended by timer without a word. `now` must not
    /// be later than the last event that can still come.
    pub fn advance_to(&mut self, now: Timestamp, changes: &mut Vec<Change>) {
        while self.held.first().is_some_and(|held| held.moved.at + HOLD <= now) {
            let held = self.held.remove(0);
            self.tell_end(held, changes);
        }
        while let Some(minisock) = self.minisocks.remove_overdue(now) {
            let at = minisock.deadline;
            self.end_minisock(minisock, at, Evidence::Derived, None, changes);
        }
    }

    /// When [`Self::advance_to`] or a dump has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let held = self.held.first().map(|held| held.moved.at + HOLD);
        [held, self.minisocks.next_deadline()].into_iter().flatten().min()
    }

    /// Namespaces whose dump would tell something by now; `None` means all of them.
    #[must_use]
    pub fn wanted_dump(&self, now: Timestamp) -> Option<Vec<u32>> {
        if self.resync {
            return None;
        }
        Some(self.minisocks.worth_a_look(now))
    }

    /// Whether knowing who holds the socket of this event would complete its line.
    #[must_use]
    pub fn wants_holder(&self, transition: &Transition) -> bool {
        let Some(fields) = &transition.socket else {
            return false;
        };
        fields.inode.is_some()
            && !fields.owned
            && !fields.kernel
            && self.sockets.get(&transition.skaddr).is_some_and(|connection| {
                connection.state == transition.from && connection.owner == Owner::Unknown
            })
    }

    fn transition(&mut self, transition: &Transition, changes: &mut Vec<Change>) {
        self.summary.transitions += 1;
        if transition.from == transition.to {
            self.repeated(transition);
            return;
        }
        let begins = transition.from == TcpState::Close
            || (transition.from == TcpState::Listen && transition.to == TcpState::SynRecv);
        let (mut connection, dwell) = if begins {
            self.begin(transition)
        } else {
            self.go_on(transition)
        };
        let was_complete = connection.identity.tuple.is_complete();
        connection.learn(transition);
        if let Some(inode) = transition.socket.and_then(|fields| fields.inode)
            && let Some(process) = self.unplaced_holders.remove(&inode)
        {
            connection.learn_holder(process);
        }
        if !was_complete && connection.identity.tuple.is_complete() {
            self.displace_minisock(&connection, transition.at, changes);
        }
        let owner = connection.owner_at(transition);
        let moved = Moved {
            at: transition.at,
            identity: connection.identity,
            from: transition.from,
            to: transition.to,
            dwell,
            evidence: Evidence::Event,
            reason: None,
            owner,
            on_cpu: transition.on_cpu,
        };
        if transition.to == TcpState::Close {
            self.close(connection, moved, transition, changes);
            return;
        }
        changes.push(Change::Moved(moved));
        connection.enter(transition.to, Since::Exact(transition.at), dwell);
        self.keep(transition.skaddr, connection);
    }

    /// close() after shutdown(): no new state, but it shows who let go.
    fn repeated(&mut self, transition: &Transition) {
        if let Some(connection) = self.sockets.get_mut(&transition.skaddr)
            && connection.may_be(transition.cookie, &transition.tuple)
        {
            connection.learn(transition);
            connection.owner_at(transition);
        }
    }

    /// A new connection, perhaps on a socket that has carried one before.
    fn begin(&mut self, transition: &Transition) -> (Connection, Dwell) {
        let mut connection = Connection::from_transition(transition, true);
        let before = self.sockets.remove(&transition.skaddr);
        let Some(before) = before else {
            return (connection, Dwell::Unknown);
        };
        if before.state != TcpState::Close {
            // Its end was never seen, and the kernel has given its memory to another socket.
            self.summary.uncertain += 1;
            return (connection, Dwell::Unknown);
        }
        let same_socket = transition.from == TcpState::Close
            && before.identity.cookie.is_some()
            && before.identity.cookie == transition.cookie;
        if !same_socket {
            return (connection, Dwell::Unknown);
        }
        connection.owner = before.owner;
        (connection, before.since.dwell(transition.at))
    }

    /// The connection that the event continues, and the time in the state it leaves. A duration is
    /// given only if nothing was missed in between.
    fn go_on(&mut self, transition: &Transition) -> (Connection, Dwell) {
        let known = self.sockets.remove(&transition.skaddr).or_else(|| {
            transition.cookie.and_then(|cookie| self.unplaced.remove(&cookie))
        });
        if let Some(mut connection) = known
            && connection.may_be(transition.cookie, &transition.tuple)
        {
            if connection.state == transition.from {
                let dwell = connection.since.dwell(transition.at);
                return (connection, dwell);
            }
            self.summary.uncertain += 1;
            connection.state = transition.from;
            connection.since = Since::Unknown;
            return (connection, Dwell::Unknown);
        }
        self.summary.uncertain += 1;
        (Connection::from_transition(transition, false), Dwell::Unknown)
    }

    fn close(
        &mut self,
        mut connection: Connection,
        mut moved: Moved,
        transition: &Transition,
        changes: &mut Vec<Change>,
    ) {
        let fields = transition.socket.as_ref();
        match classify_close(transition.from, fields) {
            Outcome::TimeWait => {
                moved.to = TcpState::TimeWait;
                moved.evidence = Evidence::Classified;
                changes.push(Change::Moved(moved));
                connection.enter(TcpState::TimeWait, Since::Exact(transition.at), moved.dwell);
                self.finish(&connection, &moved, End::TimeWait, transition, changes);
                self.add_minisock(connection, transition, TIME_WAIT, changes);
            }
            Outcome::OrphanFinWait2 => {
                connection.state = TcpState::FinWait2;
                self.add_minisock(connection, transition, FIN_TIMEOUT, changes);
            }
            Outcome::Closed(reason) => {
                moved.reason = reason;
                if reason == Some(Reason::ResetByPeer) && connection.reset_received {
                    moved.evidence = Evidence::Confirmed;
                }
                let held = Held {
                    moved,
                    connection,
                    transition: *transition,
                };
                if self.options.reset_hook && may_have_sent_reset(transition.from, fields) {
                    self.held.push(held);
                } else {
                    self.tell_end(held, changes);
                }
            }
        }
    }

    /// Tells of the end of a full socket, and keeps it if a descriptor still refers to it.
    fn tell_end(&mut self, held: Held, changes: &mut Vec<Change>) {
        let Held { moved, mut connection, transition } = held;
        changes.push(Change::Moved(moved));
        connection.enter(TcpState::Close, Since::Exact(moved.at), moved.dwell);
        let end = match (moved.from, moved.reason) {
            (TcpState::LastAck, None | Some(Reason::Fin)) => End::LastAck,
            (_, Some(reason)) => End::Because(reason),
            (_, None) => End::Unknown,
        };
        if moved.from != TcpState::Listen {
            self.finish(&connection, &moved, end, &transition, changes);
        }
        let open = transition.socket.is_some_and(|fields| !fields.dead && !fields.kernel);
        if open && self.options.destroy_hook && !self.sockets.contains_key(&transition.skaddr) {
            self.keep(transition.skaddr, connection);
        }
    }

    fn finish(
        &mut self,
        connection: &Connection,
        moved: &Moved,
        end: End,
        transition: &Transition,
        changes: &mut Vec<Change>,
    ) {
        self.summary.connections += 1;
        changes.push(Change::Finished(Box::new(connection.finished(
            moved.at,
            end,
            moved.owner,
            transition.counters,
            transition.on_cpu,
        ))));
    }

    fn keep(&mut self, skaddr: u64, connection: Connection) {
        if self.sockets.len() >= self.options.max_connections {
            self.summary.evicted += 1;
            return;
        }
        self.sockets.insert(skaddr, connection);
    }

    fn add_minisock(
        &mut self,
        connection: Connection,
        transition: &Transition,
        lifetime: Duration,
        changes: &mut Vec<Change>,
    ) {
        if self.minisocks.len() >= self.options.max_minisocks {
            self.summary.evicted += 1;
            self.minisocks.evict();
        }
        let replaced = self.minisocks.insert(Minisock {
            deadline: transition.at + lifetime,
            counters: transition.counters,
            connection,
        });
        if let Some(replaced) = replaced {
            self.end_minisock(replaced, transition.at, Evidence::Confirmed, None, changes);
        }
    }

    /// A connection at the same addresses proves that the minisock there is gone.
    fn displace_minisock(
        &mut self,
        connection: &Connection,
        at: Timestamp,
        changes: &mut Vec<Change>,
    ) {
        let identity = &connection.identity;
        if let Some(minisock) = self.minisocks.remove_at(identity.netns, &identity.tuple) {
            self.end_minisock(minisock, at, Evidence::Confirmed, None, changes);
        }
    }

    /// Tells of the end of a minisock. Without a `reason` of its own it ended by its timer if that
    /// was due, else nobody knows why.
    fn end_minisock(
        &mut self,
        minisock: Minisock,
        at: Timestamp,
        evidence: Evidence,
        reason: Option<Reason>,
        changes: &mut Vec<Change>,
    ) {
        let Minisock { mut connection, deadline, counters } = minisock;
        let by_timer = match connection.state {
            TcpState::TimeWait => Reason::Fin,
            _ => Reason::Timeout,
        };
        let reason = reason.or((deadline <= at).then_some(by_timer));
        let dwell = match connection.since.dwell(at) {
            Dwell::Exact(ns) if reason != Some(Reason::ResetByUs) => Dwell::Estimated(ns),
            dwell => dwell,
        };
        let moved = Moved {
            at,
            identity: connection.identity,
            from: connection.state,
            to: TcpState::Close,
            dwell,
            evidence,
            reason,
            owner: connection.owner,
            on_cpu: None,
        };
        changes.push(Change::Moved(moved));
        if connection.state == TcpState::FinWait2 {
            connection.enter(TcpState::Close, Since::Exact(at), dwell);
            let end = reason.map_or(End::Unknown, End::Because);
            self.summary.connections += 1;
            changes.push(Change::Finished(Box::new(
                connection.finished(at, end, moved.owner, counters, None),
            )));
        }
    }

    fn hook(&mut self, hook: &Hook, changes: &mut Vec<Change>) {
        match hook.kind {
            HookKind::Destroyed => {
                if let Some(connection) = self.sockets.remove(&hook.skaddr)
                    && connection.state != TcpState::Close
                {
                    self.summary.uncertain += 1;
                }
            }
            HookKind::ResetReceived => {
                if let Some(connection) = self.sockets.get_mut(&hook.skaddr) {
                    connection.reset_received = true;
                }
            }
            HookKind::ResetSent => self.reset_sent(hook, changes),
        }
    }

    fn reset_sent(&mut self, hook: &Hook, changes: &mut Vec<Change>) {
        let held = self
            .held
            .iter()
            .position(|held| held.moved.identity.skaddr == Some(hook.skaddr));
        if let Some(position) = held {
            let mut held = self.held.remove(position);
            held.moved.reason = Some(Reason::ResetByUs);
            held.moved.evidence = Evidence::Confirmed;
            self.tell_end(held, changes);
        } else if let Some(orphan) = hook
            .cookie
            .and_then(|cookie| self.minisocks.remove_orphan(cookie))
        {
            let reason = Some(Reason::ResetByUs);
            self.end_minisock(orphan, hook.at, Evidence::Confirmed, reason, changes);
        }
    }

    fn socket(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        match socket.shape {
            Shape::Full => self.full_socket(socket),
            Shape::Minisock => self.seen_minisock(socket, changes),
            Shape::Request => {}
        }
    }

    fn full_socket(&mut self, socket: &Socket) {
        let known = match (socket.skaddr, socket.cookie) {
            (Some(skaddr), _) => self.sockets.get_mut(&skaddr),
            (None, Some(cookie)) if self.unplaced.contains_key(&cookie) => {
                self.unplaced.get_mut(&cookie)
            }
            (None, cookie) => self.sockets.values_mut().find(|connection| {
                cookie.is_some() && connection.identity.cookie == cookie
            }),
        };
        if let Some(connection) = known {
            if socket.at < connection.last_seen + SLACK {
                return;
            }
            if connection.may_be(socket.cookie, &socket.tuple) {
                if connection.state != socket.state {
                    self.summary.uncertain += 1;
                    connection.state = socket.state;
                    connection.since = Since::AtLeast(socket.at);
                }
                connection.learn_tuple(&socket.tuple);
                connection.identity.cookie = socket.cookie.or(connection.identity.cookie);
                connection.last_seen = socket.at;
                connection.missed = false;
                return;
            }
            self.summary.uncertain += 1;
        }
        let connection = Connection::from_socket(socket);
        match (socket.skaddr, socket.cookie) {
            (Some(skaddr), _) => {
                self.sockets.remove(&skaddr);
                self.keep(skaddr, connection);
            }
            (None, Some(cookie)) if self.len() < self.options.max_connections => {
                self.unplaced.insert(cookie, connection);
            }
            (None, _) => self.summary.evicted += 1,
        }
    }

    fn seen_minisock(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        let expires = socket.timer.map(|timer| timer.expires);
        let netns = Some(socket.netns);
        if let Some(minisock) = self.minisocks.at(netns, &socket.tuple)
            && minisock.connection.may_be(socket.cookie, &socket.tuple)
        {
            let id = minisock.connection.identity.id;
            if (minisock.connection.state, socket.state) == (TcpState::FinWait2, TcpState::TimeWait)
            {
                self.orphan_got_its_fin(socket, changes);
            }
            self.minisocks.update(id, |minisock| {
                minisock.connection.last_seen = socket.at;
                minisock.deadline = expires.unwrap_or(minisock.deadline);
            });
            return;
        }
        if self.minisocks.len() >= self.options.max_minisocks {
            self.summary.evicted += 1;
            return;
        }
        let replaced = self.minisocks.insert(Minisock {
            connection: Connection::from_socket(socket),
            deadline: expires.unwrap_or(socket.at + TIME_WAIT),
            counters: None,
        });
        if let Some(replaced) = replaced {
            self.end_minisock(replaced, socket.at, Evidence::Confirmed, None, changes);
        }
    }

    /// A dump shows TIME_WAIT where an orphan was in FIN_WAIT2: its FIN came in between, and the
    /// timer, which then began with 60 s, tells when.
    fn orphan_got_its_fin(&mut self, socket: &Socket, changes: &mut Vec<Change>) {
        let Some(minisock) = self.minisocks.at(Some(socket.netns), &socket.tuple) else {
            return;
        };
        let mut connection = minisock.connection.clone();
        let counters = minisock.counters;
        let began = time_wait_began(socket).map_or(socket.at, |at| at.min(socket.at));
        // The timer counts in jiffies, which may put the moment before the state began.
        let began = match connection.since {
            Since::Exact(entered) => began.max(entered),
            _ => began,
        };
        let dwell = match connection.since.dwell(began) {
            Dwell::Exact(ns) => Dwell::Estimated(ns),
            dwell => dwell,
        };
        let moved = Moved {
            at: began,
            identity: connection.identity,
            from: TcpState::FinWait2,
            to: TcpState::TimeWait,
            dwell,
            evidence: Evidence::Confirmed,
            reason: None,
            owner: connection.owner,
            on_cpu: None,
        };
        changes.push(Change::Moved(moved));
        connection.enter(TcpState::TimeWait, Since::Estimated(began), dwell);
        self.summary.connections += 1;
        changes.push(Change::Finished(Box::new(
            connection.finished(began, End::TimeWait, moved.owner, counters, None),
        )));
        self.minisocks
            .update(connection.identity.id, |minisock| minisock.connection = connection);
    }

    fn dump_end(&mut self, end: &DumpEnd, changes: &mut Vec<Change>) {
        self.resync = false;
        let started = end.started - SLACK;
        for minisock in self.minisocks.remove_absent(started, &end.netns) {
            let at = minisock.deadline.min(end.started).max(minisock.connection.last_seen);
            self.end_minisock(minisock, at, Evidence::Confirmed, None, changes);
        }
        self.minisocks.plan_looks(end.started, &end.netns);
        self.forget_absent(started, end, changes);
    }

    /// Forgets full sockets whose end was missed: two dumps in a row did not name them. (One may
    /// miss a socket that moves between the kernel's tables while it walks.)
    fn forget_absent(&mut self, started: Timestamp, end: &DumpEnd, changes: &mut Vec<Change>) {
        let mut gone = Vec::new();
        for (&skaddr, connection) in &mut self.sockets {
            let absent = connection.last_seen < started
                && connection.state != TcpState::Close
                && connection.identity.netns.is_some_and(|netns| end.netns.contains(&netns));
            if absent && connection.missed {
                gone.push((connection.identity.id, skaddr));
            }
            connection.missed = absent;
            self.resync |= absent;
        }
        gone.sort_unstable();
        for (_, skaddr) in gone {
            let Some(mut connection) = self.sockets.remove(&skaddr) else {
                continue;
            };
            self.summary.uncertain += 1;
            let moved = Moved {
                at: end.started,
                identity: connection.identity,
                from: connection.state,
                to: TcpState::Close,
                dwell: Dwell::Unknown,
                evidence: Evidence::Confirmed,
                reason: None,
                owner: connection.owner,
                on_cpu: None,
            };
            changes.push(Change::Moved(moved));
            if connection.state != TcpState::Listen {
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

    fn holder(&mut self, holder: &Holder) {
        if let Some(connection) = holder
            .skaddr
            .and_then(|skaddr| self.sockets.get_mut(&skaddr))
        {
            connection.learn_holder(holder.process);
        } else if self.unplaced_holders.len() < MAX_UNPLACED_HOLDERS {
            self.unplaced_holders.insert(holder.inode, holder.process);
        }
    }
}
