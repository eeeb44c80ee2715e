//! What helper hooks saw.

use tcptrace_common::tcp_state::TcpState;

use super::{Tracker, closing::MinisockEnd};
use crate::{
    event::{Ends, Hook, HookKind, Process, TIME_WAIT},
    model::{
        change::{Change, Evidence, Owner, Reason, Released},
        connection::{Connection, Told},
        minisocks::Minisock,
        since::Since,
    },
};

impl Tracker {
    pub(super) fn hook(&mut self, hook: &Hook, changes: &mut Vec<Change>) {
        match hook.kind {
            HookKind::Destroyed => self.destroyed(hook, changes),
            HookKind::ResetReceived => self.tell(hook, Told::ResetReceived),
            HookKind::ResetSent => self.reset_sent(hook, changes),
            HookKind::Accepted(process) => self.accepted(hook, process),
            HookKind::TimeWaitMade => self.tell(hook, Told::TimeWait),
            HookKind::OrphanMade => self.tell(hook, Told::Orphan),
            HookKind::NoMinisock => self.tell(hook, Told::NoMinisock),
            HookKind::MinisockGotFin(ends) => self.minisock_got_fin(hook, ends, changes),
            HookKind::MinisockReset(ends) => {
                // What is answered so from TIME_WAIT is not over: that is told by its end.
                let is_orphan = |it: &Minisock| it.connection.state() == TcpState::FinWait2;
                if self.minisock_of(hook, &ends).is_some_and(is_orphan) {
                    self.minisock_ended(&ends, MinisockEnd::Reset(hook.at), changes);
                }
            }
            HookKind::MinisockEnded(ends) => {
                if self.minisock_of(hook, &ends).is_some() {
                    self.minisock_ended(&ends, MinisockEnd::Told(hook.at), changes);
                }
            }
        }
    }

    fn destroyed(&mut self, hook: &Hook, changes: &mut Vec<Change>) {
        if self.named(hook).is_none() {
            return;
        }
        let Some(connection) = self.sockets.remove(hook.skaddr) else { return };
        if connection.state() == TcpState::Close {
            changes.push(Change::Released(Released {
                at: hook.at,
                id: connection.id(),
                dwell: connection.since().dwell(hook.at),
            }));
        }
        self.lose(connection.state(), &connection.identity(), changes);
    }

    fn reset_sent(&mut self, hook: &Hook, changes: &mut Vec<Change>) {
        if let Some(mut held) = self.held.explained_by(hook) {
            held.moved.reason = Some(Reason::ResetByUs);
            held.moved.evidence = Evidence::Confirmed;
            self.tell_held(held, changes);
        } else if let Some(orphan) =
            hook.cookie.and_then(|cookie| self.minisocks.remove_orphan(cookie))
        {
            self.end_minisock(orphan, MinisockEnd::Reset(hook.at), changes);
        }
    }

    /// The process that accepts is the first to hold a connection that somebody else opened.
    fn accepted(&mut self, hook: &Hook, process: Process) {
        if let Some(connection) = self.open(hook) {
            connection.set_owner(Owner::Opener(process));
        }
    }

    /// Between the hooks on minisocks and the transition to CLOSE nothing happens to the socket
    /// (`tcp_time_wait`, 5.10 to 7.2).
    fn tell(&mut self, hook: &Hook, told: Told) {
        if let Some(connection) = self.open(hook) {
            connection.tell(told);
        }
    }

    /// The connection of the full socket that a hook names, if it is not over.
    fn open(&mut self, hook: &Hook) -> Option<&mut Connection> {
        self.named(hook).filter(|connection| connection.state() != TcpState::Close)
    }

    /// The connection of the full socket that a hook names. A hook may come late, when the kernel has given
    /// the socket's memory to another.
    fn named(&mut self, hook: &Hook) -> Option<&mut Connection> {
        let connection = self.sockets.get_mut(hook.skaddr)?;
        let is_it = match (connection.cookie(), hook.cookie) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => connection.id().first_seen <= hook.at,
        };
        is_it.then_some(connection)
    }

    fn minisock_got_fin(&mut self, hook: &Hook, ends: Ends, changes: &mut Vec<Change>) {
        let Some(known) = self.minisock_of(hook, &ends) else { return };
        let Ends { netns, tuple } = ends;
        if known.connection.state() == TcpState::TimeWait {
            // It has come again, and the timer with it (`tcp_timewait_state_process`, 5.10 to 7.2).
            if let Some(place) = self.minisocks.place_at(Some(netns), &tuple) {
                self.minisocks.update(place, |minisock| {
                    minisock.connection.seen(hook.at);
                    minisock.deadline = hook.at + TIME_WAIT;
                    minisock.timed = true;
                });
            }
            return;
        }
        // If the first was lost, this may be the second.
        let may_have_come = self.lost.is_some_and(|lost| lost >= known.connection.last_seen());
        let began = if may_have_come { Since::Estimated } else { Since::Exact }(hook.at);
        self.orphan_got_its_fin(Some(netns), &tuple, began, changes);
    }

    /// The minisock that a hook names.
    fn minisock_of(&self, hook: &Hook, ends: &Ends) -> Option<&Minisock> {
        let known = self.minisocks.at(Some(ends.netns), &ends.tuple)?;
        known.connection.may_be(hook.cookie, &ends.tuple).then_some(known)
    }

    fn minisock_ended(&mut self, ends: &Ends, end: MinisockEnd, changes: &mut Vec<Change>) {
        if let Some(minisock) = self.minisocks.remove_at(Some(ends.netns), &ends.tuple) {
            self.end_minisock(minisock, end, changes);
        }
    }
}
