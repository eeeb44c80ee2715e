//! Columns of names from a list that does not change.

use std::{marker::PhantomData, sync::Arc};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray, new_null_array, types::Int8Type,
};
use arrow_schema::DataType;

use super::column::{Column, Numbers, known};

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

    fn take(&mut self, begin: usize, known: u64, cells: &mut [i8]) {
        self.keys.take(begin, known, cells);
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        let names: ArrayRef = Arc::new(StringArray::from(L::NAMES.to_vec()));
        let keys = self.keys.array(rows);
        if keys.null_count() < rows
            && let Ok(array) = DictionaryArray::try_new(keys, Arc::clone(&names))
        {
            return Arc::new(array);
        }
        // Most of these columns are mostly empty, and then no key need be checked.
        let empty = new_null_array(&Self::data_type(), rows);
        match empty.as_any().downcast_ref::<DictionaryArray<Int8Type>>() {
            Some(array) => Arc::new(array.with_values(names)),
            None => empty,
        }
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

    fn give(view: &Self::View, begin: usize, cells: &mut [i8]) -> u64 {
        let mut known = known(view.keys.nulls(), begin, cells.len());
        if known != 0 {
            for (row, (cell, key)) in cells.iter_mut().zip(&view.keys.values()[begin..]).enumerate()
            {
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
