//! What helper hooks saw.

use tcptrace_common::tcp_state::TcpState;

use super::{Tracker, closing::MinisockEnd};
use crate::{
    event::{Ends, Hook, HookKind, Process},
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
            HookKind::ResetReceived => {
                if let Some(connection) = self.sockets.get_mut(hook.skaddr) {
                    connection.tell(Told::ResetReceived);
                }
            }
            HookKind::ResetSent => self.reset_sent(hook, changes),
            HookKind::Accepted(process) => self.accepted(hook, process),
            HookKind::TimeWaitMade => self.about_to_go(hook, Told::TimeWait),
            HookKind::OrphanMade => self.about_to_go(hook, Told::Orphan),
            HookKind::NoMinisock => self.about_to_go(hook, Told::NoMinisock),
            HookKind::MinisockGotFin(ends) => {
                if self.minisock_of(hook, &ends).is_some() {
                    let Ends { netns, tuple } = ends;
                    let began = Since::Exact(hook.at);
                    self.orphan_got_its_fin(Some(netns), &tuple, began, changes);
                }
            }
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
        if let Some(connection) = self.named(hook)
            && !connection.identity().kernel
        {
            connection.set_owner(Owner::Opener(process));
        }
    }

    /// Between this hook and the transition to CLOSE nothing happens to the socket (`tcp_time_wait`,
    /// 5.10 to 7.2).
    fn about_to_go(&mut self, hook: &Hook, told: Told) {
        if let Some(connection) = self.named(hook) {
            connection.tell(told);
        }
    }

    /// The connection of the full socket that a hook names.
    fn named(&mut self, hook: &Hook) -> Option<&mut Connection> {
        let connection = self.sockets.get_mut(hook.skaddr)?;
        let is_it = match (connection.cookie(), hook.cookie) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        (is_it && connection.state() != TcpState::Close).then_some(connection)
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
