//! How far a recording is, for the terminal of whoever waits.

use std::time::Duration;

use super::units::{Nanoseconds, Size};
use crate::{recording::Progress, time::nanoseconds};

/// Takes the line away.
pub const CLEAR: &str = "\r\x1b[K";

/// One line that overwrites itself: time, events, their rate, bytes, what was lost.
#[must_use]
pub fn progress(elapsed: Duration, progress: Progress) -> String {
    let rate = rate(elapsed, progress.events);
    format!(
        "{CLEAR}recording {}  {} events  {rate}/s  {}B  {} lost",
        Nanoseconds(nanoseconds(elapsed)),
        progress.events,
        Size(progress.bytes),
        progress.lost,
    )
}

/// The same of an export: share of the input, if its size is known, transitions, their rate.
#[must_use]
pub fn export_progress(elapsed: Duration, transitions: u64, share: Option<f64>) -> String {
    let percent = share.map(|share| format!(" {:.0}%", share * 100.0)).unwrap_or_default();
    let rate = rate(elapsed, transitions);
    format!("{CLEAR}exporting{percent}  {transitions} transitions  {rate}/s")
}

fn rate(elapsed: Duration, count: u64) -> u128 {
    (u128::from(count) * 1000).checked_div(elapsed.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Progress, export_progress, progress};

    #[test]
    fn an_export_says_which_share_is_done_if_that_is_known() {
        let told = |share| export_progress(Duration::from_secs(2), 3_000_000, share);
        assert_eq!(told(Some(0.456)), "\r\u{1b}[Kexporting 46%  3000000 transitions  1500000/s");
        assert_eq!(told(None), "\r\u{1b}[Kexporting  3000000 transitions  1500000/s");
    }

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
