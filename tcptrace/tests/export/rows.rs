//! Parquet files back to JSON, to compare with what the views print.

use std::{fs::File, path::Path};

use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray,
    types::{Int8Type, Int32Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value};

/// Opens a file.
pub(crate) fn open(path: &Path) -> ParquetRecordBatchReaderBuilder<File> {
    let file = File::open(path).expect("a file");
    ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file")
}

/// Its rows as objects, without the fields of which JSON has none where they are unknown or false.
pub(crate) fn read(path: &Path) -> Vec<Value> {
    let batches: ParquetRecordBatchReader = open(path).build().expect("a Parquet file");
    let mut rows = Vec::new();
    for batch in batches {
        let batch = batch.expect("a batch");
        rows.extend((0..batch.num_rows()).map(|row| object(&batch, row)));
    }
    rows
}

fn object(batch: &RecordBatch, row: usize) -> Value {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    let mut object: Map<String, Value> =
        fields.map(|(field, column)| (field.name().clone(), value(column, row))).collect();
    if object.get("v4mapped") == Some(&Value::Bool(false)) {
        object.remove("v4mapped");
    }
    if let Some(states) = object.get_mut("states").and_then(Value::as_object_mut) {
        states.retain(|_, ns| !ns.is_null());
    }
    object.into()
}

fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::UInt16 => typed::<PrimitiveArray<UInt16Type>>(column).value(row).into(),
        DataType::UInt32 => typed::<PrimitiveArray<UInt32Type>>(column).value(row).into(),
        DataType::UInt64 => typed::<PrimitiveArray<UInt64Type>>(column).value(row).into(),
        DataType::Boolean => typed::<BooleanArray>(column).value(row).into(),
        DataType::Utf8 => typed::<StringArray>(column).value(row).into(),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            let ns = typed::<PrimitiveArray<TimestampNanosecondType>>(column).value(row);
            let time = jiff::Timestamp::from_nanosecond(ns.into()).expect("a time");
            format!("{time:.9}").into()
        }
        DataType::Dictionary(key, _) if **key == DataType::Int8 => {
            let names = typed::<DictionaryArray<Int8Type>>(column);
            let key = usize::try_from(names.keys().value(row)).expect("a place");
            typed::<StringArray>(names.values()).value(key).into()
        }
        DataType::Dictionary(..) => {
            let names = typed::<DictionaryArray<Int32Type>>(column);
            let key = usize::try_from(names.keys().value(row)).expect("a place");
            typed::<StringArray>(names.values()).value(key).into()
        }
        DataType::Struct(fields) => {
            let columns = typed::<StructArray>(column);
            let parts = fields.iter().zip(columns.columns());
            let parts = parts.map(|(field, column)| (field.name().clone(), value(column, row)));
            Value::Object(parts.collect())
        }
        other => unreachable!("no column has the type {other}"),
    }
}

fn typed<T: 'static>(column: &ArrayRef) -> &T {
    column.as_any().downcast_ref().expect("the type that the schema says")
}
