//! A bound on what looking around costs.

use std::time::{Duration, Instant};

/// Keeps work whose cost is not known beforehand to a share of the time.
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

    /// Notes that the work was done, from `begun` until now.
    pub(super) fn spend(&mut self, begun: Instant) {
        self.ready_at = Instant::now() + self.interval.max(begun.elapsed() * self.share);
    }
}
