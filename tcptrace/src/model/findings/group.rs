//! Groups of findings: what has process, kind and service in common.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{advice::Case, finding::Service};
use crate::{
    model::change::Dwell,
    time::{Timestamp, nanoseconds},
};

/// Growth is told over the last minute.
const GROWTH_SPAN: Duration = Duration::from_secs(60);
/// Over less than this, growth says nothing.
const SHORTEST_SPAN: Duration = Duration::from_secs(10);
/// Counts kept for a group, at most.
const MAX_COUNTS: usize = 1024;

/// What findings of one group have in common: also the case, so that what is said about the group is
/// true of each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) case: Case,
    pub(super) pid: Option<u32>,
    pub(super) service: Service,
}

/// How many there are in a group, and how old the oldest is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) count: u64,
    pub(super) oldest: Option<Dwell>,
}

impl Size {
    pub(super) fn add(&mut self, age: Dwell) {
        self.count += 1;
        if self.oldest.and_then(Dwell::ns) <= age.ns() {
            self.oldest = Some(age);
        }
    }
}

/// How the groups have grown.
#[derive(Debug, Default)]
pub(super) struct Growth {
    counts: HashMap<GroupKey, VecDeque<(Timestamp, u64)>>,
    /// When counting began.
    begun: Option<Timestamp>,
}

impl Growth {
    /// Notes how many there are in all groups; what is not named is empty.
    pub(super) fn note(&mut self, at: Timestamp, sizes: &HashMap<GroupKey, Size>) {
        let begun = *self.begun.get_or_insert(at);
        self.counts.retain(|key, _| sizes.contains_key(key));
        for (key, size) in sizes {
            let counts = self.counts.entry(*key).or_insert_with(|| {
                // A group that was not there at the looks before had none then.
                let before = begun.max(at - GROWTH_SPAN);
                (before < at).then_some((before, 0)).into_iter().collect()
            });
            counts.push_back((at, size.count));
            // The first one kept is the last that is a whole span old.
            while counts.get(1).is_some_and(|(then, _)| *then + GROWTH_SPAN <= at)
                || counts.len() > MAX_COUNTS
            {
                counts.pop_front();
            }
        }
    }

    /// How many more there are per minute; `None` as long as that cannot be told.
    pub(super) fn per_minute(&self, key: &GroupKey) -> Option<f64> {
        let counts = self.counts.get(key)?;
        let ((then, before), (now, count)) = (counts.front()?, counts.back()?);
        let span = now.since(*then).filter(|span| *span >= nanoseconds(SHORTEST_SPAN))?;
        let minutes = Duration::from_nanos(span).as_secs_f64() / 60.0;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let more = *count as f64 - *before as f64;
        Some(more / minutes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Case, GroupKey, Growth, Service, Size};
    use crate::{
        model::{
            change::Dwell,
            findings::{finding::HeldBy, kind::Kind},
        },
        time::Timestamp,
    };

    const SECOND: u64 = 1_000_000_000;

    fn key() -> GroupKey {
        let case = Case::new(Kind::CloseWaitNotClosed, HeldBy::Processes, 1);
        GroupKey { case, pid: None, service: Service::Local(80) }
    }

    fn grown(counts: &[(u64, u64)]) -> Option<f64> {
        let mut growth = Growth::default();
        for &(second, count) in counts {
            let size = Size { count, oldest: None };
            let sizes = if count > 0 { HashMap::from([(key(), size)]) } else { HashMap::new() };
            growth.note(Timestamp(second * SECOND), &sizes);
        }
        growth.per_minute(&key()).map(f64::round)
    }

    #[test]
    fn growth_needs_some_time_and_looks_back_a_minute() {
        assert_eq!(grown(&[(0, 5)]), None);
        assert_eq!(grown(&[(0, 5), (5, 6)]), None);
        assert_eq!(grown(&[(0, 5), (20, 6)]), Some(3.0));
        assert_eq!(grown(&[(0, 5), (30, 35), (60, 65)]), Some(60.0));
        assert_eq!(grown(&[(0, 0), (30, 5)]), Some(10.0));
        assert_eq!(grown(&[(0, 100), (30, 5), (90, 5), (100, 5)]), Some(0.0));
        assert_eq!(grown(&[(0, 10), (30, 4)]), Some(-12.0));
        assert_eq!(grown(&[(0, 10), (30, 0)]), None);
    }

    #[test]
    fn the_oldest_is_the_one_with_the_greatest_known_age() {
        let mut size = Size::default();
        for age in [Dwell::Exact(5), Dwell::AtLeast(7), Dwell::Unknown, Dwell::Estimated(6)] {
            size.add(age);
        }
        assert_eq!((size.count, size.oldest), (4, Some(Dwell::AtLeast(7))));
    }
}
