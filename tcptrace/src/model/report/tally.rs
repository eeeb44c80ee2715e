//! A table of counts with a cap: where it is full, the rarest give way.

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

/// Keys kept at a time.
const CAP: usize = 16_384;

/// How often what came.
///
/// When a new key would not fit any more, the half of the keys with the smaller counts is dropped, and
/// their counts go to the others. So what is frequent stays, whenever it begins; but as a key may have
/// been dropped before, its count is a lower bound from then on.
#[derive(Clone, Debug)]
pub struct Tally<K> {
    counts: HashMap<K, u64>,
    cap: usize,
    others: u64,
    unknown: u64,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), cap: CAP, others: 0, unknown: 0 }
    }
}

impl<K: Copy + Ord + Hash> Tally<K> {
    /// Counts one; `None` is of an unknown key.
    pub fn add(&mut self, key: Option<K>) {
        let Some(key) = key else {
            self.unknown += 1;
            return;
        };
        if self.counts.len() >= self.cap && !self.counts.contains_key(&key) {
            self.drop_rarest();
        }
        *self.counts.entry(key).or_insert(0) += 1;
    }

    /// One that was counted without a key turns out to be of this one.
    pub fn claim(&mut self, key: K) {
        self.unknown = self.unknown.saturating_sub(1);
        self.add(Some(key));
    }

    fn drop_rarest(&mut self) {
        for (key, count) in self.top(usize::MAX).split_off(self.cap / 2) {
            self.counts.remove(&key);
            self.others += count;
        }
    }

    /// The most frequent, at most `most` of them; equally frequent ones by their keys.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<(K, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(key, count)| (*key, *count)).collect();
        all.sort_unstable_by_key(|(key, count)| (Reverse(*count), *key));
        all.truncate(most);
        all
    }

    /// The count of this key.
    #[must_use]
    pub fn of(&self, key: &K) -> u64 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// The most frequent, at most `most` of them, and what all else comes to.
    #[must_use]
    pub fn shares(&self, most: usize) -> Shares<K> {
        let mut all = self.top(usize::MAX);
        let rest = all.split_off(most.min(all.len()));
        Shares {
            others: self.others + rest.iter().map(|(_, count)| count).sum::<u64>(),
            top: all,
            unknown: self.unknown,
            at_least: self.others > 0,
        }
    }
}

/// The top of a tally, with nothing left out of the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares<K> {
    /// The most frequent keys and their counts.
    pub top: Vec<(K, u64)>,
    /// What all other known keys come to.
    pub others: u64,
    /// What was counted without a key.
    pub unknown: u64,
    /// The table was full at a time: the counts of keys are lower bounds, and the rest is among the
    /// others.
    pub at_least: bool,
}

#[cfg(test)]
mod tests {
    use super::{Shares, Tally};

    #[test]
    fn the_most_frequent_come_first() {
        let mut tally = Tally::default();
        for key in [Some(5), Some(3), None, Some(3), Some(9), Some(9)] {
            tally.add(key);
        }
        assert_eq!(tally.top(2), [(3, 2), (9, 2)]);
        assert_eq!((tally.of(&5), tally.of(&6)), (1, 0));
        let all =
            Shares { top: vec![(3, 2), (9, 2), (5, 1)], others: 0, unknown: 1, at_least: false };
        assert_eq!(tally.shares(9), all);
        assert_eq!(tally.shares(1), Shares { top: vec![(3, 2)], others: 3, ..all });
    }

    #[test]
    fn what_does_not_fit_is_counted_with_the_others_and_the_frequent_stay() {
        let mut tally = Tally { cap: 8, ..Tally::default() };
        for once in 0..1_000 {
            tally.add(Some(once));
            if once >= 500 {
                // The late one is no less seen than an early one.
                tally.add(Some(7_000));
            }
            assert!(tally.counts.len() <= 8);
        }
        let [(key, count)] = tally.top(1)[..] else {
            unreachable!("one is asked for");
        };
        // It may have given way once or twice before it was frequent.
        assert!(key == 7_000 && (490..=500).contains(&count), "{key}: {count}");
        let shares = tally.shares(3);
        let named: u64 = shares.top.iter().map(|(_, count)| count).sum();
        assert!(shares.at_least);
        assert_eq!(named + shares.others, 1_500);
    }
}
