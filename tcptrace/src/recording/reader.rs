//! The bytes of a recording to events.

use std::io::Read;

use anyhow::{Context as _, Result};
use arrow_ipc::reader::StreamReader;

use super::{Metadata, schema::View};
use crate::event::Event;

/// How a recording ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Why what follows the last whole batch cannot be read; none if nothing follows.
    pub broken: Option<String>,
    /// Rows that this version does not understand.
    pub skipped: u64,
}

impl Tail {
    /// Whether all of it was read and understood.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }
}

/// A recording that is being read.
pub struct Recording<R> {
    stream: StreamReader<R>,
    metadata: Metadata,
    tail: Tail,
}

impl<R> std::fmt::Debug for Recording<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl<R: Read> Recording<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// If it is no recording, or one of a newer format.
    pub fn open(source: R) -> Result<Self> {
        let stream =
            StreamReader::try_new(source, None).context("it is no recording of tcptrace")?;
        let schema = stream.schema();
        let entries = schema.metadata().iter();
        let entries = entries.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let metadata = Metadata::read(&entries)?;
        Ok(Self { stream, metadata, tail: Tail::default() })
    }

    /// What describes it as a whole.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The events of the next batch; `None` at the end, or where what follows cannot be read.
    ///
    /// # Errors
    /// If a column has another type than ours, so that nothing of the batch can be trusted.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Event>>> {
        let batch = match self.stream.next() {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                self.tail.broken = Some(error.to_string());
                return Ok(None);
            }
            None => return Ok(None),
        };
        let view = View::new(&batch).context("a column has a type that no version has written")?;
        let rows = batch.num_rows();
        let mut events = Vec::with_capacity(rows);
        events.extend((0..rows).filter_map(|row| view.event(row)));
        self.tail.skipped += (rows - events.len()) as u64;
        Ok(Some(events))
    }

    /// How it ended, as far as known by now.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }
}
