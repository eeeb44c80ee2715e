//! Which connection an event is of, and since when it has been in the state that the event leaves.

use tcptrace_common::tcp_state::TcpState;

use super::Tracker;
use crate::{
    event::Transition,
    model::{
        change::{Change, Dwell},
        connection::Connection,
        since::Since,
    },
};

/// The connection that an event is of.
pub(super) struct Found {
    pub(super) place: usize,
    /// Time in the state that it leaves.
    pub(super) dwell: Dwell,
    /// It was not among the sockets before.
    pub(super) is_new: bool,
}

impl Tracker {
    /// A new connection, perhaps on a socket that has carried one before.
    pub(super) fn begin(&mut self, transition: &Transition, changes: &mut Vec<Change>) -> Found {
        let mut connection = Connection::from_transition(transition, true);
        // What its memory was before has nothing more to explain.
        let held = self.held.take(transition.skaddr);
        held.into_iter().for_each(|held| self.tell_held(held, changes));
        let Some(place) = self.sockets.find(transition.skaddr) else {
            let place = self.sockets.insert(transition.skaddr, connection);
            return Found { place, dwell: Dwell::Unknown, is_new: true };
        };
        let before = &self.sockets[place];
        let mut dwell = Dwell::Unknown;
        let same_socket = transition.from == TcpState::Close
            && before.cookie().is_some()
            && before.cookie() == transition.cookie;
        if before.state() != TcpState::Close {
            self.lose(before.state(), &before.identity(), changes);
        } else if same_socket {
            connection.set_owner(before.owner());
            dwell = before.since().dwell(transition.at);
        }
        self.sockets[place] = connection;
        Found { place, dwell, is_new: false }
    }

    /// The connection that the event continues, and the time in the state it leaves. A duration is
    /// given only if nothing was missed in between.
    pub(super) fn go_on(&mut self, transition: &Transition, changes: &mut Vec<Change>) -> Found {
        let placed = self.sockets.find(transition.skaddr);
        if let Some(place) = placed {
            let known = &self.sockets[place];
            if known.can_go_on_with(transition) {
                return Found { place, dwell: self.leave(place, transition), is_new: false };
            }
            self.lose(known.state(), &known.identity(), changes);
        }
        let mut known = self.unplaced.take(transition.cookie, &transition.tuple);
        if let Some(stranger) = known.take_if(|known| !known.can_go_on_with(transition)) {
            self.lose(stranger.state(), &stranger.identity(), changes);
        }
        let is_known = known.is_some();
        let connection =
            known.map_or_else(|| Connection::from_transition(transition, false), |known| *known);
        let place = match placed {
            Some(place) => {
                self.sockets[place] = connection;
                place
            }
            None => self.sockets.insert(transition.skaddr, connection),
        };
        let is_new = placed.is_none();
        if is_known {
            return Found { place, dwell: self.leave(place, transition), is_new };
        }
        // Before the first dump a socket that nobody knows is only older than the trace.
        if self.compared {
            self.count_uncertain(&self.sockets[place].identity());
        }
        Found { place, dwell: Dwell::Unknown, is_new }
    }

    /// How long the connection has been in the state that the event leaves. If that is not the one it
    /// was in, something was missed.
    fn leave(&mut self, place: usize, transition: &Transition) -> Dwell {
        let connection = &mut self.sockets[place];
        if connection.state() == transition.from {
            return connection.since().dwell(transition.at);
        }
        connection.correct(transition.from, Since::Unknown);
        let identity = connection.identity();
        self.count_uncertain(&identity);
        Dwell::Unknown
    }
}
