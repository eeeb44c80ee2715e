//! Time: when something happened, and how that reads on the wall clock.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// Nanoseconds of `CLOCK_BOOTTIME`: since boot, suspend included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to here; `None` if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }
}

/// `duration` in nanoseconds; 584 years and more are all the same.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where the wall clock stood against the boot-time clock at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSample {
    /// When both were read.
    pub boot: Timestamp,
    /// Nanoseconds since 1970-01-01 UTC at that moment.
    pub wall_ns: i64,
}

impl ClockSample {
    /// The wall-clock time of `at` in nanoseconds since 1970-01-01 UTC, by this sample.
    #[must_use]
    pub fn wall_ns(&self, at: Timestamp) -> i64 {
        let distance = i128::from(at.0) - i128::from(self.boot.0);
        let wall = i128::from(self.wall_ns) + distance;
        i64::try_from(wall).unwrap_or(if wall < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockSample, Timestamp};

    #[test]
    fn a_moment_before_the_sample_is_earlier_on_the_wall() {
        let sample = ClockSample { boot: Timestamp(1_000), wall_ns: 50_000 };
        assert_eq!(sample.wall_ns(Timestamp(400)), 49_400);
        assert_eq!(sample.wall_ns(Timestamp(1_001)), 50_001);
        assert_eq!(sample.wall_ns(Timestamp(u64::MAX)), i64::MAX);
    }

    #[test]
    fn no_time_passes_backwards() {
        assert_eq!(Timestamp(1).since(Timestamp(2)), None);
        assert_eq!(Timestamp(2).since(Timestamp(2)), Some(0));
    }
}
