//! The bytes of a recording to events.

use std::{collections::HashMap, fmt, io::Read, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::{
    Message,
    convert::try_fb_to_schema,
    reader::{read_dictionary, read_record_batch},
};
use arrow_schema::{DataType, Schema};

use super::{
    Metadata,
    column::Bytes,
    message::{Messages, Next, check, items},
    schema::{Block, View, known_columns},
    turn::BLOCK,
};
use crate::event::Event;

/// Events made in one go: a whole batch of them would not stay in the processor's cache.
const CHUNK: usize = 512;
const WRONG_TYPE: &str = "a column has a type that no version wrote";
/// Why what follows the last whole batch is missing, if nothing else is wrong.
const NO_END: &str = "its recorder was killed, or still writes";

/// How a recording ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Why what follows the last whole batch cannot be read; none if nothing follows.
    pub broken: Option<String>,
    /// Rows that this version does not understand.
    pub skipped: u64,
    /// What was recorded between it and the next, if anything was, is missing.
    pub gap: bool,
}

impl Tail {
    /// Whether all of it was read and understood.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }
}

/// Says of a file that it is no recording yet: its recorder ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingWritten;

impl fmt::Display for NothingWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was recorded in it: name another recording")
    }
}

impl std::error::Error for NothingWritten {}

/// A recording that is being read.
pub struct Recording<R> {
    messages: Messages<R>,
    columns: Columns,
    metadata: Metadata,
    tail: Tail,
    /// The batch that is being read, with the next row and the number of rows.
    open: Option<(View, usize, usize)>,
    block: Box<Block>,
    ended: bool,
}

/// What is needed to make columns of bytes.
struct Columns {
    schema: Arc<Schema>,
    /// Those that this version knows, by place; none if it knows all. Others are not even unpacked.
    known: Option<Vec<usize>>,
    /// What the buffers of its columns consist of.
    items: Vec<usize>,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl<R> fmt::Debug for Recording<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl<R: Read> Recording<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// If it is no recording, one of a newer format, or [`NothingWritten`].
    pub fn open(source: R) -> Result<Self> {
        const NO_RECORDING: &str =
            "it is no recording of tcptrace: name a file that `tcptrace record` wrote";
        let mut messages = Messages::new(source);
        let schema = match messages.next().context(NO_RECORDING)? {
            Next::Message(message, _) => message.header_as_schema().map(try_fb_to_schema),
            Next::End => None,
            Next::Cut => bail!(NothingWritten),
        };
        let schema = schema.context(NO_RECORDING)?.context(NO_RECORDING)?;
        let entries = schema.metadata().iter();
        let entries = entries.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let metadata = Metadata::read(&entries)?;
        let known = known_columns(&schema).context(WRONG_TYPE)?;
        let all = known.len() == schema.fields().len();
        let items: Option<Vec<_>> =
            schema.fields().iter().map(|field| items(field.data_type())).collect();
        let columns = Columns {
            items: items.context(WRONG_TYPE)?.concat(),
            schema: Arc::new(schema),
            known: (!all).then_some(known),
            dictionaries: HashMap::new(),
        };
        let tail = Tail::default();
        Ok(Self {
            messages,
            columns,
            metadata,
            tail,
            open: None,
            block: Box::default(),
            ended: false,
        })
    }

    /// What describes it as a whole.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The next events; `None` at the end, or where what follows cannot be read.
    ///
    /// # Errors
    /// If a column has another type than ours, so that nothing of the batch can be trusted.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Event>>> {
        loop {
            let Some((view, begin, rows)) = &mut self.open else {
                match self.next_rows()? {
                    Some(batch) => self.open = Some((batch.0, 0, batch.1)),
                    None => return Ok(None),
                }
                continue;
            };
            let end = (*begin + CHUNK).min(*rows);
            let mut events = Vec::with_capacity(end - *begin);
            for first in (*begin..end).step_by(BLOCK) {
                let rows = (end - first).min(BLOCK);
                view.give(first, rows, &mut self.block);
                events.extend((0..rows).filter_map(|row| {
                    let text = Bytes::get(&view.text, first + row);
                    self.block.event(row, text, Bytes::get(&view.cgroup, first + row))
                }));
            }
            self.tail.skipped += (end - *begin - events.len()) as u64;
            *begin = end;
            if end == *rows {
                self.open = None;
            }
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
    }

    /// The next batch, and how many rows it has.
    fn next_rows(&mut self) -> Result<Option<(View, usize)>> {
        while !self.ended {
            let batch = match self.messages.next() {
                Ok(Next::Message(message, body)) => self.columns.take(&message, &body),
                Ok(Next::End) => {
                    self.ended = true;
                    Ok(None)
                }
                Ok(Next::Cut) => Err(anyhow!(NO_END)),
                Err(error) => Err(error),
            };
            match batch {
                Ok(Some(batch)) => {
                    let view = View::new(&batch).context(WRONG_TYPE)?;
                    return Ok(Some((view, batch.num_rows())));
                }
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    self.tail.broken = Some(format!("{error:#}"));
                }
            }
        }
        Ok(None)
    }

    /// How it ended, as far as known by now.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl Columns {
    /// Takes in a message; returns the batch, if it is one.
    fn take(&mut self, message: &Message<'_>, body: &Buffer) -> Result<Option<RecordBatch>> {
        let version = message.version();
        if let Some(batch) = message.header_as_record_batch() {
            check(&batch, body, &self.items)?;
            let (schema, known) = (Arc::clone(&self.schema), self.known.as_deref());
            let batch =
                read_record_batch(body, batch, schema, &self.dictionaries, known, &version)?;
            return Ok(Some(batch));
        }
        let dictionary = message.header_as_dictionary_batch().context("a message of no use")?;
        // Nor would its memory be bounded.
        ensure!(!dictionary.isDelta(), "a list of names in parts, which no version wrote");
        if let Some(values) = self.values_of(dictionary.id()) {
            let items = items(values).context(WRONG_TYPE)?;
            let data = dictionary.data().context("a list of names without names")?;
            check(&data, body, &items)?;
            let names = &mut self.dictionaries;
            read_dictionary(body, dictionary, &self.schema, names, &version)?;
        }
        Ok(None)
    }

    /// The type of the values in this list, if a column that we read takes its values from it.
    fn values_of(&self, list: i64) -> Option<&DataType> {
        #[expect(deprecated, reason = "nothing else tells which column a list belongs to")]
        let users = self.schema.fields_with_dict_id(list);
        let place = self.schema.index_of(users.first()?.name()).ok()?;
        let is_known = self.known.as_ref().is_none_or(|known| known.contains(&place));
        match self.schema.field(place).data_type() {
            DataType::Dictionary(_, values) if is_known => Some(values),
            _ => None,
        }
    }
}
