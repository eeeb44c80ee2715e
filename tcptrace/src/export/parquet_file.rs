//! One Parquet file.

use std::io::{self, Write};

use anyhow::{Error, Result};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{metadata::KeyValue, properties::WriterProperties},
};

use super::{Table, rows::Rows};
use crate::{model::change::Change, output::times::Times, recording::Metadata};

/// Rows that are encoded in one go.
const BATCH: usize = 8192;
/// Rows of a row group, which lies in memory, encoded, until it is full. Readers share work by row
/// groups, and skip those whose times do not matter to them.
const ROW_GROUP: usize = 262_144;

/// A Parquet file under construction.
pub struct ParquetFile<W: Write + Send> {
    rows: Rows,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> std::fmt::Debug for ParquetFile<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins one in `sink`, with what is known of the recording.
    ///
    /// # Errors
    /// If `sink` fails.
    pub fn new(sink: W, table: Table, metadata: &Metadata) -> Result<Self> {
        let rows = Rows::new(table, host(metadata));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("tcptrace ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(entries(table, metadata)))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let schema = rows.schema().clone();
        let writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(plain)?;
        Ok(Self { rows, writer })
    }

    /// Adds the row that `change` makes, if it makes one.
    ///
    /// # Errors
    /// If a row group cannot be written.
    pub fn push(&mut self, change: &Change, times: &Times) -> Result<()> {
        self.rows.push(change, times);
        if self.rows.len() >= BATCH { self.write() } else { Ok(()) }
    }

    /// Ends the file, noting how many records were lost so far; returns the sink.
    ///
    /// # Errors
    /// If it cannot be written to its end.
    pub fn finish(mut self, lost: u64) -> Result<W> {
        self.write()?;
        self.writer.append_key_value_metadata(entry("lost", &lost.to_string()));
        self.writer.into_inner().map_err(plain)
    }

    fn write(&mut self) -> Result<()> {
        let batch = self.rows.finish()?;
        self.writer.write(&batch).map_err(plain)
    }
}

/// The host of a recording, if it names one.
pub(super) fn host(metadata: &Metadata) -> Option<String> {
    (!metadata.host.is_empty()).then(|| metadata.host.clone())
}

fn entries(table: Table, metadata: &Metadata) -> Vec<KeyValue> {
    let Metadata { tool, host, kernel, boot_id, command_line, .. } = metadata;
    [
        ("table", table.name()),
        ("tcptrace.version", env!("CARGO_PKG_VERSION")),
        ("recording.tcptrace.version", tool),
        ("recording.command_line", command_line),
        ("host", host),
        ("kernel", kernel),
        ("boot_id", boot_id),
    ]
    .map(|(key, value)| entry(key, value))
    .into()
}

fn entry(key: &str, value: &str) -> KeyValue {
    KeyValue::new(key.to_owned(), value.to_owned())
}

/// The error of the sink, where it is one.
fn plain(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => Error::new(*inner),
            Err(inner) => Error::msg(inner.to_string()),
        },
        error => Error::new(error),
    }
}
