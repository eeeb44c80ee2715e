//! Numbers in hexadecimal digits, which the formatting of the standard library makes at half the speed.

use std::fmt;

/// As `{:x}` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex(pub u64);

impl Hex {
    /// Its digits, written to the end of `room`.
    pub(crate) fn digits(self, room: &mut [u8; 16]) -> &str {
        let (upper, lower) = room.split_at_mut(8);
        upper.copy_from_slice(&eight_digits((self.0 >> 32) as u32));
        lower.copy_from_slice(&eight_digits(self.0 as u32));
        let zeros = (self.0.leading_zeros() / 4).min(15) as usize;
        str::from_utf8(&room[zeros..]).unwrap_or_default()
    }
}

/// All digits at once, each in a byte of a word.
fn eight_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut word = u64::from(number);
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word | word << 4) & (0x0f * ONES);
    let letters = ((word + 6 * ONES) >> 4) & ONES;
    let to_letter = u64::from(b'a' - b'0' - 10);
    (word + u64::from(b'0') * ONES + letters * to_letter).to_be_bytes()
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits(&mut [0; 16]))
    }
}

#[cfg(test)]
mod tests {
    use super::Hex;

    #[test]
    fn all_lengths_read_as_the_standard_library_shows_them() {
        for shift in 0..64 {
            for number in [1 << shift, u64::MAX >> shift, 0x0123_4567_89ab_cdef >> shift, 0] {
                assert_eq!(Hex(number).to_string(), format!("{number:x}"));
            }
        }
    }
}
