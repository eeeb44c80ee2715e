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
}

impl Budget {
    pub(super) fn new(interval: Duration, share: u32) -> Self {
        Self { interval, share, ready_at: Instant::now() }
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
        let cost = clock::processor_time().saturating_sub(begun);
        self.ready_at = Instant::now() + self.interval.max(cost * self.share);
    }
}
