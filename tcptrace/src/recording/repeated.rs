//! Columns of values that a batch has few of: each is written once, and then called by its place.

use std::{collections::HashMap, fmt::Debug, hash::Hash, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, UInt64Array,
    new_null_array,
    types::{ArrowDictionaryKeyType, Int16Type, Int32Type},
};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use super::{
    column::{Column, Numbers, known},
    turn::BLOCK,
};

/// Bytes of an address.
const ADDRESS: i32 = 16;

/// One kind of value.
pub(super) trait Value: Debug + Default {
    /// What a row has of it.
    type Cell: Copy + Debug + Default + Eq + Hash;
    /// Some bits that differ where values do, mostly.
    fn bits(cell: Self::Cell) -> u64;
    /// Its type in Arrow.
    fn data_type() -> DataType;
    /// An array of them.
    fn array(values: &[Self::Cell]) -> ArrayRef;
    /// The values of an array; `None` if it is of another type.
    fn read(array: &ArrayRef) -> Option<Vec<Self::Cell>>;
}

fn mixed(bits: u128) -> u64 {
    let folded = bits as u64 ^ (bits >> 64) as u64;
    // The upper bits of a product depend on all of its factors.
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Command names, padded with zeros.
#[derive(Debug, Default)]
pub(super) struct Comm;

impl Value for Comm {
    type Cell = [u8; 16];

    fn bits(cell: Self::Cell) -> u64 {
        mixed(u128::from_ne_bytes(cell))
    }

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn array(values: &[Self::Cell]) -> ArrayRef {
        let bytes = values.iter().map(|name| {
            let length = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            &name[..length]
        });
        Arc::new(BinaryArray::from_iter_values(bytes))
    }

    fn read(array: &ArrayRef) -> Option<Vec<Self::Cell>> {
        let padded = |name: Option<&[u8]>| {
            let name = name.unwrap_or_default();
            let mut bytes = [0; 16];
            let length = name.len().min(16);
            bytes[..length].copy_from_slice(&name[..length]);
            bytes
        };
        let array = array.as_any().downcast_ref::<BinaryArray>()?;
        Some(array.iter().map(padded).collect())
    }
}

/// IPv6 addresses, IPv4 as v4-mapped ones.
#[derive(Debug, Default)]
pub(super) struct Address;

impl Value for Address {
    type Cell = [u8; ADDRESS as usize];

    fn bits(cell: Self::Cell) -> u64 {
        mixed(u128::from_ne_bytes(cell))
    }

    fn data_type() -> DataType {
        DataType::FixedSizeBinary(ADDRESS)
    }

    fn array(values: &[Self::Cell]) -> ArrayRef {
        let bytes = Buffer::from_slice_ref(values.as_flattened());
        Arc::new(FixedSizeBinaryArray::new(ADDRESS, bytes, None))
    }

    fn read(array: &ArrayRef) -> Option<Vec<Self::Cell>> {
        let array = array.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
        (array.value_length() == ADDRESS)
            .then(|| array.value_data().as_chunks().0[..array.len()].to_vec())
    }
}

/// Numbers that are wide and rare, or few.
#[derive(Debug, Default)]
pub(super) struct Number;

impl Value for Number {
    type Cell = u64;

    fn bits(cell: u64) -> u64 {
        mixed(cell.into())
    }

    fn data_type() -> DataType {
        DataType::UInt64
    }

    fn array(values: &[u64]) -> ArrayRef {
        Arc::new(UInt64Array::from(values.to_vec()))
    }

    fn read(array: &ArrayRef) -> Option<Vec<u64>> {
        Some(array.as_any().downcast_ref::<UInt64Array>()?.values().to_vec())
    }
}

/// Places of values, and the values.
#[derive(Debug)]
pub(super) struct Repeated<V: Value> {
    keys: Numbers<Int16Type>,
    values: Vec<V::Cell>,
    places: HashMap<V::Cell, i16, foldhash::fast::RandomState>,
    /// Values that came lately, by some of their bits: mostly one of them comes again.
    recent: [(V::Cell, i16); RECENT],
}

const RECENT: usize = 64;
/// The place of a value that never came.
const NOWHERE: i16 = -1;

impl<V: Value> Default for Repeated<V> {
    fn default() -> Self {
        Self {
            keys: Numbers::default(),
            values: Vec::new(),
            places: HashMap::default(),
            recent: [(V::Cell::default(), NOWHERE); RECENT],
        }
    }
}

impl<V: Value> Repeated<V> {
    #[inline]
    fn place(&mut self, value: V::Cell) -> i16 {
        let slot = V::bits(value) as usize % RECENT;
        let (recent, place) = self.recent[slot];
        if recent == value && place != NOWHERE {
            return place;
        }
        let next = i16::try_from(self.values.len()).unwrap_or(i16::MAX);
        let place = *self.places.entry(value).or_insert(next);
        if place == next {
            self.values.push(value);
        }
        self.recent[slot] = (value, place);
        place
    }
}

impl<V: Value> Column for Repeated<V> {
    type Cell = V::Cell;
    type View = RepeatedView<V>;

    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int16), Box::new(V::data_type()))
    }

    /// Until format 1 the values stood in the rows, or had wider places.
    fn reads(data_type: &DataType) -> bool {
        match data_type {
            DataType::Dictionary(places, values) => {
                matches!(**places, DataType::Int16 | DataType::Int32) && **values == V::data_type()
            }
            plain => *plain == V::data_type(),
        }
    }

    fn take(&mut self, begin: usize, known: u64, cells: &mut [V::Cell]) {
        let mut keys = [0; BLOCK];
        let mut rest = known;
        while rest != 0 {
            let row = rest.trailing_zeros() as usize;
            keys[row] = self.place(cells[row]);
            rest &= rest - 1;
        }
        self.keys.take(begin, known, &mut keys[..cells.len()]);
    }

    /// Another block might have more values than there are places left.
    fn is_full(&self) -> bool {
        self.values.len() + BLOCK > i16::MAX as usize
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        let values = V::array(&self.values);
        self.values.clear();
        self.places.clear();
        self.recent = [(V::Cell::default(), NOWHERE); RECENT];
        DictionaryArray::try_new(self.keys.array(rows), values)
            .map_or_else(|_| new_null_array(&Self::data_type(), rows), |array| Arc::new(array))
    }

    fn view(array: &ArrayRef) -> Option<Self::View> {
        fn keys<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> Option<(Vec<i32>, &ArrayRef)>
        where
            i32: TryFrom<K::Native>,
        {
            let array = array.as_any().downcast_ref::<DictionaryArray<K>>()?;
            let keys = array.keys().values().iter();
            // What no place can be is none.
            let keys = keys.map(|key| i32::try_from(*key).unwrap_or(-1));
            Some((keys.collect(), array.values()))
        }
        let (places, values) = keys::<Int16Type>(array)
            .or_else(|| keys::<Int32Type>(array))
            .unwrap_or_else(|| ((0..array.len() as i32).collect(), array));
        let nulls = array.nulls().cloned();
        Some(RepeatedView::<V> { nulls, places, values: V::read(values)? })
    }

    fn give(view: &Self::View, begin: usize, cells: &mut [V::Cell]) -> u64 {
        let mut known = known(view.nulls.as_ref(), begin, cells.len());
        if known != 0 {
            for (row, (cell, place)) in cells.iter_mut().zip(&view.places[begin..]).enumerate() {
                let value = usize::try_from(*place).ok().and_then(|place| view.values.get(place));
                match value {
                    Some(value) => *cell = *value,
                    None => known &= !(1 << row),
                }
            }
        }
        known
    }
}

/// Places of values, and the values.
#[derive(Debug)]
pub(super) struct RepeatedView<V: Value> {
    nulls: Option<NullBuffer>,
    places: Vec<i32>,
    values: Vec<V::Cell>,
}
