//! Findings that have process, kind, service and cause in common, over a whole trace.

use std::time::Duration;

use crate::{
    model::{
        change::Dwell,
        findings::finding::{Finding, Group},
        since::Since,
    },
    time::{ClockSample, Timestamp, nanoseconds},
};

/// Findings kept of a group as examples: the oldest.
const EXAMPLES: usize = 3;
/// Over less than this, growth says nothing.
const SHORTEST_SPAN: Duration = Duration::from_secs(10);

/// A group of findings over a whole trace.
#[derive(Clone, Debug)]
pub struct StuckGroup {
    /// What was told last, with the oldest findings as examples.
    pub told: Group,
    /// The clock sample in force then.
    pub clock: ClockSample,
    /// How many were found in all.
    pub found: u64,
    /// How many of them were over before the end.
    pub resolved: u64,
    /// Since when the first of them was in its state.
    pub since: Since,
    /// When the last one of which that was seen entered the state.
    pub newest: Option<Timestamp>,
    /// When the first one of which that was seen did.
    first_seen: Option<Timestamp>,
    /// How many of those that were seen to enter it are not over.
    grown: u64,
    limit: Option<Duration>,
    first_told: Timestamp,
}

impl StuckGroup {
    /// A group of which nothing is known but what it is about.
    #[must_use]
    pub(super) fn new(group: &Group, finding: &Finding, clock: ClockSample) -> Self {
        Self {
            told: Group { news: Vec::new(), ..group.clone() },
            clock,
            found: 0,
            resolved: 0,
            since: Since::Unknown,
            newest: None,
            first_seen: None,
            grown: 0,
            limit: finding.limit,
            first_told: group.at,
        }
    }

    /// Counts a finding that is new.
    pub(super) fn found(&mut self, finding: &Finding) {
        self.found += 1;
        let then = |ns: u64| Timestamp(finding.at.0.saturating_sub(ns));
        let since = match finding.age {
            Dwell::Exact(ns) => Since::Exact(then(ns)),
            Dwell::AtLeast(ns) => Since::AtLeast(then(ns)),
            Dwell::Estimated(ns) => Since::Estimated(then(ns)),
            Dwell::Unknown => return,
        };
        if time(self.since).is_none_or(|before| time(since).is_some_and(|then| then < before)) {
            self.since = since;
        }
        if let Since::Exact(then) = since {
            self.grown += 1;
            self.newest = self.newest.max(Some(then));
            self.first_seen = Some(self.first_seen.map_or(then, |first| first.min(then)));
        }
    }

    /// Keeps what is told of a finding.
    pub(super) fn tell(&mut self, group: &Group, finding: &Finding, clock: &ClockSample) {
        self.clock = *clock;
        self.told.at = group.at;
        self.told.oldest = group.oldest;
        let examples = &mut self.told.news;
        let known = examples.iter().position(|example| example.conn == finding.conn);
        match known {
            Some(place) => examples[place] = finding.clone(),
            None if examples.len() < EXAMPLES => examples.push(finding.clone()),
            None => {}
        }
    }

    /// One of them is over; `seen_to_begin` says that it was seen to enter its state.
    pub(super) fn over(&mut self, seen_to_begin: bool) {
        self.resolved += 1;
        self.grown -= u64::from(seen_to_begin);
    }

    /// How many are stuck at the end of the trace.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.found - self.resolved
    }

    /// When the first was found.
    #[must_use]
    pub const fn first_told(&self) -> Timestamp {
        self.first_told
    }

    /// How long the oldest has been in its state: at the end of the trace, or if any of them is over,
    /// when it was told last.
    #[must_use]
    pub fn oldest(&self, end: Timestamp) -> Dwell {
        if self.resolved == 0 { self.since.dwell(end) } else { self.told.oldest }
    }

    /// How many more there were per minute, from the first that was seen to enter its state up to the
    /// end of the trace; `None` where that is not known, or the time is too short to tell.
    ///
    /// What entered it within the limit before the end could not be found yet, so that this time does
    /// not count.
    #[must_use]
    pub fn per_minute(&self, end: Timestamp) -> Option<f64> {
        let judged = end - self.limit?;
        let span = judged.since(self.first_seen?).filter(|ns| *ns >= nanoseconds(SHORTEST_SPAN))?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let grown = self.grown as f64;
        Some(grown / (Duration::from_nanos(span).as_secs_f64() / 60.0))
    }
}

/// When it was, however well that is known.
const fn time(since: Since) -> Option<Timestamp> {
    match since {
        Since::Exact(then) | Since::AtLeast(then) | Since::Estimated(then) => Some(then),
        Since::Unknown => None,
    }
}
