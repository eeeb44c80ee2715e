//! When minisocks end, the first first.

use std::collections::{BTreeSet, VecDeque};

use crate::{model::change::ConnectionId, time::Timestamp};

/// Whose, and where it lies.
pub(super) type Id = (ConnectionId, usize);

/// Entries that are over and may be kept for each that is not.
const SLACK: usize = 2;
/// Below this many entries none is looked for.
const FEW: usize = 1_024;

/// Deadlines in their order.
///
/// Nearly all come in order, as TIME_WAIT lasts equally long for all. They stand in a queue, and one
/// that is taken back stays there until its turn comes: no tree is searched for any of them.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: VecDeque<(Timestamp, Id)>,
    others: BTreeSet<(Timestamp, Id)>,
    /// Of all, as it is asked for with every event.
    first: Option<(Timestamp, Id)>,
}

impl Deadlines {
    /// Adds one.
    pub(super) fn insert(&mut self, deadline: Timestamp, id: Id) {
        let entry = (deadline, id);
        if self.in_order.back().is_none_or(|last| *last < entry) {
            self.in_order.push_back(entry);
        } else {
            self.others.insert(entry);
        }
        if self.first.is_none_or(|first| entry < first) {
            self.first = Some(entry);
        }
    }

    /// Takes one back. `is_valid` tells whether another that was added still counts, of which there
    /// are `valid`.
    pub(super) fn remove(
        &mut self,
        deadline: Timestamp,
        id: Id,
        valid: usize,
        is_valid: impl Fn(Timestamp, Id) -> bool,
    ) {
        self.others.remove(&(deadline, id));
        if self.in_order.front() == Some(&(deadline, id)) {
            self.in_order.pop_front();
            while self.in_order.pop_front_if(|&mut (at, id)| !is_valid(at, id)).is_some() {}
        }
        if self.in_order.len() > FEW + SLACK * valid {
            self.in_order.retain(|&(at, id)| is_valid(at, id));
        }
        if self.first == Some((deadline, id)) {
            self.first =
                self.in_order.front().into_iter().chain(self.others.first()).min().copied();
        }
    }

    /// The first.
    pub(super) fn first(&self) -> Option<(Timestamp, Id)> {
        self.first
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Deadlines, FEW, SLACK, Timestamp};
    use crate::model::change::ConnectionId;

    proptest! {
        #[test]
        fn the_first_is_the_first_of_those_that_count(
            steps in prop::collection::vec((0..50_u64, any::<bool>()), 1..4_000)
        ) {
            let mut deadlines = Deadlines::default();
            let mut expected = BTreeSet::new();
            for (number, (deadline, adds)) in (0..).zip(steps) {
                // Mostly later than the one before, as with a timer.
                let at = Timestamp(number / 10 + deadline);
                let socket = number;
                let id = (ConnectionId { first_seen: Timestamp(0), socket }, 0);
                if adds {
                    expected.insert((at, id));
                    deadlines.insert(at, id);
                } else if let Some(&(at, id)) = expected.range((at, id)..).next() {
                    expected.remove(&(at, id));
                    let counts = |at, id| expected.contains(&(at, id));
                    deadlines.remove(at, id, expected.len(), counts);
                }
                prop_assert_eq!(deadlines.first(), expected.first().copied());
                prop_assert!(deadlines.len() <= FEW + (SLACK + 1) * expected.len());
            }
        }
    }
}
