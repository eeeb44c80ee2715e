//! Columns of names, of which a batch has few: each is written once and then called by its place.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, PrimitiveArray, StringArray, new_null_array,
    types::{Int8Type, Int32Type},
};
use arrow_schema::DataType;

use super::{
    block::BLOCK,
    column::{Column, Numbers, known},
};

/// The values that a column of names can have; a value is its place in the list.
pub(super) trait NameList: Default {
    /// At most 127 of them.
    const NAMES: &[&str];
}

/// Names from a list, by their places.
#[derive(Debug, Default)]
pub(super) struct Names<L> {
    keys: Numbers<Int8Type>,
    list: PhantomData<L>,
}

/// The place of a name that is not in our list.
const UNKNOWN: i8 = -1;

impl<L: NameList> Column for Names<L> {
    type Cell = i8;
    type View = NamesView;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
    }

    fn take(&mut self, begin: usize, known: u64, cells: impl ExactSizeIterator<Item = i8>) {
        self.keys.take(begin, known, cells);
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        let keys = self.keys.array(rows);
        let names: ArrayRef = Arc::new(StringArray::from(L::NAMES.to_vec()));
        DictionaryArray::try_new(keys, names)
            .map_or_else(|_| new_null_array(&Self::data_type(), rows), |array| Arc::new(array))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        let array = array.as_any().downcast_ref::<DictionaryArray<Int8Type>>()?;
        let names = array.values().as_any().downcast_ref::<StringArray>()?;
        let place = |name: Option<&str>| L::NAMES.iter().position(|known| Some(*known) == name);
        let mut places = [UNKNOWN; NAMES];
        for (ours, name) in places.iter_mut().zip(names) {
            *ours = place(name).and_then(|place| i8::try_from(place).ok()).unwrap_or(UNKNOWN);
        }
        Some(NamesView { keys: array.keys().clone(), places: Box::new(places) })
    }

    fn give<'a>(
        view: &Self::View,
        begin: usize,
        cells: impl ExactSizeIterator<Item = &'a mut i8>,
    ) -> u64 {
        let mut known = known(view.keys.nulls(), begin, cells.len());
        if known != 0 {
            for (row, (cell, key)) in cells.zip(&view.keys.values()[begin..]).enumerate() {
                *cell = view.places[usize::from(key.cast_unsigned())];
                known &= !(u64::from(*cell == UNKNOWN) << row);
            }
        }
        known
    }
}

/// As many names as a key can tell apart, and as many more for keys below 0.
const NAMES: usize = 256;

/// Names that are read back as places of our list, whatever the order of theirs.
#[derive(Debug)]
pub(super) struct NamesView {
    keys: PrimitiveArray<Int8Type>,
    places: Box<[i8; NAMES]>,
}

/// Command names, padded with zeros, of which a batch has few.
#[derive(Debug, Default)]
pub(super) struct Comms {
    keys: Numbers<Int32Type>,
    names: Vec<Comm>,
    places: HashMap<Comm, i32>,
}

type Comm = [u8; 16];

impl Column for Comms {
    type Cell = Comm;
    type View = CommsView;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Binary))
    }

    fn take(&mut self, begin: usize, known: u64, cells: impl ExactSizeIterator<Item = Comm>) {
        // The same process mostly follows itself.
        let mut last = (Comm::default(), 0);
        let mut keys = [0; BLOCK];
        let mut rows = 0;
        for (row, (key, comm)) in keys.iter_mut().zip(cells).enumerate() {
            if known >> row & 1 != 0 && (last.0 != comm || self.names.is_empty()) {
                let next = i32::try_from(self.names.len()).unwrap_or(i32::MAX);
                let place = *self.places.entry(comm).or_insert(next);
                if place == next {
                    self.names.push(comm);
                }
                last = (comm, place);
            }
            *key = last.1;
            rows = row + 1;
        }
        self.keys.take(begin, known, keys.into_iter().take(rows));
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.places.clear();
        let names = std::mem::take(&mut self.names);
        let bytes = names.iter().map(|name| {
            let length = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            &name[..length]
        });
        let names: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
        DictionaryArray::try_new(self.keys.array(rows), names)
            .map_or_else(|_| new_null_array(&Self::data_type(), rows), |array| Arc::new(array))
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

    fn give<'a>(
        view: &Self::View,
        begin: usize,
        cells: impl ExactSizeIterator<Item = &'a mut Comm>,
    ) -> u64 {
        let mut known = known(view.keys.nulls(), begin, cells.len());
        if known != 0 {
            for (row, (cell, key)) in cells.zip(&view.keys.values()[begin..]).enumerate() {
                let name = usize::try_from(*key).ok().and_then(|key| view.names.get(key));
                match name {
                    Some(name) => *cell = *name,
                    None => known &= !(1 << row),
                }
            }
        }
        known
    }
}

/// Command names, padded with zeros.
#[derive(Debug)]
pub(super) struct CommsView {
    keys: PrimitiveArray<Int32Type>,
    names: Vec<Comm>,
}
