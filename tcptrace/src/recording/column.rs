//! Columns under construction, and columns being read.
//!
//! Most columns are empty in most rows, so a column is told only of the rows that have a value;
//! the others are null.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DictionaryArray,
    FixedSizeBinaryArray, PrimitiveArray, StringArray, new_null_array,
    types::{Int8Type, Int32Type},
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::cells::{Bits, Cells};

/// One kind of column.
pub(super) trait Column: Default {
    /// What is read back.
    type View;
    /// Its type in Arrow.
    fn data_type() -> DataType;
    /// The array of the first `rows` rows; the column is empty afterwards.
    fn finish(&mut self, rows: usize) -> ArrayRef;
    /// Reads an array of this type; `None` if it is of another.
    fn view(array: &ArrayRef) -> Option<Self::View>;
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
    /// Sets the value of a row.
    pub(super) fn set(&mut self, row: usize, value: T::Native) {
        *self.cells.at(row) = value;
        self.valid.set(row);
    }

    /// Sets it if it is known.
    pub(super) fn set_known(&mut self, row: usize, value: Option<T::Native>) {
        if let Some(value) = value {
            self.set(row, value);
        }
    }
}

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
    type View = PrimitiveArray<T>;

    fn data_type() -> DataType {
        T::DATA_TYPE
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.valid.is_empty() {
            return new_null_array(&T::DATA_TYPE, rows);
        }
        let values = ScalarBuffer::new(self.cells.finish(rows), 0, rows);
        Arc::new(PrimitiveArray::<T>::new(values, self.valid.nulls(rows)))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<PrimitiveArray<T>>().cloned()
    }
}

/// Yes or no.
#[derive(Debug, Default)]
pub(super) struct Flags {
    values: Bits,
    valid: Bits,
}

impl Flags {
    pub(super) fn set(&mut self, row: usize, value: bool) {
        if value {
            self.values.set(row);
        }
        self.valid.set(row);
    }
}

impl Column for Flags {
    type View = BooleanArray;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.valid.is_empty() {
            return new_null_array(&DataType::Boolean, rows);
        }
        let values = self.values.finish(rows);
        Arc::new(BooleanArray::new(values, self.valid.nulls(rows)))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<BooleanArray>().cloned()
    }
}

/// The values that a column of names can have; a value is its place in the list.
pub(super) trait NameList: Default {
    /// At most 127 of them.
    const NAMES: &[&str];
}

/// Names from a list.
#[derive(Debug, Default)]
pub(super) struct Names<L> {
    keys: Numbers<Int8Type>,
    list: PhantomData<L>,
}

impl<L: NameList> Names<L> {
    /// Sets the name at this place of the list.
    pub(super) fn set(&mut self, row: usize, place: usize) {
        if let Ok(key) = i8::try_from(place) {
            self.keys.set(row, key);
        }
    }
}

impl<L: NameList> Column for Names<L> {
    type View = NamesView;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        let keys = self.keys.finish(rows);
        let keys = keys.as_any().downcast_ref::<PrimitiveArray<Int8Type>>().cloned();
        let names: ArrayRef = Arc::new(StringArray::from(L::NAMES.to_vec()));
        let array = keys.and_then(|keys| DictionaryArray::try_new(keys, names).ok());
        array.map_or_else(|| new_null_array(&Self::data_type(), rows), |array| Arc::new(array))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        let array = array.as_any().downcast_ref::<DictionaryArray<Int8Type>>()?;
        let names = array.values().as_any().downcast_ref::<StringArray>()?;
        let place = |name: Option<&str>| L::NAMES.iter().position(|known| Some(*known) == name);
        let places = names.iter().map(place).collect();
        Some(NamesView { keys: array.keys().clone(), places })
    }
}

/// Names that are read back as places of our list, whatever the order of theirs.
#[derive(Debug)]
pub(super) struct NamesView {
    keys: PrimitiveArray<Int8Type>,
    places: Vec<Option<usize>>,
}

impl NamesView {
    pub(super) fn get(&self, row: usize) -> Option<usize> {
        let key = get(&self.keys, row)?;
        *self.places.get(usize::try_from(key).ok()?)?
    }
}

