//! Lines that wait for the reset that may explain them.

use std::{collections::VecDeque, time::Duration};

use crate::{
    event::{Hook, Transition},
    model::{change::Moved, connection::Connection, map::HashMap},
    time::Timestamp,
};

/// How long a line may be held until the reset that explains it is seen. The kernel sends it
/// within microseconds of the transition, but a task may be preempted in between.
const HOLD: Duration = Duration::from_millis(50);

/// A line that waits for the reset that may explain it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) moved: Moved,
    pub(super) connection: Connection,
    pub(super) transition: Transition,
}

impl Held {
    fn due(&self) -> Timestamp {
        self.moved.at + HOLD
    }
}

/// Lines that wait, at most one for a socket, in the order in which they began to.
#[derive(Debug, Default)]
pub(super) struct HeldLines {
    by_socket: HashMap<u64, Held>,
    /// When each is due; those that have been taken out since are passed over.
    queue: VecDeque<(Timestamp, u64)>,
}

impl HeldLines {
    /// Adds a line; the one that waited for the same socket is returned.
    pub(super) fn push(&mut self, held: Held) -> Option<Held> {
        let socket = held.transition.skaddr;
        let before = self.take(socket);
        self.queue.push_back((held.due(), socket));
        self.by_socket.insert(socket, held);
        before
    }

    /// When the first line has waited long enough.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.queue.front().map(|&(due, _)| due)
    }

    /// Takes out the first line.
    pub(super) fn pop(&mut self) -> Option<Held> {
        let socket = self.queue.front()?.1;
        self.take(socket)
    }

    /// Takes out the line of this socket.
    pub(super) fn take(&mut self, socket: u64) -> Option<Held> {
        let held = self.by_socket.remove(&socket)?;
        while let Some(&(due, socket)) = self.queue.front()
            && self.by_socket.get(&socket).is_none_or(|held| held.due() != due)
        {
            self.queue.pop_front();
        }
        Some(held)
    }

    /// Takes out the line that a reset explains: of the same socket, not of one that has its memory
    /// by now.
    pub(super) fn explained_by(&mut self, reset: &Hook) -> Option<Held> {
        let held = self.by_socket.get(&reset.skaddr)?;
        match (held.moved.identity.cookie, reset.cookie) {
            (Some(ours), Some(theirs)) if ours != theirs => None,
            _ => self.take(reset.skaddr),
        }
    }
}
