//! How far a recording is, for the terminal of whoever waits.

use std::time::Duration;

use super::units::{Nanoseconds, Size};
use crate::{recording::Progress, time::nanoseconds};

/// Takes the line away.
pub const CLEAR: &str = "\r\x1b[K";

/// One line that overwrites itself: time, events, their rate, bytes, what was lost.
#[must_use]
pub fn progress(elapsed: Duration, progress: Progress) -> String {
    let rate = (u128::from(progress.events) * 1000).checked_div(elapsed.as_millis()).unwrap_or(0);
    format!(
        "{CLEAR}recording {}  {} events  {rate}/s  {}B  {} lost",
        Nanoseconds(nanoseconds(elapsed)),
        progress.events,
        Size(progress.bytes),
        progress.lost,
    )
}

#[cfg(test)]
mod tests {
    use super::{Duration, Progress, progress};

    #[test]
    fn one_line_says_how_far_it_is() {
        let now = Progress { events: 1_000_000, bytes: 15_000_000, lost: 0, files: 1 };
        assert_eq!(
            progress(Duration::from_millis(12_500), now),
            "\r\u{1b}[Krecording 12.5s  1000000 events  80000/s  14.3MB  0 lost"
        );
        assert!(progress(Duration::ZERO, Progress::default()).contains(" 0/s "));
    }
}
