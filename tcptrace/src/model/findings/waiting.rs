//! What waits for somebody in a snapshot, and since when, limit passed or not.

use std::{collections::BTreeMap, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::{
    judge::{in_use_until, kind_of},
    kind::Kind,
    limits::Limits,
    pressure::Destination,
    snapshot::Snapshot,
};
use crate::{
    event::{Process, Shape, Socket, Sysctl, Sysctls},
    model::{
        change::{ConnectionId, Dwell, Owner},
        connection::Connection,
        since::Since,
        socket_list::{AgeSource, age_with_source},
        tracker::{Tracker, known::Known},
    },
    time::{Timestamp, nanoseconds},
};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    Connection(ConnectionId),
    Destination(Destination),
}

/// A socket that waits for somebody.
#[derive(Clone, Debug)]
pub(super) struct Waiting<'a> {
    pub(super) socket: &'a Socket,
    pub(super) subject: Subject,
    pub(super) kind: Kind,
    pub(super) age: Dwell,
    pub(super) source: Option<AgeSource>,
    pub(super) limit: Duration,
    /// Until when the open half of it counts as in use.
    in_use_until: Option<Timestamp>,
    /// Who used it last, as far as the tracker remembers.
    pub(super) user: Option<Process>,
    /// This end was listening when it began.
    pub(super) passive: bool,
    is_stranger: bool,
}

impl Waiting<'_> {
    /// When it passes its limit; none if it has passed it.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let age = Duration::from_nanos(self.age.ns().unwrap_or(0));
        let due = self.socket.at + self.limit.saturating_sub(age);
        self.in_use_until.into_iter().chain([due]).max().filter(|due| *due > self.socket.at)
    }

    /// Whether it is stuck. What is only estimated to be old enough is old enough.
    pub(super) fn is_over_limit(&self) -> bool {
        let old_enough = self.age.ns().is_some_and(|age| age >= nanoseconds(self.limit));
        old_enough && self.due().is_none()
    }

    /// What doubling is about: the age in ns, 0 if it is unknown.
    pub(super) fn size(&self) -> u64 {
        self.age.ns().unwrap_or(0)
    }

    /// The name given to a socket that the tracker does not follow.
    pub(super) fn stranger(&self) -> Option<(StrangerKey, ConnectionId)> {
        match self.subject {
            Subject::Connection(id) if self.is_stranger => Some((stranger_key(self.socket), id)),
            _ => None,
        }
    }
}

/// A request has no cookie and a socket after its end no place in the tracker, but both an address.
pub(super) type StrangerKey = (u64, Option<u16>, u8);

fn stranger_key(socket: &Socket) -> StrangerKey {
    let name = socket.cookie.or(socket.skaddr).unwrap_or_default();
    (name, socket.tuple.remote.port, socket.state.number())
}

/// Everything in the snapshot that waits for somebody.
pub(super) fn waiting<'a>(
    snapshot: &'a Snapshot,
    tracker: &Tracker,
    limits: &Limits,
    strangers: &BTreeMap<StrangerKey, ConnectionId>,
) -> Vec<Waiting<'a>> {
    let memory = tracker.memory(snapshot.sockets());
    let wait = |socket: &'a Socket| {
        let kind = kind_of(socket)?;
        let limit = limits.of(socket.state)?;
        let connection = match memory.known(socket) {
            Known::Here(connection) => Some(connection),
            Known::MovedOn => return None,
            Known::Stranger => None,
        };
        let id = connection.map(Connection::id).unwrap_or_else(|| {
            let new = ConnectionId {
                first_seen: socket.at,
                socket: socket.skaddr.or(socket.cookie).unwrap_or_default(),
            };
            strangers.get(&stranger_key(socket)).copied().unwrap_or(new)
        });
        // A stranger has its name since it was first seen in this state.
        let first_seen = Since::AtLeast(id.first_seen);
        let since = connection.map_or(first_seen, Connection::since);
        let (age, source) = age_of(socket, since, snapshot.sysctls(socket.netns));
        Some(Waiting {
            socket,
            subject: Subject::Connection(id),
            kind,
            age,
            source,
            limit,
            in_use_until: in_use_until(socket, kind, limit),
            user: connection.and_then(|connection| last_user(&connection.owner())),
            passive: connection.is_some_and(Connection::is_passive),
            is_stranger: connection.is_none(),
        })
    };
    snapshot.sockets().iter().filter_map(wait).collect()
}

/// Who was last seen to act on the connection. To have been found with a descriptor is no act.
fn last_user(owner: &Owner) -> Option<Process> {
    match owner {
        Owner::Task(process) | Owner::Opener(process) => Some(*process),
        Owner::Fd(_) | Owner::Nobody | Owner::Unknown => None,
    }
}

/// How long a socket has been in its state: as the tracker saw it, else the longer of what the
/// tracker and the socket's own stamps say.
fn age_of(
    socket: &Socket,
    since: Since,
    sysctls: Option<&std::rc::Rc<Sysctls>>,
) -> (Dwell, Option<AgeSource>) {
    let tracked = since.dwell(socket.at);
    if let Dwell::Exact(_) = tracked {
        return (tracked, Some(AgeSource::Event));
    }
    let own = orphan_age(socket, sysctls.map(AsRef::as_ref)).or_else(|| age_with_source(socket));
    match own {
        Some((age, source)) if age.ns() >= tracked.ns() => (age, Some(source)),
        // It was longer when the tracker first saw it, which went by the socket's stamps alone.
        Some((_, source)) => (tracked, Some(age_with_source(socket).map_or(source, |own| own.1))),
        None => (tracked, tracked.ns().map(|_| AgeSource::FirstSeen)),
    }
}

/// The age of an orphan's minisock by its timer, which begins with `tcp_fin_timeout` unless the
/// program has set `TCP_LINGER2`. Only if the peer's last segment, known to the second, says the same.
fn orphan_age(socket: &Socket, sysctls: Option<&Sysctls>) -> Option<(Dwell, AgeSource)> {
    const SECOND: u64 = 1_000_000_000;
    /// What the timer wheel may be late by.
    const SLACK: u64 = SECOND / 4;
    if socket.shape != Shape::Minisock || socket.state != TcpState::FinWait2 {
        return None;
    }
    let limit = u64::try_from(sysctls?.number(Sysctl::TcpFinTimeout)?).ok()?;
    let left = socket.timer?.expires.since(socket.at).unwrap_or(0);
    let passed = (limit <= 60).then(|| (limit * SECOND).checked_sub(left))??;
    // The segment came within the second before this.
    let heard = socket.at.since(socket.waiting?)?;
    let agrees = passed + SLACK >= heard && passed <= heard + SECOND + SLACK;
    agrees.then_some((Dwell::Estimated(passed), AgeSource::Timer))
}
