//! How often connections went along each arrow of the diagram, and after what time.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use tcptrace_common::tcp_state::TcpState;

use super::{
    change::{Change, Dwell},
    diagram::allows,
};

/// Digits to which a median is right: as many as are printed of a time.
const DIGITS: u8 = 3;

/// Counts transitions, wherever they come from. Bounded: there are only so many pairs of states, and
/// the dwells of one are counted, not kept.
#[derive(Clone, Debug, Default)]
pub struct Arrows(BTreeMap<(TcpState, TcpState), Passages>);

#[derive(Clone, Debug, Default)]
struct Passages {
    count: u64,
    /// Exact times in the state left.
    dwells: Option<Histogram<u32>>,
}

impl Arrows {
    /// Takes a change into account, if it is a transition.
    pub fn count(&mut self, change: &Change) {
        let Change::Moved(moved) = change else {
            return;
        };
        let passages = self.0.entry((moved.from, moved.to)).or_default();
        passages.count += 1;
        if let Dwell::Exact(ns) = moved.dwell {
            if passages.dwells.is_none() {
                // Three digits are a precision that it takes.
                passages.dwells = Histogram::new(DIGITS).ok();
            }
            // It grows to hold any number.
            _ = passages.dwells.as_mut().map(|dwells| dwells.record(ns));
        }
    }

    /// Transitions from one state to the other.
    #[must_use]
    pub fn times(&self, from: TcpState, to: TcpState) -> u64 {
        self.0.get(&(from, to)).map_or(0, |passages| passages.count)
    }

    /// Transitions between any two states.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.0.values().map(|passages| passages.count).sum()
    }

    /// The median of the exact times in `from` before going to `to`, in nanoseconds; `None` if there
    /// was none. Never more than the true one.
    #[must_use]
    pub fn median_ns(&self, from: TcpState, to: TcpState) -> Option<u64> {
        let dwells = self.0.get(&(from, to))?.dwells.as_ref()?;
        Some(dwells.lowest_equivalent(dwells.value_at_quantile(0.5)))
    }

    /// Transitions that the diagram does not allow, by their states.
    pub fn strange(&self) -> impl Iterator<Item = (TcpState, TcpState)> {
        self.0.keys().copied().filter(|&(from, to)| !allows(from, to))
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState::{self, Close, CloseWait, Established, SynSent};

    use super::{Arrows, Change, Dwell};
    use crate::{
        event::{Lost, LostWhy, Tuple},
        model::change::{ConnectionId, Evidence, Identity, Moved, Owner},
        time::Timestamp,
    };

    fn moved(from: TcpState, to: TcpState, dwell: Dwell) -> Change {
        let identity = Identity {
            id: ConnectionId { first_seen: Timestamp(1), socket: 1 },
            tuple: Tuple::default(),
            netns: None,
            cookie: None,
            skaddr: None,
            kernel: false,
        };
        Change::Moved(Moved {
            at: Timestamp(2),
            identity,
            from,
            to,
            dwell,
            evidence: Evidence::Event,
            reason: None,
            owner: Owner::Unknown,
            on_cpu: None,
        })
    }

    fn counted(changes: impl IntoIterator<Item = Change>) -> Arrows {
        let mut arrows = Arrows::default();
        changes.into_iter().for_each(|change| arrows.count(&change));
        arrows
    }

    #[test]
    fn every_transition_counts_and_nothing_else_does() {
        let lost = Change::Lost(Lost { at: Timestamp(1), count: 5, why: LostWhy::RingFull });
        let arrows = counted([
            moved(Close, SynSent, Dwell::Unknown),
            moved(Close, SynSent, Dwell::Exact(7)),
            moved(SynSent, Established, Dwell::AtLeast(7)),
            lost,
        ]);
        assert_eq!(arrows.times(Close, SynSent), 2);
        assert_eq!(arrows.times(SynSent, Established), 1);
        assert_eq!(arrows.times(Established, CloseWait), 0);
        assert_eq!(arrows.transitions(), 3);
        assert_eq!(arrows.strange().count(), 0);
    }

    #[test]
    fn a_median_is_that_of_the_exact_dwells() {
        let dwells = [
            Dwell::Exact(53_100),
            Dwell::Exact(9_000_000_000),
            Dwell::Exact(50_000),
            Dwell::AtLeast(1),
            Dwell::Estimated(1),
            Dwell::Unknown,
        ];
        let arrows = counted(dwells.map(|dwell| moved(SynSent, Established, dwell)));
        assert_eq!(arrows.times(SynSent, Established), 6);
        let median = arrows.median_ns(SynSent, Established).expect("three exact dwells");
        assert!((53_047..=53_100).contains(&median), "{median}");
        let guessed = counted([moved(SynSent, Close, Dwell::Estimated(5))]);
        assert_eq!(guessed.median_ns(SynSent, Close), None);
        assert_eq!(guessed.median_ns(Close, SynSent), None);
    }

    #[test]
    fn any_dwell_has_its_place() {
        for ns in [0, 1, u64::MAX] {
            let arrows = counted([moved(SynSent, Established, Dwell::Exact(ns))]);
            let median = arrows.median_ns(SynSent, Established).expect("a dwell");
            assert!(median <= ns && ns - median <= ns / 1000, "{ns}: {median}");
        }
    }

    #[test]
    fn a_transition_that_the_diagram_does_not_know_is_strange() {
        let arrows = counted([
            moved(SynSent, Established, Dwell::Unknown),
            moved(CloseWait, SynSent, Dwell::Unknown),
        ]);
        assert_eq!(arrows.strange().collect::<Vec<_>>(), [(CloseWait, SynSent)]);
    }
}
