//! When connections would pass their limits: what has entered a state since the last snapshot.

use std::{collections::VecDeque, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::limits::{DEFAULT_LIMITS, Limits};
use crate::{model::change::ConnectionId, time::Timestamp};

/// Entries of connections that have left the state are dropped when there are so many of them.
const COMPACT_ABOVE: usize = 65_536;

/// A connection that has entered a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) entered: Timestamp,
    pub(super) id: ConnectionId,
    pub(super) skaddr: Option<u64>,
}

/// One queue per state. Events come in their order and the limit of a state is the same for all, so
/// each queue is sorted by itself. Leaving a state costs nothing: whether an entry still holds is
/// asked when its time has come.
#[derive(Debug)]
pub(super) struct Deadlines {
    queues: Vec<Queue>,
    compact_above: usize,
}

#[derive(Debug)]
struct Queue {
    state: TcpState,
    limit: Duration,
    entries: VecDeque<Entry>,
}

impl Deadlines {
    pub(super) fn new(limits: &Limits) -> Self {
        let states = DEFAULT_LIMITS.iter().map(|(state, _)| *state);
        let queues = states.filter_map(|state| {
            Some(Queue { state, limit: limits.of(state)?, entries: VecDeque::new() })
        });
        Self { queues: queues.collect(), compact_above: COMPACT_ABOVE }
    }

    /// Notes that a connection has entered a state. `holds` tells whether an entry's connection is
    /// still in its state.
    pub(super) fn push(
        &mut self,
        state: TcpState,
        entry: Entry,
        holds: impl Fn(&Entry, TcpState) -> bool,
    ) {
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.state == state) {
            queue.entries.push_back(entry);
        }
        if self.len() > self.compact_above {
            for queue in &mut self.queues {
                queue.entries.retain(|entry| holds(entry, queue.state));
            }
            self.compact_above = COMPACT_ABOVE.max(2 * self.len());
        }
    }

    /// When the next connection may pass its limit.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.queues.iter().filter_map(Queue::due).min()
    }

    /// Whether a connection has passed its limit by `now`; entries that do not hold are dropped.
    pub(super) fn is_due(
        &mut self,
        now: Timestamp,
        holds: impl Fn(&Entry, TcpState) -> bool,
    ) -> bool {
        for queue in &mut self.queues {
            while queue.due().is_some_and(|due| due <= now) {
                if queue.entries.front().is_some_and(|entry| holds(entry, queue.state)) {
                    return true;
                }
                queue.entries.pop_front();
            }
        }
        false
    }

    /// Forgets what entered its state before a snapshot, which has told of it.
    pub(super) fn forget_before(&mut self, snapshot: Timestamp) {
        for queue in &mut self.queues {
            while queue.entries.front().is_some_and(|entry| entry.entered < snapshot) {
                queue.entries.pop_front();
            }
        }
    }

    fn len(&self) -> usize {
        self.queues.iter().map(|queue| queue.entries.len()).sum()
    }
}

impl Queue {
    fn due(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.entered + self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcptrace_common::tcp_state::TcpState;

    use super::{COMPACT_ABOVE, Deadlines, Entry, Limits};
    use crate::{model::change::ConnectionId, time::Timestamp};

    fn entry(at: u64) -> Entry {
        let id = ConnectionId { first_seen: Timestamp(at), socket: at };
        Entry { entered: Timestamp(at), id, skaddr: None }
    }

    #[test]
    fn only_what_is_still_there_is_due() {
        let mut deadlines = Deadlines::new(&Limits::all(Duration::from_nanos(100)));
        for at in [1, 2, 3] {
            deadlines.push(TcpState::CloseWait, entry(at), |_, _| true);
        }
        deadlines.push(TcpState::Established, entry(0), |_, _| true);
        assert_eq!(deadlines.next(), Some(Timestamp(101)));
        assert!(!deadlines.is_due(Timestamp(100), |_, _| true));
        assert!(!deadlines.is_due(Timestamp(102), |_, _| false));
        assert_eq!(deadlines.next(), Some(Timestamp(103)));
        assert!(deadlines.is_due(Timestamp(103), |entry, _| entry.id.socket == 3));
        deadlines.forget_before(Timestamp(4));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_flood_of_short_states_takes_bounded_memory() {
        let mut deadlines = Deadlines::new(&Limits::default());
        for at in 0..1_000_000 {
            deadlines.push(TcpState::LastAck, entry(at), |entry, _| entry.id.socket + 10 > at);
            assert!(deadlines.len() <= COMPACT_ABOVE);
        }
    }
}
