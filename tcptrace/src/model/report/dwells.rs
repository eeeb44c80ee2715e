//! Times of one kind, the exact ones apart from all others.

use super::quantiles::Quantiles;
use crate::model::change::Dwell;

/// Times, of which only the exact ones have quantiles: a time of at least this much, or none, would
/// say nothing true in their midst.
#[derive(Clone, Debug, Default)]
pub struct Dwells {
    /// Those that are known exactly, in nanoseconds.
    pub exact: Quantiles,
    /// Those of which only the end was seen.
    pub at_least: u64,
    /// Those told from a timer.
    pub estimated: u64,
    /// Those that are not known.
    pub unknown: u64,
}

impl Dwells {
    /// Takes one into account.
    pub fn count(&mut self, dwell: Dwell) {
        match dwell {
            Dwell::Exact(ns) => self.exact.record(ns),
            Dwell::AtLeast(_) => self.at_least += 1,
            Dwell::Estimated(_) => self.estimated += 1,
            Dwell::Unknown => self.unknown += 1,
        }
    }

    /// All but the exact ones.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.at_least + self.estimated + self.unknown
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.exact.count() + self.others()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dwell, Dwells};

    #[test]
    fn what_is_not_exact_is_counted_and_has_no_part_in_quantiles() {
        let mut dwells = Dwells::default();
        for dwell in [
            Dwell::Exact(5),
            Dwell::AtLeast(1_000),
            Dwell::Estimated(2_000),
            Dwell::Unknown,
            Dwell::Exact(7),
            Dwell::Unknown,
        ] {
            dwells.count(dwell);
        }
        assert_eq!((dwells.exact.count(), dwells.exact.max()), (2, Some(7)));
        assert_eq!((dwells.at_least, dwells.estimated, dwells.unknown), (1, 1, 2));
        assert_eq!((dwells.others(), dwells.total()), (4, 6));
    }
}
