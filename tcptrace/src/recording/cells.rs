//! The memory of columns under construction, which one batch hands on to the next.
//!
//! Five megabytes a batch, taken from the kernel anew each time, cost as much as filling them.

use std::mem;

use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer};

/// Rows for which there is room at first; room doubles.
const FEW: usize = 64;

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
    /// The place of a row.
    pub(super) fn at(&mut self, row: usize) -> &mut T {
        if row >= self.values.len() {
            self.grow(row);
        }
        &mut self.values[row]
    }

    #[cold]
    fn grow(&mut self, row: usize) {
        if let Some(lent) = self.lent.take() {
            self.values = lent.into_vec().unwrap_or_default();
            self.values.clear();
        }
        self.values.resize((row + 1).next_power_of_two().max(FEW), T::default());
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of the first `rows` rows; all are the default again.
    pub(super) fn finish(&mut self, rows: usize) -> Buffer {
        if let Some(last) = rows.checked_sub(1) {
            self.at(last);
        }
        self.values.truncate(rows);
        let buffer = Buffer::from_vec(mem::take(&mut self.values));
        self.lent = Some(buffer.clone());
        buffer
    }
}

/// A bit for each row.
#[derive(Debug, Default)]
pub(super) struct Bits(Cells<u64>);

impl Bits {
    /// Sets the bit of a row.
    pub(super) fn set(&mut self, row: usize) {
        *self.0.at(row / 64) |= 1 << (row % 64);
    }

    /// Whether none was set.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bits of the first `rows` rows; none is set any more.
    pub(super) fn finish(&mut self, rows: usize) -> BooleanBuffer {
        // Arrow counts bits from the least significant one of each byte: the same, as its numbers are
        // little-endian.
        BooleanBuffer::new(self.0.finish(rows.div_ceil(64)), 0, rows)
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
        *cells.at(70) = 7;
        let first = cells.finish(100);
        let values = first.typed_data::<u32>();
        assert_eq!((values.len(), values[70], values[99]), (100, 7, 0));
        let place = first.as_ptr();
        drop(first);
        *cells.at(1) = 8;
        let second = cells.finish(80);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second.typed_data::<u32>()[70], 0);
        *cells.at(1) = 9;
        assert_eq!(second.typed_data::<u32>()[1], 8, "it is still being used");
    }

    #[test]
    fn bits_are_those_that_were_set() {
        let mut bits = Bits::default();
        assert!(bits.is_empty());
        for row in [0, 63, 64, 129] {
            bits.set(row);
        }
        let set: Vec<usize> = bits.finish(130).set_indices().collect();
        assert_eq!(set, [0, 63, 64, 129]);
        assert!(bits.is_empty());
        assert_eq!(bits.finish(3).count_set_bits(), 0);
    }
}
