//! A bound on what looking around costs.

use std::time::{Duration, Instant};

use crate::kernel::clock;

/// Keeps work whose cost is not known beforehand to a share of the time.
///
/// The cost is processor time. That which passes while others have the processor costs nobody
/// anything, and on a busy machine, where looking matters most, it is several times as much.
pub(super) struct Budget {
    interval: Duration,
    share: u32,
    ready_at: Instant,
    /// What the first half of the work cost, once it is done.
    half: Option<Duration>,
}

impl Budget {
    pub(super) fn new(interval: Duration, share: u32) -> Self {
        Self { interval, share, ready_at: Instant::now(), half: None }
    }

    pub(super) fn is_ready(&self) -> bool {
        Instant::now() >= self.ready_at
    }

    /// How long it is until the work may be done again.
    pub(super) fn time_left(&self) -> Duration {
        self.ready_at.saturating_duration_since(Instant::now())
    }

    /// Notes that the work was done which began when this process had used `begun` of processor time.
    pub(super) fn spend(&mut self, begun: Duration) {
        self.charge(clock::processor_time().saturating_sub(begun));
    }

    /// The same for work that is done in two halves: the second may follow soon, whatever the first cost,
    /// and then both are paid for.
    pub(super) fn spend_half(&mut self, begun: Duration) {
        let cost = clock::processor_time().saturating_sub(begun);
        match self.half.take() {
            Some(first) => self.charge(first + cost),
            None => {
                self.half = Some(cost);
                self.ready_at = Instant::now() + self.interval;
            }
        }
    }

    fn charge(&mut self, cost: Duration) {
        self.ready_at = Instant::now() + self.interval.max(cost * self.share);
    }
}
