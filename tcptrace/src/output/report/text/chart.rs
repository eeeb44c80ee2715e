//! What happened over time, a line of bars for each thing.

use bytes::BytesMut;

use super::line;
use crate::{
    model::report::timeline::{Bucket, stuck_over_time},
    output::{
        report::{Account, words},
        units::Nanoseconds,
    },
};

/// The longest line of bars.
const COLUMNS: usize = 64;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Writes the bars, if the trace has any length.
pub(super) fn timeline(out: &mut BytesMut, account: &Account<'_>) {
    let timeline = &account.report.timeline;
    let Some(begun) = timeline.begun() else {
        return;
    };
    let buckets = timeline.buckets();
    let merge = buckets.len().div_ceil(COLUMNS).max(1);
    let sums = |number: fn(&Bucket) -> u64| -> Vec<u64> {
        let numbers: Vec<u64> = buckets.iter().map(number).collect();
        numbers.chunks(merge).map(|chunk| chunk.iter().sum()).collect()
    };
    let stuck = stuck_over_time(&buckets);
    let stuck: Vec<u64> = stuck.chunks(merge).filter_map(|chunk| chunk.last().copied()).collect();
    let width = timeline.width_ns().saturating_mul(merge as u64);
    line(out, "");
    line(
        out,
        &format!(
            "From {} on, {} a column, and the most in one",
            words::short_time(account, &account.chart_begun(begun)),
            Nanoseconds(width)
        ),
    );
    for (name, numbers) in [
        ("opened", sums(|bucket| bucket.opened)),
        ("closed", sums(|bucket| bucket.closed)),
        ("stuck", stuck),
    ] {
        let most = numbers.iter().copied().max().unwrap_or(0);
        let bars: String = numbers.iter().map(|number| bar(*number, most)).collect();
        line(out, &format!("{name:<6} {bars} {most}"));
    }
}

/// Nothing at all has no bar; the least there is has the smallest.
fn bar(number: u64, most: u64) -> char {
    if number == 0 {
        return ' ';
    }
    let share = u128::from(number) * BARS.len() as u128 / u128::from(most.max(1));
    BARS[usize::try_from(share).unwrap_or(0).clamp(1, BARS.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_are_as_high_as_the_numbers_and_only_nothing_has_none() {
        let line: String = [0, 1, 50, 100, 1000].map(|number| bar(number, 1000)).iter().collect();
        assert_eq!(line, " ▁▁▁█");
        assert_eq!(bar(u64::MAX, u64::MAX), '█');
        assert_eq!((bar(1, 2), bar(0, 0)), ('▄', ' '));
    }
}
