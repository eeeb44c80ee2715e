//! Ends: what becomes of a connection whose full socket goes, and of the minisock after it.

use std::time::Duration;

use tcptrace_common::tcp_state::TcpState;

use super::{Tracker, held::Held};
use crate::{
    event::{SocketFields, TIME_WAIT, Transition},
    model::{
        change::{Change, Dwell, End, Evidence, Identity, Moved, Owner, Reason},
        classify::{Outcome, classify_close, may_have_sent_reset},
        connection::{Connection, Told},
        minisocks::Minisock,
        since::Since,
        summary::Summary,
    },
    time::Timestamp,
};

/// When to give an orphan up whose timer nobody has told: the default `tcp_fin_timeout`.
const FIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How much earlier than we reckon a timer may fire: it counts whole ticks, of which the first may have
/// begun long before (up to 10 ms, at 100 Hz).
const TICK: Duration = Duration::from_millis(10);

/// How the end of a minisock came to be known.
#[derive(Clone, Copy, Debug)]
pub(super) enum MinisockEnd {
    /// This host sent a reset on its behalf.
    Reset(Timestamp),
    /// The kernel said so.
    Told(Timestamp),
    /// Another connection stands at its addresses.
    Displaced(Timestamp),
    /// A dump did not show it any more.
    Absent(Timestamp),
    /// Its deadline is long past, and no dump has looked.
    Overdue,
}

impl MinisockEnd {
    fn evidence(self) -> Evidence {
        match self {
            Self::Overdue => Evidence::Derived,
            Self::Reset(_) | Self::Told(_) | Self::Displaced(_) | Self::Absent(_) => {
                Evidence::Confirmed
            }
        }
    }

    /// When it ended, why, and after how long: by its timer if that is known and was due, else at
    /// some moment since it was last seen.
    fn time_reason_and_dwell(self, minisock: &Minisock) -> (Timestamp, Option<Reason>, Dwell) {
        let Minisock { connection, deadline, timed, .. } = minisock;
        let since = connection.since();
        let by_timer = match connection.state() {
            TcpState::TimeWait => Reason::Fin,
            _ => Reason::Timeout,
        };
        let at = match self {
            Self::Reset(at) => return (at, Some(Reason::ResetByUs), since.dwell(at)),
            Self::Told(at) => {
                let was_due = *timed && *deadline <= at + TICK;
                return (at, was_due.then_some(by_timer), since.dwell(at));
            }
            Self::Displaced(at) | Self::Absent(at) => at,
            Self::Overdue => *deadline,
        };
        if *timed && *deadline <= at {
            let at = (*deadline).max(connection.last_seen());
            return (at, Some(by_timer), since.dwell(at).estimated());
        }
        let dwell = match self {
            // The kernel drops it for the first packet of the other connection.
            Self::Displaced(at) => since.dwell(at).estimated(),
            _ => since.dwell(connection.last_seen()).at_least(),
        };
        (at, None, dwell)
    }
}

impl Tracker {
    /// The full socket in this place goes to CLOSE.
    pub(super) fn close(
        &mut self,
        place: usize,
        mut moved: Moved,
        transition: &Transition,
        changes: &mut Vec<Change>,
    ) {
        let fields = transition.socket.as_ref();
        let skaddr = transition.skaddr;
        if moved.owner == Owner::Nobody {
            self.sockets[place].set_owner(Owner::Nobody);
        }
        let told = told_outcome(self.sockets[place].told(), transition.from, fields);
        let is_told = told.is_some();
        match told.unwrap_or_else(|| classify_close(transition.from, fields)) {
            Outcome::TimeWait => {
                moved.to = TcpState::TimeWait;
                moved.evidence = if is_told { Evidence::Confirmed } else { Evidence::Classified };
                changes.push(Change::Moved(moved));
                let mut connection = self.sockets.take(skaddr, place);
                connection.enter(TcpState::TimeWait, Since::Exact(transition.at), moved.dwell);
                sum_up(&connection, &mut self.summary, &moved, End::TimeWait, transition, changes);
                self.add_minisock(connection, transition, Some(TIME_WAIT), changes);
            }
            Outcome::OrphanFinWait2 => {
                let connection = self.sockets.take(skaddr, place);
                let lifetime = transition.orphan_lifetime;
                self.add_minisock(connection, transition, lifetime, changes);
            }
            Outcome::Closed(reason) => {
                moved.reason = reason;
                if is_told {
                    moved.evidence = Evidence::Confirmed;
                }
                if fields.is_none() && moved.from == TcpState::FinWait2 {
                    // Without fields nobody knows whether FIN_WAIT2 goes on as an orphan.
                    moved.dwell = moved.dwell.at_least();
                }
                if reason == Some(Reason::Fin) && !is_told {
                    // Whoever acknowledged our FIN has it; if that is an orphan of this namespace,
                    // no event of its own tells so.
                    let Identity { tuple, netns, .. } = moved.identity;
                    let began = Since::Estimated(transition.at);
                    self.orphan_got_its_fin(netns, &tuple.reversed(), began, changes);
                }
                if reason == Some(Reason::ResetByPeer)
                    && self.sockets[place].told() == Told::ResetReceived
                {
                    moved.evidence = Evidence::Confirmed;
                }
                let ambiguous = !is_told && may_have_sent_reset(transition.from, fields);
                if ambiguous && !self.options.reset_hook {
                    moved.reason = None;
                    moved.evidence = Evidence::Event;
                }
                if ambiguous && self.options.reset_hook {
                    let connection = self.sockets.take(skaddr, place);
                    let held = Held { moved, connection, transition: *transition };
                    let before = self.held.push(held);
                    before.into_iter().for_each(|held| self.tell_held(held, changes));
                } else {
                    let Self { sockets, summary, .. } = self;
                    tell_end(&mut sockets[place], summary, moved, transition, changes);
                    if !self.stays(transition) {
                        self.sockets.take(skaddr, place);
                    }
                }
            }
        }
    }

