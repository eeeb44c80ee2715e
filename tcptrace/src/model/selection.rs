//! Selection: a filter selects connections, not events.
//!
//! A connection that matches at any time shows all its lines, also those from before it was known to
//! match; until then they are held here, bounded.

use std::collections::HashMap;

use crate::model::{
    change::{Change, ConnectionId, Finished, Moved},
    filter::{Filter, Verdict},
};

/// Lines held for one connection; more than a connection passes through states, short of a socket
/// that is connected again and again, whose every try is a connection of its own.
const MAX_HELD_LINES: usize = 16;
/// Connections for which lines are held.
const MAX_UNDECIDED: usize = 500_000;

/// Decides which connections are shown.
#[derive(Debug)]
pub struct Selection {
    filter: Filter,
    connections: HashMap<ConnectionId, Standing>,
    /// Connections whose early lines could not be held.
    overflowed: u64,
}

#[derive(Debug)]
enum Standing {
    Selected,
    Rejected,
    Undecided(Vec<Moved>),
}

impl Selection {
    /// Selects by `filter`.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            connections: HashMap::new(),
            overflowed: 0,
        }
    }

    /// Connections of which early lines may be missing, because too many were undecided at a time.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Passes on what belongs to a selected connection.
    pub fn pass(&mut self, change: Change, shown: &mut Vec<Change>) {
        if self.filter.is_empty() {
            shown.push(change);
            return;
        }
        match change {
            Change::Moved(moved) => self.pass_line(moved, shown),
            Change::Finished(finished) => self.pass_end(finished, shown),
        }
    }

    fn pass_line(&mut self, moved: Moved, shown: &mut Vec<Change>) {
        let id = moved.identity.id;
        let room = self.connections.len() < MAX_UNDECIDED;
        match self.connections.get_mut(&id) {
            Some(Standing::Selected) => shown.push(Change::Moved(moved)),
            Some(Standing::Rejected) => {}
            standing => match self.filter.judge(&moved) {
                Verdict::Yes => {
                    if let Some(Standing::Undecided(held)) = standing {
                        shown.extend(held.drain(..).map(Change::Moved));
                    }
                    shown.push(Change::Moved(moved));
                    self.connections.insert(id, Standing::Selected);
                }
                Verdict::Never => drop(self.connections.insert(id, Standing::Rejected)),
                Verdict::NotYet => match standing {
                    Some(Standing::Undecided(held)) if held.len() < MAX_HELD_LINES => held.push(moved),
                    None if room => {
                        self.connections.insert(id, Standing::Undecided(vec![moved]));
                    }
                    _ => self.overflowed += 1,
                },
            },
        }
        // After TIME_WAIT, or any other end without one, no line of this connection comes.
        if moved.to == tcptrace_common::tcp_state::TcpState::Close {
            self.connections.remove(&id);
        }
    }

    fn pass_end(&mut self, finished: Box<Finished>, shown: &mut Vec<Change>) {
        let selected = match self.connections.get(&finished.identity.id) {
            Some(Standing::Selected) => true,
            Some(Standing::Rejected) => false,
            // The last line took the connection out; its end is judged by itself.
            Some(Standing::Undecided(_)) | None => {
                self.filter.judge_finished(&finished) == Verdict::Yes
            }
        };
        if selected {
            shown.push(Change::Finished(finished));
        }
    }
}
