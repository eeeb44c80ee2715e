//! The kinds of columns that a table has.

use std::{fmt::Display, fmt::Write as _, sync::Arc};

use arrow_array::{
    ArrayRef, ArrowPrimitiveType, StructArray,
    builder::{
        BooleanBuilder, PrimitiveBuilder, StringBuilder, StringDictionaryBuilder,
        TimestampNanosecondBuilder, UInt64Builder,
    },
    types::{ArrowDictionaryKeyType, Int8Type, Int32Type},
};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::model::change::{DWELL_STATES, STATE_SLOTS};

/// One kind of column. Each has a `push` too, which takes the value of the next row or none.
pub(super) trait Column: Default {
    /// Whether a row may have no value at all.
    const NULLABLE: bool = true;
    /// Its type.
    fn data_type() -> DataType;
    /// All rows; the column is empty afterwards.
    fn finish(&mut self) -> ArrayRef;
}

/// Numbers.
pub(super) struct Numbers<T: ArrowPrimitiveType>(PrimitiveBuilder<T>);

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self(PrimitiveBuilder::new())
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(super) fn push(&mut self, value: Option<T::Native>) {
        self.0.append_option(value);
    }
}

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
    fn data_type() -> DataType {
        T::DATA_TYPE
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Moments, in nanoseconds since 1970-01-01 UTC.
pub(super) struct Moments(TimestampNanosecondBuilder);

const UTC: &str = "UTC";

impl Default for Moments {
    fn default() -> Self {
        Self(TimestampNanosecondBuilder::new().with_timezone(UTC))
    }
}

impl Moments {
    pub(super) fn push(&mut self, ns: Option<i64>) {
        self.0.append_option(ns);
    }
}

impl Column for Moments {
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Yes or no.
#[derive(Default)]
pub(super) struct Flags(BooleanBuilder);

impl Flags {
    pub(super) fn push(&mut self, value: Option<bool>) {
        self.0.append_option(value);
    }
}

impl Column for Flags {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Texts that mostly differ.
#[derive(Default)]
pub(super) struct Texts(StringBuilder);

impl Texts {
    pub(super) fn push(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => {
                // Writing to memory cannot fail.
                _ = write!(self.0, "{value}");
                self.0.append_value("");
            }
            None => self.0.append_null(),
        }
    }
}

impl Column for Texts {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Texts of which there are few.
pub(super) struct Repeated<K: ArrowDictionaryKeyType>(StringDictionaryBuilder<K>);

/// Names from a list of ours, which has less than 128 of them.
pub(super) type Names = Repeated<Int8Type>;
/// Names that others choose.
pub(super) type ForeignNames = Repeated<Int32Type>;

impl<K: ArrowDictionaryKeyType> Default for Repeated<K> {
    fn default() -> Self {
        Self(StringDictionaryBuilder::new())
    }
}

impl<K: ArrowDictionaryKeyType> Repeated<K> {
    pub(super) fn push(&mut self, value: Option<&str>) {
        // Only more names than the key has numbers for could fail.
        if value.is_none_or(|value| self.0.append(value).is_err()) {
            self.0.append_null();
        }
    }
}

impl<K: ArrowDictionaryKeyType> Column for Repeated<K> {
    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(K::DATA_TYPE), Box::new(DataType::Utf8))
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Nanoseconds in each state, each with a name of its own under that of the column.
#[derive(Default)]
pub(super) struct Dwells([UInt64Builder; STATE_SLOTS]);

impl Dwells {
    pub(super) fn push(&mut self, states: &[Option<u64>; STATE_SLOTS]) {
        for (column, ns) in self.0.iter_mut().zip(states) {
            column.append_option(*ns);
        }
    }

    fn fields() -> Fields {
        DWELL_STATES.iter().map(|state| Field::new(state.name(), DataType::UInt64, true)).collect()
    }
}

impl Column for Dwells {
    const NULLABLE: bool = false;

    fn data_type() -> DataType {
        DataType::Struct(Self::fields())
    }

    fn finish(&mut self) -> ArrayRef {
        let columns = self.0.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        Arc::new(StructArray::new(Self::fields(), columns.collect(), None))
    }
}

/// Columns with their names, types and where their values come from, in one place.
macro_rules! columns {
    ($of:ident: $($name:literal $field:ident: $column:ty = $value:expr;)*) => {
        /// The columns of some rows.
        #[derive(Default)]
        pub(super) struct Columns { host: ForeignNames, $($field: $column,)* }

        impl Columns {
            /// Names and types.
            pub(super) fn schema() -> Schema {
                Schema::new(vec![
                    Field::new("host", ForeignNames::data_type(), ForeignNames::NULLABLE),
                    $(Field::new($name, <$column>::data_type(), <$column>::NULLABLE),)*
                ])
            }

            /// Adds a row.
            pub(super) fn push(&mut self, host: Option<&str>, $of: &Fields<'_>) {
                self.host.push(host);
                $(self.$field.push($value);)*
            }

            /// All rows; the columns are empty afterwards.
            pub(super) fn finish(&mut self) -> Vec<ArrayRef> {
                vec![self.host.finish(), $(self.$field.finish(),)*]
            }
        }
    };
}

pub(super) use columns;
