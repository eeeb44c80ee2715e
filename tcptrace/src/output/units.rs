//! Times and sizes for people: three digits and a unit.
//!
//! Digits that do not fit are cut off, never rounded, so that nothing reads as more than it was.

use std::fmt;

use crate::model::change::Dwell;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Nanoseconds in at most six columns (seven from 100 days on): `812ns 53.1us 5.21ms 1.25s 59.9s
/// 2m05s 3h20m 2d04h`.
pub(super) struct Nanoseconds(pub(super) u64);

impl Nanoseconds {
    /// As [`fmt::Display`] shows them; without its machinery, as every line has one.
    pub(super) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let ns = self.0;
        match ns {
            0..1_000 => {
                number(out, ns)?;
                out.write_str("ns")
            }
            1_000..1_000_000 => three_digits(out, ns, 1_000, "us"),
            1_000_000..SECOND => three_digits(out, ns, 1_000_000, "ms"),
            SECOND..MINUTE => three_digits(out, ns, SECOND, "s"),
            MINUTE..HOUR => two_units(out, (ns / MINUTE, "m"), (ns % MINUTE / SECOND, "s")),
            HOUR..DAY => two_units(out, (ns / HOUR, "h"), (ns % HOUR / MINUTE, "m")),
            DAY.. => two_units(out, (ns / DAY, "d"), (ns % DAY / HOUR, "h")),
        }
    }
}

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// A time and how well it is known: `>=` more than that, `~` estimated, `-` unknown.
pub(super) struct Known(pub(super) Dwell);

impl Known {
    /// As [`fmt::Display`] shows it; without its machinery, as every line has one.
    pub(super) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let (mark, ns) = match self.0 {
            Dwell::Exact(ns) => ("", ns),
            Dwell::AtLeast(ns) => (">=", ns),
            Dwell::Estimated(ns) => ("~", ns),
            Dwell::Unknown => return out.write_str("-"),
        };
        if !mark.is_empty() {
            out.write_str(mark)?;
        }
        Nanoseconds(ns).write(out)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// Bytes in at most five columns: `0 812 1023 1.00K 15.4M 1023G`, in powers of 1024.
pub(super) struct Size(pub(super) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        if bytes < 1024 {
            return number(f, bytes);
        }
        let power = bytes.ilog2() / 10;
        let unit = ["", "K", "M", "G", "T", "P", "E"][power as usize];
        three_digits(f, bytes, 1 << (10 * power), unit)
    }
}

#[inline]
fn three_digits(out: &mut impl fmt::Write, value: u64, unit: u64, name: &str) -> fmt::Result {
    let whole = value / unit;
    let rest = value % unit;
    // A remainder is below 2^60, so it cannot overflow when multiplied in 128 bits; dividing these takes
    // ten times as long.
    let part = |scale: u64| match rest.checked_mul(scale) {
        Some(scaled) => scaled / unit,
        None => (u128::from(rest) * u128::from(scale) / u128::from(unit)) as u64,
    };
    number(out, whole)?;
    match whole {
        0..10 => {
            out.write_str(".")?;
            two_digits(out, part(100))?;
        }
        10..100 => {
            out.write_str(".")?;
            number(out, part(10))?;
        }
        100.. => {}
    }
    out.write_str(name)
}

/// `2m05s`.
fn two_units(out: &mut impl fmt::Write, large: (u64, &str), small: (u64, &str)) -> fmt::Result {
    number(out, large.0)?;
    out.write_str(large.1)?;
    two_digits(out, small.0)?;
    out.write_str(small.1)
}

fn two_digits(out: &mut impl fmt::Write, value: u64) -> fmt::Result {
    if value < 10 {
        out.write_str("0")?;
    }
    number(out, value)
}

fn number(out: &mut impl fmt::Write, number: u64) -> fmt::Result {
    out.write_str(itoa::Buffer::new().format(number))
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, Known, MINUTE, Nanoseconds, SECOND, Size};
    use crate::model::change::Dwell;

    #[test]
    fn times_take_three_digits_and_are_never_rounded_up() {
        let cases = [
            (0, "0ns"),
            (812, "812ns"),
            (1_000, "1.00us"),
            (53_112, "53.1us"),
            (999_999, "999us"),
            (5_219_999, "5.21ms"),
            (SECOND, "1.00s"),
            (59_999_999_999, "59.9s"),
            (MINUTE, "1m00s"),
            (125 * SECOND, "2m05s"),
            (HOUR - 1, "59m59s"),
            (200 * MINUTE, "3h20m"),
            (DAY - 1, "23h59m"),
            (2 * DAY + 4 * HOUR, "2d04h"),
            (u64::MAX, "213503d23h"),
        ];
        for (ns, text) in cases {
            assert_eq!(Nanoseconds(ns).to_string(), text);
        }
    }

    #[test]
    fn marks_say_how_well_a_time_is_known() {
        let cases = [
            (Dwell::Exact(812), "812ns"),
            (Dwell::AtLeast(59_900_000_000), ">=59.9s"),
            (Dwell::Estimated(125 * SECOND), "~2m05s"),
            (Dwell::Unknown, "-"),
        ];
        for (dwell, text) in cases {
            assert_eq!(Known(dwell).to_string(), text);
        }
    }

    #[test]
    fn sizes_take_at_most_five_columns() {
        let cases = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.00K"),
            (15_800, "15.4K"),
            (1024 * 1024 - 1, "1023K"),
            (5 << 30, "5.00G"),
            (u64::MAX, "15.9E"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