/// The value of a row.
pub(super) fn get<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

/// Sixteen bytes.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    cells: Cells<i128>,
    valid: Bits,
}

const ADDRESS: i32 = 16;

impl Addresses {
    pub(super) fn set(&mut self, row: usize, value: [u8; 16]) {
        *self.cells.at(row) = i128::from_ne_bytes(value);
        self.valid.set(row);
    }
}

impl Column for Addresses {
    type View = FixedSizeBinaryArray;

    fn data_type() -> DataType {
        DataType::FixedSizeBinary(ADDRESS)
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.valid.is_empty() {
            return new_null_array(&Self::data_type(), rows);
        }
        let values = self.cells.finish(rows);
        Arc::new(FixedSizeBinaryArray::new(ADDRESS, values, self.valid.nulls(rows)))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        let array = array.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
        (array.value_length() == ADDRESS).then(|| array.clone())
    }
}

/// Bytes of any length.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    offsets: Vec<i32>,
    data: Vec<u8>,
    valid: Bits,
}

impl Bytes {
    pub(super) fn set(&mut self, row: usize, value: &[u8]) {
        self.pad(row);
        self.data.extend_from_slice(value);
        self.valid.set(row);
    }

    /// An offset for the beginning of each row up to `row`.
    fn pad(&mut self, row: usize) {
        let end = i32::try_from(self.data.len()).unwrap_or(i32::MAX);
        self.offsets.resize(row + 1, end);
    }
}

impl Column for Bytes {
    type View = BinaryArray;

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        let data = Buffer::from_vec(std::mem::take(&mut self.data));
        Arc::new(BinaryArray::new(offsets, data, self.valid.nulls(rows)))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        array.as_any().downcast_ref::<BinaryArray>().cloned()
    }
}

/// Command names, of which a batch has few.
#[derive(Debug, Default)]
pub(super) struct Comms {
    keys: Numbers<Int32Type>,
    names: Vec<[u8; 16]>,
    places: HashMap<[u8; 16], i32>,
    last: Option<([u8; 16], i32)>,
}

impl Comms {
    pub(super) fn set(&mut self, row: usize, comm: [u8; 16]) {
        // The same process mostly follows itself.
        if let Some((_, place)) = self.last.filter(|(last, _)| *last == comm) {
            return self.keys.set(row, place);
        }
        let next = i32::try_from(self.names.len()).unwrap_or(i32::MAX);
        let place = *self.places.entry(comm).or_insert(next);
        if place == next {
            self.names.push(comm);
        }
        self.last = Some((comm, place));
        self.keys.set(row, place);
    }
}

impl Column for Comms {
    type View = CommsView;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Binary))
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.places.clear();
        self.last = None;
        let names = std::mem::take(&mut self.names);
        let bytes = names.iter().map(|name| {
            let length = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            &name[..length]
        });
        let names: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
        let keys = self.keys.finish(rows);
        let keys = keys.as_any().downcast_ref::<PrimitiveArray<Int32Type>>().cloned();
        let array = keys.and_then(|keys| DictionaryArray::try_new(keys, names).ok());
        array.map_or_else(|| new_null_array(&Self::data_type(), rows), |array| Arc::new(array))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        let array = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
        let names = array.values().as_any().downcast_ref::<BinaryArray>()?;
        let padded = |name: Option<&[u8]>| {
            let name = name.unwrap_or_default();
            let mut bytes = [0; 16];
            let length = name.len().min(16);
            bytes[..length].copy_from_slice(&name[..length]);
            bytes
        };
        Some(CommsView { keys: array.keys().clone(), names: names.iter().map(padded).collect() })
    }
}

/// Command names, padded with zeros.
#[derive(Debug)]
pub(super) struct CommsView {
    keys: PrimitiveArray<Int32Type>,
    names: Vec<[u8; 16]>,
}

impl CommsView {
    pub(super) fn get(&self, row: usize) -> Option<[u8; 16]> {
        self.names.get(usize::try_from(get(&self.keys, row)?).ok()?).copied()
    }
}
