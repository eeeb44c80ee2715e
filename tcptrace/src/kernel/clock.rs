//! The kernel's clocks.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use crate::time::{ClockSample, Timestamp};

/// Now, as the kernel programs stamp it.
pub fn now() -> Timestamp {
    Timestamp(nanoseconds(clock_gettime(ClockId::Boottime)).unsigned_abs())
}

/// Where the wall clock stands now.
pub fn sample() -> ClockSample {
    // The wall clock is read between two looks at the other one, so the middle of the two fits best.
    let before = now();
    let wall_ns = nanoseconds(clock_gettime(ClockId::Realtime));
    let after = now();
    ClockSample { boot: Timestamp(before.0.midpoint(after.0)), wall_ns }
}

/// Processor time that all threads of this process have used, those that have ended too.
pub fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Nanoseconds in a jiffy: the resolution of the coarse clock (`KTIME_LOW_RES`, 5.10 to 7.2).
pub fn jiffy_ns() -> u64 {
    nanoseconds(clock_getres(ClockId::MonotonicCoarse)).unsigned_abs()
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
