//! What a trace came to, in numbers.

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Lost, LostWhy},
    model::{
        change::Change,
        findings::{finding::Group, kind::Kind},
        span::Span,
    },
};

/// Plain counts over a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transitions shown, by the state entered, in the order of [`TcpState::ALL`].
    pub entered: [u64; TcpState::ALL.len()],
    /// Connections that ended.
    pub connections: u64,
    /// Records dropped before we saw them.
    pub lost: Losses,
    /// Connections of which something was missed, so that a time or a state of theirs is not known.
    pub uncertain: u64,
    /// Connections forgotten because a table was full.
    pub evicted: u64,
    /// Findings, by kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
    /// Findings that were over before the end.
    pub resolved: u64,
    /// Events, and from when to when they tell.
    pub span: Span,
}

/// Lost records by why they were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The ring buffer, or the queue of a CPU, was full.
    pub ring_full: u64,
    /// The program was already running on that CPU.
    pub recursion: u64,
    /// A record that could not be decoded.
    pub undecodable: u64,
    /// The recorder could not write as fast as the events came.
    pub recorder_behind: u64,
}

impl Summary {
    /// Counts a transition into `state`.
    pub fn count(&mut self, state: TcpState) {
        self.entered[usize::from(state.number()) - 1] += 1;
    }

    /// Counts what a change says that is shown.
    pub fn count_shown(&mut self, change: &Change) {
        match change {
            Change::Moved(moved) => self.count(moved.to),
            Change::Stuck(group) => self.count_findings(group),
            Change::Resolved(_) => self.resolved += 1,
            _ => {}
        }
    }

    /// Counts what is found in a group, each once.
    pub fn count_findings(&mut self, group: &Group) {
        for finding in group.news.iter().filter(|finding| !finding.again) {
            self.kinds[finding.kind as usize] += 1;
        }
    }

    /// Findings of any kind.
    #[must_use]
    pub fn findings(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Transitions into any state.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.entered.iter().sum()
    }
}

impl Losses {
    /// Counts a loss.
    pub const fn count(&mut self, lost: &Lost) {
        let counter = match lost.why {
            LostWhy::RingFull => &mut self.ring_full,
            LostWhy::Recursion => &mut self.recursion,
            LostWhy::Undecodable => &mut self.undecodable,
            LostWhy::RecorderBehind => &mut self.recorder_behind,
        };
        *counter = counter.saturating_add(lost.count);
    }

    /// Lost records, for whatever reason.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let unread = self.recursion.saturating_add(self.undecodable);
        self.ring_full.saturating_add(unread).saturating_add(self.recorder_behind)
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState;

    use super::{Lost, LostWhy, Summary};
    use crate::time::Timestamp;

    #[test]
    fn counts_add_up() {
        let mut summary = Summary::default();
        for state in TcpState::ALL {
            summary.count(state);
        }
        assert_eq!(summary.entered, [1; 12]);
        assert_eq!(summary.transitions(), 12);
        for (why, count) in [
            (LostWhy::RingFull, 3),
            (LostWhy::Recursion, 4),
            (LostWhy::RingFull, 5),
            (LostWhy::Undecodable, u64::MAX),
        ] {
            summary.lost.count(&Lost { at: Timestamp(0), count, why });
        }
        assert_eq!((summary.lost.ring_full, summary.lost.recursion), (8, 4));
        assert_eq!(summary.lost.total(), u64::MAX);
    }
}
