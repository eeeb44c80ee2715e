//! Columns under construction, and columns being read.
//!
//! Most columns are empty in most rows, so a column is given only the blocks in which it has a value;
//! the others are null.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, new_null_array,
};
use arrow_buffer::{
    BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, bit_chunk_iterator::BitChunks,
};
use arrow_schema::DataType;

use super::{
    cells::{Bits, Cells},
    turn::BLOCK,
};

/// One kind of column.
pub(super) trait Column: Default {
    /// What a row has of it.
    type Cell: Copy + Default;
    /// What is read back.
    type View;
    /// Its type in Arrow.
    fn data_type() -> DataType;
    /// Whether it can be read from this type, which may be that of an older version.
    fn reads(data_type: &DataType) -> bool {
        *data_type == Self::data_type()
    }
    /// Adds a block of rows, the first of which is row `begin`. Those whose bit is set in `known` have a
    /// value; the others may be overwritten.
    fn take(&mut self, begin: usize, known: u64, cells: &mut [Self::Cell]);
    /// Whether it might have no room for another block.
    fn is_full(&self) -> bool {
        false
    }
    /// The array of the first `rows` rows; the column is empty afterwards.
    fn finish(&mut self, rows: usize) -> ArrayRef;
    /// Reads an array of this type; `None` if it is of another.
    fn view(array: &ArrayRef) -> Option<Self::View>;
    /// Fills the cells of a block of rows, the first of which is row `begin`. Returns which have a
    /// value; the others are left as they are, or anything.
    fn give(view: &Self::View, begin: usize, cells: &mut [Self::Cell]) -> u64;
}

/// Which rows of a block have a value.
pub(super) fn known(nulls: Option<&NullBuffer>, begin: usize, rows: usize) -> u64 {
    match nulls {
        Some(nulls) => word(nulls.inner(), begin, rows),
        None if rows == 0 => 0,
        None => u64::MAX >> (BLOCK - rows),
    }
}

/// The bits of a block of rows.
fn word(bits: &BooleanBuffer, begin: usize, rows: usize) -> u64 {
    let chunks = BitChunks::new(bits.values(), bits.offset() + begin, rows);
    chunks.iter().next().unwrap_or_else(|| chunks.remainder_bits())
}

/// Gives cells without a value the one before: what repeats is the quickest to compress.
pub(super) fn repeat<T: Copy>(known: u64, cells: &mut [T], mut last: T) {
    if known.count_ones() as usize == cells.len() {
        return;
    }
    for (row, cell) in cells.iter_mut().enumerate() {
        last = if known >> row & 1 != 0 { *cell } else { last };
        *cell = last;
    }
}

/// Numbers.
#[derive(Debug)]
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    cells: Cells<T::Native>,
    valid: Bits,
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { cells: Cells::default(), valid: Bits::default() }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// The array of the first `rows` rows.
    pub(super) fn array(&mut self, rows: usize) -> PrimitiveArray<T> {
        let values = ScalarBuffer::new(self.cells.finish(rows), 0, rows);
        PrimitiveArray::new(values, self.valid.nulls(rows))
    }
}

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
    type Cell = T::Native;
    type View = PrimitiveArray<T>;

    fn data_type() -> DataType {
        T::DATA_TYPE
    }

    fn take(&mut self, begin: usize, known: u64, cells: &mut [T::Native]) {
        repeat(known, cells, self.cells.last());
        self.cells.extend(begin, cells);
        self.valid.add(begin, known);
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        Arc::new(self.array(rows))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<PrimitiveArray<T>>().cloned()
    }

    fn give(view: &Self::View, begin: usize, cells: &mut [T::Native]) -> u64 {
        let known = known(view.nulls(), begin, cells.len());
        if known != 0 {
            cells.copy_from_slice(&view.values()[begin..begin + cells.len()]);
        }
        known
    }
}

/// Yes or no.
#[derive(Debug, Default)]
pub(super) struct Flags {
    values: Bits,
    valid: Bits,
}

impl Column for Flags {
    type Cell = bool;
    type View = BooleanArray;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn take(&mut self, begin: usize, known: u64, cells: &mut [bool]) {
        let set = cells.iter().enumerate();
        let set = set.fold(0, |set, (row, cell)| set | u64::from(*cell) << row);
        self.values.add(begin, set);
        self.valid.add(begin, known);
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        let values = self.values.finish(rows);
        Arc::new(BooleanArray::new(values, self.valid.nulls(rows)))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<BooleanArray>().cloned()
    }

    fn give(view: &Self::View, begin: usize, cells: &mut [bool]) -> u64 {
        let known = known(view.nulls(), begin, cells.len());
        if known != 0 {
            let set = word(view.values(), begin, cells.len());
            let cells = cells.iter_mut().enumerate();
            cells.for_each(|(row, cell)| *cell = set >> row & 1 != 0);
        }
        known
    }
}

/// Bytes of any length, set and read row by row: few rows have them.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    offsets: Vec<i32>,
    data: Vec<u8>,
    rows: Vec<usize>,
}

impl Bytes {
    /// Sets the value of a row behind those that were set.
    pub(super) fn set(&mut self, row: usize, value: &[u8]) {
        self.pad(row);
        self.data.extend_from_slice(value);
        self.rows.push(row);
    }

    /// An offset for the beginning of each row up to `row`.
    fn pad(&mut self, row: usize) {
        let end = i32::try_from(self.data.len()).unwrap_or(i32::MAX);
        self.offsets.resize(row + 1, end);
    }

    /// The value of a row.
    pub(super) fn get(array: &BinaryArray, row: usize) -> Option<&[u8]> {
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }
}

impl Column for Bytes {
    type Cell = ();
    type View = BinaryArray;

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn take(&mut self, _: usize, _: u64, _: &mut [()]) {}

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.rows.is_empty() {
            // As in most batches.
            return new_null_array(&DataType::Binary, rows);
        }
        self.pad(rows);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        let data = Buffer::from_vec(std::mem::take(&mut self.data));
        let mut valid = vec![false; rows];
        self.rows.drain(..).for_each(|row| valid[row] = true);
        Arc::new(BinaryArray::new(offsets, data, Some(NullBuffer::from(valid))))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<BinaryArray>().cloned()
    }

    fn give(_: &BinaryArray, _: usize, _: &mut [()]) -> u64 {
        0
    }
}
