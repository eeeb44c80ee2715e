//! The memory of columns under construction, which one batch hands on to the next.
//!
//! Five megabytes a batch, taken from the kernel anew each time, cost as much as filling them.

use std::{mem, sync::LazyLock};

use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer};

/// What all columns without any value are made of, up to this many bytes: it stays in the cache.
static ZEROS: LazyLock<Buffer> = LazyLock::new(|| Buffer::from_vec(vec![0_u8; 1 << 20]));

fn zeros(bytes: usize) -> Buffer {
    if bytes <= ZEROS.len() {
        ZEROS.slice_with_length(0, bytes)
    } else {
        Buffer::from_vec(vec![0_u8; bytes])
    }
}

/// Values of one type, by row.
#[derive(Debug)]
pub(super) struct Cells<T> {
    values: Vec<T>,
    /// What the last batch was made of. When that is written, it is ours again.
    lent: Option<Buffer>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self { values: Vec::new(), lent: None }
    }
}

impl<T: ArrowNativeType> Cells<T> {
    /// Adds the values of the rows from `begin` on, behind those that were added. Rows in between,
    /// which are null, get the value before them: what repeats is the quickest to compress.
    pub(super) fn extend(&mut self, begin: usize, values: &[T]) {
        self.fill(begin);
        self.values.extend_from_slice(values);
    }

    /// The last value.
    pub(super) fn last(&self) -> T {
        self.values.last().copied().unwrap_or_default()
    }

    fn fill(&mut self, row: usize) {
        if self.values.is_empty()
            && let Some(lent) = self.lent.take()
        {
            self.values = lent.into_vec().unwrap_or_default();
            self.values.clear();
        }
        let last = self.last();
        self.values.resize(row, last);
    }

    /// The values of the first `rows` rows; none is there any more.
    pub(super) fn finish(&mut self, rows: usize) -> Buffer {
        if self.values.is_empty() {
            return zeros(rows * size_of::<T>());
        }
        self.fill(rows);
        let buffer = Buffer::from_vec(mem::take(&mut self.values));
        self.lent = Some(buffer.clone());
        buffer
    }
}

/// A bit for each row.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    lent: Option<Buffer>,
}

impl Bits {
    /// Adds the bits of the 64 rows from `begin` on, a multiple of 64, behind those that were added.
    pub(super) fn add(&mut self, begin: usize, bits: u64) {
        if self.words.is_empty()
            && let Some(lent) = self.lent.take()
        {
            self.words = lent.into_vec().unwrap_or_default();
            self.words.clear();
        }
        self.words.resize(begin / 64, 0);
        self.words.push(bits);
    }

    /// The bits of the first `rows` rows; none is there any more.
    pub(super) fn finish(&mut self, rows: usize) -> BooleanBuffer {
        let words = rows.div_ceil(64);
        if self.words.is_empty() {
            return BooleanBuffer::new(zeros(words * size_of::<u64>()), 0, rows);
        }
        self.words.resize(words, 0);
        let buffer = Buffer::from_vec(mem::take(&mut self.words));
        self.lent = Some(buffer.clone());
        // Arrow counts bits from the least significant one of each byte: the same, as its numbers are
        // little-endian.
        BooleanBuffer::new(buffer, 0, rows)
    }

    /// The rows whose bit is set have a value, the others are null.
    pub(super) fn nulls(&mut self, rows: usize) -> Option<NullBuffer> {
        Some(NullBuffer::new(self.finish(rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, Cells};

    #[test]
    fn a_batch_begins_empty_in_the_memory_of_the_last() {
        let mut cells = Cells::<u32>::default();
        cells.extend(70, &[7]);
        let first = cells.finish(100);
        let values = first.typed_data::<u32>();
        assert_eq!((values.len(), values[69], values[70], values[99]), (100, 0, 7, 7));
        let place = first.as_ptr();
        drop(first);
        cells.extend(0, &[5, 8]);
        let second = cells.finish(80);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second.typed_data::<u32>()[..3], [5, 8, 8]);
        cells.extend(0, &[9]);
        assert_eq!(second.typed_data::<u32>()[0], 5, "it is still being used");
    }

    #[test]
    fn what_was_never_added_is_nothing_of_any_length() {
        for rows in [0, 1, 65_536, 1 << 20] {
            let none = Cells::<u64>::default().finish(rows);
            assert_eq!((none.len(), none.iter().max()), (8 * rows, (rows > 0).then_some(&0)));
            assert_eq!(Bits::default().finish(rows).count_set_bits(), 0);
        }
    }

    #[test]
    fn bits_are_those_that_were_added() {
        let mut bits = Bits::default();
        for _ in 0..2 {
            bits.add(64, 1 | 1 << 63);
            bits.add(192, 2);
            let set: Vec<usize> = bits.finish(200).set_indices().collect();
            assert_eq!(set, [64, 127, 193]);
        }
        assert_eq!(bits.finish(3).count_set_bits(), 0);
    }
}
