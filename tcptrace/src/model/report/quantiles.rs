//! Quantiles of times, in bounded memory.

use hdrhistogram::Histogram;

/// Digits to which a quantile is right: as many as are printed of a time.
const DIGITS: u8 = 3;

/// Counts times instead of keeping them.
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    histogram: Option<Histogram<u32>>,
    count: u64,
    max: u64,
}

impl Quantiles {
    /// Takes in a time in nanoseconds.
    pub fn record(&mut self, ns: u64) {
        if self.histogram.is_none() {
            // Three digits are a precision that it takes.
            self.histogram = Histogram::new(DIGITS).ok();
        }
        // It grows to hold any number: at most 55 rows of 4 KiB.
        _ = self.histogram.as_mut().map(|histogram| histogram.record(ns));
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The least time that this share of all (0 to 1) does not exceed; none if there were none. Right
    /// to three digits, and never more than the true one.
    #[must_use]
    pub fn at(&self, share: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        Some(histogram.lowest_equivalent(histogram.value_at_quantile(share)))
    }

    /// The longest, exactly; none if there were none.
    #[must_use]
    pub const fn max(&self) -> Option<u64> {
        if self.count == 0 { None } else { Some(self.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::Quantiles;

    fn of(times: impl IntoIterator<Item = u64>) -> Quantiles {
        let mut quantiles = Quantiles::default();
        times.into_iter().for_each(|ns| quantiles.record(ns));
        quantiles
    }

    #[test]
    fn small_numbers_are_exact() {
        let quantiles = of(1..=100);
        assert_eq!(quantiles.count(), 100);
        assert_eq!([0.5, 0.9, 0.99].map(|q| quantiles.at(q)), [Some(50), Some(90), Some(99)]);
        assert_eq!(quantiles.max(), Some(100));
        assert_eq!(of([7, 5, 9]).at(0.5), Some(7));
        assert_eq!(of([7, 5]).at(0.5), Some(5));
    }

    #[test]
    fn large_ones_are_right_to_three_digits_and_never_too_long() {
        let second = 1_000_000_000;
        let quantiles = of((1..=1000).map(|n| n * second));
        for (share, exact) in [(0.5, 500), (0.9, 900), (0.99, 990)] {
            let exact = exact * second;
            let at = quantiles.at(share).expect("there are some");
            assert!(at <= exact && exact - at <= exact / 1000, "{share}: {at}");
        }
        assert_eq!(quantiles.max(), Some(1000 * second));
    }

    #[test]
    fn nothing_has_no_quantiles_and_anything_has_its_place() {
        let none = Quantiles::default();
        assert_eq!((none.count(), none.at(0.5), none.max()), (0, None, None));
        assert_eq!(of([0]).at(0.99), Some(0));
        assert_eq!(of([0, 1, u64::MAX]).max(), Some(u64::MAX));
    }
}
