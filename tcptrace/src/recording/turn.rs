//! Turning bits: those of a row's cells into those of a column's rows, and back.

/// Rows of a block: as many as a word has bits.
pub(super) const BLOCK: usize = 64;

/// Turns bits: bit `c` of word `r` becomes bit `r` of word `c`.
pub(super) fn transpose(words: &mut [u64; BLOCK]) {
    let mut width = BLOCK / 2;
    let mut mask = u64::MAX >> width;
    while width > 0 {
        // Squares of this width change places across the diagonal.
        for begin in (0..BLOCK).step_by(2 * width) {
            for row in begin..begin + width {
                let swapped = (words[row] >> width ^ words[row + width]) & mask;
                words[row] ^= swapped << width;
                words[row + width] ^= swapped;
            }
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use std::array;

    use proptest::prelude::*;

    use super::{BLOCK, transpose};

    proptest! {
        #[test]
        fn each_bit_changes_places(words in proptest::array::uniform32(any::<[u64; 2]>())) {
            let words: [u64; BLOCK] = array::from_fn(|place| words[place / 2][place % 2]);
            let mut turned = words;
            transpose(&mut turned);
            for (row, word) in words.iter().enumerate() {
                for (column, other) in turned.iter().enumerate() {
                    prop_assert_eq!(word >> column & 1, other >> row & 1);
                }
            }
        }
    }
}