    /// Tells of an end that was held back.
    pub(super) fn tell_held(&mut self, held: Held, changes: &mut Vec<Change>) {
        let Held { moved, mut connection, transition } = held;
        tell_end(&mut connection, &mut self.summary, moved, &transition, changes);
        if self.stays(&transition) {
            self.keep(transition.skaddr, connection, changes);
        }
    }

    /// Whether a descriptor still refers to the socket after its end, and its last word will be told.
    fn stays(&self, transition: &Transition) -> bool {
        let open = transition.socket.is_some_and(|fields| !fields.dead && !fields.kernel);
        open && self.options.destroy_hook
    }

    fn add_minisock(
        &mut self,
        connection: Connection,
        transition: &Transition,
        lifetime: Option<Duration>,
        changes: &mut Vec<Change>,
    ) {
        let Identity { tuple, netns, cookie, .. } = connection.identity();
        let mut deadline = transition.at + lifetime.unwrap_or(FIN_TIMEOUT);
        let mut timed = lifetime.is_some();
        // The kernel makes the minisock just before the event (`tcp_time_wait`, 5.10 to 7.2), so
        // that a dump may have shown it already.
        if cookie.is_some()
            && self.minisocks.at(netns, &tuple).is_some_and(|it| it.connection.cookie() == cookie)
            && let Some(shown) = self.minisocks.remove_at(netns, &tuple)
        {
            deadline = shown.deadline.max(transition.at);
            timed = shown.timed;
        }
        if self.minisocks.len() >= self.options.max_minisocks {
            self.make_room(changes);
        }
        let replaced = self.minisocks.insert(Minisock {
            deadline,
            timed,
            counters: transition.counters,
            connection,
        });
        if let Some(replaced) = replaced {
            self.end_minisock(replaced, MinisockEnd::Displaced(transition.at), changes);
        }
    }

    /// A connection at the same addresses proves that the minisock there is gone.
    pub(super) fn displace_minisock(
        &mut self,
        identity: &Identity,
        at: Timestamp,
        changes: &mut Vec<Change>,
    ) {
        if let Some(minisock) = self.minisocks.remove_at(identity.netns, &identity.tuple) {
            self.end_minisock(minisock, MinisockEnd::Displaced(at), changes);
        }
    }

    /// Tells of the end of a minisock.
    pub(super) fn end_minisock(
        &mut self,
        minisock: Minisock,
        end: MinisockEnd,
        changes: &mut Vec<Change>,
    ) {
        let (at, reason, dwell) = end.time_reason_and_dwell(&minisock);
        let Minisock { mut connection, counters, .. } = minisock;
        let moved = Moved {
            at,
            identity: connection.identity(),
            from: connection.state(),
            to: TcpState::Close,
            dwell,
            evidence: end.evidence(),
            reason,
            owner: connection.owner(),
            on_cpu: None,
        };
        changes.push(Change::Moved(moved));
        if connection.state() == TcpState::FinWait2 {
            connection.enter(TcpState::Close, Since::Exact(at), dwell);
            let end = reason.map_or(End::Unknown, End::Because);
            self.summary.connections += 1;
            changes.push(Change::Finished(Box::new(connection.finished(
                at,
                end,
                moved.owner,
                counters,
                None,
            ))));
        }
    }

    /// Gives up the minisock that would end first.
    fn make_room(&mut self, changes: &mut Vec<Change>) {
        if let Some(evicted) = self.minisocks.remove_first() {
            self.summary.evicted += 1;
            changes.push(Change::Forgotten(evicted.connection.id()));
        }
    }
}

/// What becomes of a full socket, if a hook on the making of minisocks has told. Without room for one a
/// connection whose FINs have both come is over all the same, and an orphan is given up.
fn told_outcome(told: Told, from: TcpState, fields: Option<&SocketFields>) -> Option<Outcome> {
    // A minisock takes the place of no other socket.
    if !matches!(from, TcpState::FinWait2 | TcpState::Closing) {
        return None;
    }
    match told {
        Told::Nothing | Told::ResetReceived => None,
        Told::TimeWait => Some(Outcome::TimeWait),
        Told::Orphan => Some(Outcome::OrphanFinWait2),
        Told::NoMinisock => {
            let has_both = fields.is_some_and(|fields| fields.done);
            Some(Outcome::Closed(Some(if has_both { Reason::Fin } else { Reason::Local })))
        }
    }
}

/// Tells of the end of a full socket.
fn tell_end(
    connection: &mut Connection,
    summary: &mut Summary,
    moved: Moved,
    transition: &Transition,
    changes: &mut Vec<Change>,
) {
    changes.push(Change::Moved(moved));
    connection.enter(TcpState::Close, Since::Exact(moved.at), moved.dwell);
    let end = match (moved.from, moved.reason) {
        (TcpState::LastAck, Some(Reason::Fin)) => End::LastAck,
        (_, Some(reason)) => End::Because(reason),
        (_, None) => End::Unknown,
    };
    if moved.from != TcpState::Listen {
        sum_up(connection, summary, &moved, end, transition, changes);
    }
}

fn sum_up(
    connection: &Connection,
    summary: &mut Summary,
    moved: &Moved,
    end: End,
    transition: &Transition,
    changes: &mut Vec<Change>,
) {
    let Transition { counters, on_cpu, .. } = *transition;
    summary.connections += 1;
    let finished = connection.finished(moved.at, end, moved.owner, counters, on_cpu);
    changes.push(Change::Finished(Box::new(finished)));
}
