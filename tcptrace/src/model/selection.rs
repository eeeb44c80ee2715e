//! Selection: a filter selects connections, not events.
//!
//! A connection that matches at any time shows all its lines, also those from before it was known to
//! match; until then they are held here, bounded.

use tcptrace_common::tcp_state::TcpState;

use crate::model::{
    change::{Change, ConnectionId, End, Finished, Moved},
    filter::{Filter, Verdict},
    map::HashMap,
};

/// Lines held for one connection; more than a connection passes through states, short of a socket
/// that is connected again and again, whose every try is a connection of its own.
const MAX_HELD_LINES: usize = 16;
/// Connections whose lines are held at a time.
const MAX_UNDECIDED: usize = 500_000;

/// Decides which connections are shown.
#[derive(Debug)]
pub struct Selection {
    filter: Filter,
    connections: HashMap<ConnectionId, Standing>,
    undecided: usize,
    /// Lines that could not be held.
    overflowed: u64,
}

#[derive(Debug)]
enum Standing {
    Selected,
    Rejected,
    Undecided(Vec<Change>),
}

impl Selection {
    /// Selects by `filter`.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self { filter, connections: HashMap::default(), undecided: 0, overflowed: 0 }
    }

    /// Lines that could not be held, because too many were undecided at a time.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Whether every connection is selected, so that all may be passed by.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.filter.is_empty()
    }

    /// Passes on what belongs to a selected connection.
    pub fn pass(&mut self, change: Change, shown: &mut Vec<Change>) {
        if self.takes_all() {
            shown.push(change);
            return;
        }
        match change {
            Change::Moved(moved) => self.pass_line(moved, shown),
            Change::Finished(finished) => self.pass_end(finished, shown),
            Change::Forgotten(id) => self.forget(id),
            Change::Released(_) => {}
            Change::Stuck(_) | Change::Resolved(_) | Change::Lost(_) => shown.push(change),
        }
    }

    fn pass_line(&mut self, moved: Moved, shown: &mut Vec<Change>) {
        let id = moved.identity.id;
        match self.connections.remove(&id) {
            Some(Standing::Selected) => {
                shown.push(Change::Moved(moved));
                self.connections.insert(id, Standing::Selected);
            }
            Some(Standing::Rejected) => drop(self.connections.insert(id, Standing::Rejected)),
            Some(Standing::Undecided(held)) => {
                self.undecided -= 1;
                self.decide(moved, held, shown);
            }
            None => self.decide(moved, Vec::new(), shown),
        }
        // These lines are the last of their connection; any other end has a Finished behind it.
        if moved.to == TcpState::Close
            && matches!(moved.from, TcpState::Listen | TcpState::TimeWait)
        {
            self.forget(id);
        }
    }

    fn decide(&mut self, moved: Moved, mut held: Vec<Change>, shown: &mut Vec<Change>) {
        let standing = match self.filter.judge(&moved) {
            Verdict::Yes => {
                shown.extend(held);
                shown.push(Change::Moved(moved));
                Standing::Selected
            }
            Verdict::Never => Standing::Rejected,
            Verdict::NotYet if self.undecided < MAX_UNDECIDED && held.len() < MAX_HELD_LINES => {
                held.push(Change::Moved(moved));
                self.undecided += 1;
                Standing::Undecided(held)
            }
            Verdict::NotYet => {
                self.overflowed += 1;
                self.undecided += 1;
                Standing::Undecided(held)
            }
        };
        self.connections.insert(moved.identity.id, standing);
    }

    fn pass_end(&mut self, finished: Box<Finished>, shown: &mut Vec<Change>) {
        let id = finished.identity.id;
        // A minisock may have a last line to come.
        let last = finished.end != End::TimeWait;
        match self.connections.get_mut(&id) {
            Some(Standing::Selected) => shown.push(Change::Finished(finished)),
            Some(Standing::Undecided(held)) if !last => held.push(Change::Finished(finished)),
            _ => {}
        }
        if last {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(Standing::Undecided(_)) = self.connections.remove(&id) {
            self.undecided -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tcptrace_common::tcp_state::TcpState::{self, Close, CloseWait, Established, SynSent};

    use super::Selection;
    use crate::{
        event::{Comm, Endpoint, Process, Tuple},
        model::{
            change::{Change, ConnectionId, Dwell, Evidence, Identity, Moved, Owner},
            filter::Filter,
        },
        time::Timestamp,
    };

    fn line(
        number: u64,
        lport: Option<u16>,
        from: TcpState,
        to: TcpState,
        pid: Option<u32>,
    ) -> Change {
        let end = |port| Endpoint { addr: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port };
        Change::Moved(Moved {
            at: Timestamp(number),
            identity: Identity {
                id: ConnectionId { first_seen: Timestamp(number), socket: 1 },
                tuple: Tuple {
                    local: end(lport),
                    remote: end(Some(80)),
                    v4mapped: false,
                    ipv6: false,
                },
                netns: Some(1),
                cookie: None,
                skaddr: None,
                kernel: false,
            },
            from,
            to,
            dwell: Dwell::Unknown,
            evidence: Evidence::Event,
            reason: None,
            owner: pid
                .map_or(Owner::Unknown, |pid| Owner::Fd(Process { pid, comm: Comm::from("srv") })),
            on_cpu: None,
        })
    }

    fn shown(filter: Filter, lines: &[Change]) -> usize {
        let mut selection = Selection::new(filter);
        let mut shown = Vec::new();
        for line in lines {
            selection.pass(line.clone(), &mut shown);
        }
        shown.len()
    }

    #[test]
    fn lines_from_before_the_port_was_known_are_shown_too() {
        let lines = [
            line(1, None, Close, SynSent, None),
            line(1, Some(4000), SynSent, Established, None),
            line(2, None, Close, SynSent, None),
            line(2, Some(4001), SynSent, Established, None),
        ];
        let filter = Filter { local_ports: vec![4000], ..Filter::default() };
        assert_eq!(shown(filter, &lines), 2);
    }

    #[test]
    fn a_state_or_owner_met_late_selects_the_whole_connection() {
        let lines = [
            line(1, Some(1), SynSent, Established, None),
            line(1, Some(1), Established, CloseWait, Some(7)),
            line(1, Some(1), CloseWait, Close, None),
        ];
        let by_state = Filter { states: vec![CloseWait], ..Filter::default() };
        assert_eq!(shown(by_state, &lines), 3);
        let by_pid = Filter { pids: vec![7], ..Filter::default() };
        assert_eq!(shown(by_pid, &lines), 3);
        let stranger = Filter { pids: vec![8], ..Filter::default() };
        assert_eq!(shown(stranger, &lines), 0);
    }

    #[test]
    fn what_is_held_is_bounded_and_counted() {
        let mut selection = Selection::new(Filter { pids: vec![7], ..Filter::default() });
        let mut shown = Vec::new();
        for _ in 0..100 {
            selection.pass(line(1, Some(1), SynSent, Established, None), &mut shown);
        }
        assert_eq!((shown.len(), selection.overflowed()), (0, 100 - 16));
        selection.pass(
            Change::Forgotten(ConnectionId { first_seen: Timestamp(1), socket: 1 }),
            &mut shown,
        );
        assert!(selection.connections.is_empty() && selection.undecided == 0);
    }
}
