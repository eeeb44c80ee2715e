//! What happened when, in buckets of time that merge in pairs instead of becoming too many.

use std::collections::BTreeMap;

use crate::time::Timestamp;

/// The longest that a timeline becomes, in buckets.
pub const BUCKETS: u64 = 128;
/// How long a bucket is at first, in nanoseconds.
const FIRST_WIDTH: u64 = 100_000_000;

/// What happened within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Connections that began.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Connections that entered the state in which they were found to be stuck.
    pub stuck: u64,
    /// Connections found stuck that no longer were.
    pub resolved: u64,
}

impl Bucket {
    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.stuck += other.stuck;
        self.resolved += other.resolved;
    }
}

/// What happened when. Times may come in any order.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// By time in widths.
    buckets: BTreeMap<u64, Bucket>,
    width: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), width: FIRST_WIDTH }
    }
}

impl Timeline {
    /// The bucket of this time, which the timeline covers from now on.
    pub fn at(&mut self, at: Timestamp) -> &mut Bucket {
        while self.length_with(at.0 / self.width) > BUCKETS {
            self.merge_pairs();
        }
        self.buckets.entry(at.0 / self.width).or_default()
    }

    fn length_with(&self, index: u64) -> u64 {
        let first = self.buckets.keys().next().map_or(index, |first| index.min(*first));
        let last = self.buckets.keys().next_back().map_or(index, |last| index.max(*last));
        last - first + 1
    }

    fn merge_pairs(&mut self) {
        self.width = self.width.saturating_mul(2);
        for (index, bucket) in std::mem::take(&mut self.buckets) {
            self.buckets.entry(index / 2).or_default().add(&bucket);
        }
    }

    /// How long a bucket is, in nanoseconds.
    #[must_use]
    pub const fn width_ns(&self) -> u64 {
        self.width
    }

    /// When the first bucket begins; none if there is none.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        self.buckets.keys().next().map(|first| Timestamp(first * self.width))
    }

    /// All buckets from the first to the last, also those in which nothing happened.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let (Some(first), Some(last)) =
            (self.buckets.keys().next(), self.buckets.keys().next_back())
        else {
            return Vec::new();
        };
        (*first..=*last)
            .map(|index| self.buckets.get(&index).copied().unwrap_or_default())
            .collect()
    }
}

/// How many were stuck at the end of each bucket.
#[must_use]
pub fn stuck_over_time(buckets: &[Bucket]) -> Vec<u64> {
    let mut stuck: u64 = 0;
    buckets
        .iter()
        .map(|bucket| {
            stuck = (stuck + bucket.stuck).saturating_sub(bucket.resolved);
            stuck
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Bucket, FIRST_WIDTH, Timeline, Timestamp, stuck_over_time};

    fn opened(timeline: &Timeline) -> Vec<u64> {
        timeline.buckets().iter().map(|bucket| bucket.opened).collect()
    }

    #[test]
    fn quiet_times_have_empty_buckets_and_order_does_not_matter() {
        let mut timeline = Timeline::default();
        assert_eq!((timeline.begun(), opened(&timeline)), (None, Vec::new()));
        for index in [13, 10, 10, 14] {
            timeline.at(Timestamp(index * FIRST_WIDTH + 1)).opened += 1;
        }
        assert_eq!(opened(&timeline), [2, 0, 0, 1, 1]);
        assert_eq!(timeline.begun(), Some(Timestamp(10 * FIRST_WIDTH)));
    }

    #[test]
    fn buckets_merge_in_pairs_when_they_become_too_many() {
        let mut timeline = Timeline::default();
        for index in 0..BUCKETS {
            timeline.at(Timestamp(index * FIRST_WIDTH)).opened += 1;
        }
        assert_eq!(opened(&timeline), [1; 128]);
        timeline.at(Timestamp(BUCKETS * FIRST_WIDTH)).opened += 1;
        assert_eq!(timeline.width_ns(), 2 * FIRST_WIDTH);
        let mut merged = vec![2; 64];
        merged.push(1);
        assert_eq!(opened(&timeline), merged);
    }

    #[test]
    fn any_two_times_fit() {
        let mut timeline = Timeline::default();
        timeline.at(Timestamp(u64::MAX)).opened += 1;
        timeline.at(Timestamp(0)).closed += 1;
        let buckets = timeline.buckets();
        assert!(buckets.len() as u64 <= BUCKETS, "{}", buckets.len());
        assert_eq!((buckets[0].closed, buckets.last().map(|last| last.opened)), (1, Some(1)));
    }

    #[test]
    fn the_stuck_add_up_until_they_are_resolved() {
        let bucket = |stuck, resolved| Bucket { stuck, resolved, ..Bucket::default() };
        assert_eq!(stuck_over_time(&[bucket(2, 0), bucket(1, 2), bucket(0, 3)]), [2, 1, 0]);
    }
}
