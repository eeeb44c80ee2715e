//! What a run saw and missed, counted.

use std::collections::BTreeMap;

use crate::event::{Lost, LostWhy};

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transitions traced.
    pub transitions: u64,
    /// Connections that ended.
    pub connections: u64,
    /// Records lost, by reason.
    pub lost: BTreeMap<LostWhy, u64>,
    /// Connections of which something was missed, so that a duration or an end is not known.
    pub uncertain: u64,
    /// Connections that were not followed because a table was full.
    pub evicted: u64,
    /// Lines that a filter left undecided and that could not be held until it was.
    pub not_held: u64,
}

impl Summary {
    /// Adds a loss.
    pub fn add_lost(&mut self, lost: &Lost) {
        let count = self.lost.entry(lost.why).or_default();
        *count = count.saturating_add(lost.count);
    }

    /// All records lost.
    #[must_use]
    pub fn total_lost(&self) -> u64 {
        self.lost.values().fold(0, |sum, &count| sum.saturating_add(count))
    }
}
