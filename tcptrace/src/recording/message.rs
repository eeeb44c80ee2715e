//! The messages of an Arrow stream, with a bound on what each may cost.
//!
//! What a recording says of its own sizes may be a lie, and the Arrow crates believe most of it. So
//! a message is checked before they see it: no more is reserved than has been read, or than a batch
//! of ours may unpack to.

use std::io::{self, Read};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use arrow_buffer::Buffer;
use arrow_ipc::{CompressionType, Message, RecordBatch, root_as_message_with_opts};
use arrow_schema::DataType;
use flatbuffers::VerifierOptions;

/// Every message begins with it.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes of a header, at most. That of a batch has about four thousand, that of the schema as many and
/// the command line.
const MAX_HEADER: usize = 16 << 20;
/// Bytes of a body, and of what it unpacks to, at most.
const MAX_BODY: usize = 128 << 20;
/// Rows of a batch, at most: twice as many as any version has written.
const MAX_ROWS: i64 = 1 << 17;
/// Tables in a header, at most. Ours have a few hundred.
const MAX_TABLES: usize = 1 << 14;
/// No byte of LZ4 stands for more. (The decompressor of zstd looks itself whether there can be so many.)
const LZ4_RATIO: usize = 255;
/// Bytes before those of a compressed buffer that say how many it unpacks to.
const UNPACKED: usize = 8;

/// What comes next in a stream.
pub(super) enum Next<'a> {
    /// A message: its header, of which only the layout was checked, and its body.
    Message(Message<'a>, Buffer),
    /// The mark at the end.
    End,
    /// Nothing, or less than a whole message.
    Cut,
}

/// Reads messages.
pub(super) struct Messages<R> {
    source: R,
    header: Vec<u8>,
}

impl<R: Read> Messages<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, header: Vec::new() }
    }

    /// The next message.
    ///
    /// # Errors
    /// If it cannot be read, is none, or is larger than any that was ever written.
    pub(super) fn next(&mut self) -> Result<Next<'_>> {
        let start = self.read(8)?;
        let begun = start.len().min(CONTINUATION.len());
        ensure!(start[..begun] == CONTINUATION[..begun], "there is no Arrow message");
        let Ok(start) = <[u8; 8]>::try_from(start) else {
            return Ok(Next::Cut);
        };
        let [.., a, b, c, d] = start;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d]))?;
        if length == 0 {
            return Ok(Next::End);
        }
        ensure!(length <= MAX_HEADER, "a header of {length} bytes is larger than any");
        self.header = self.read(length)?;
        if self.header.len() < length {
            return Ok(Next::Cut);
        }
        let length = usize::try_from(parse(&self.header)?.bodyLength())?;
        ensure!(length <= MAX_BODY, "a batch of {length} bytes is larger than any");
        let body = self.read(length)?;
        if body.len() < length {
            return Ok(Next::Cut);
        }
        Ok(Next::Message(parse(&self.header)?, Buffer::from_vec(body)))
    }

    /// As many of the next `length` bytes as there are. Takes memory for those only.
    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.source.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn parse(header: &[u8]) -> Result<Message<'_>> {
    let options = VerifierOptions {
        max_tables: MAX_TABLES,
        max_apparent_size: MAX_HEADER,
        ..VerifierOptions::default()
    };
    root_as_message_with_opts(&options, header).map_err(|_| anyhow!("a header makes no sense"))
}

/// Of what sizes the items in the buffers of a column are, bytes; `None` of a column that has others
/// inside, as no version has written.
pub(super) fn items(column: &DataType) -> Option<Vec<usize>> {
    // The first buffer has a bit for each row.
    match column {
        DataType::Boolean | DataType::FixedSizeBinary(_) => Some(vec![1, 1]),
        DataType::Utf8 | DataType::Binary => Some(vec![1, 4, 1]),
        DataType::LargeUtf8 | DataType::LargeBinary => Some(vec![1, 8, 1]),
        DataType::Dictionary(places, _) => Some(vec![1, places.primitive_width()?]),
        other => Some(vec![1, other.primitive_width()?]),
    }
}

/// Checks that a batch lies within its body, and what it will take to unpack. `items` is what its
/// columns consist of.
///
/// # Errors
/// If it does not, or takes more than any that was ever written.
pub(super) fn check(batch: &RecordBatch<'_>, body: &[u8], items: &[usize]) -> Result<()> {
    let rows = batch.length();
    ensure!((0..=MAX_ROWS).contains(&rows), "{rows} rows in a batch are more than any");
    for node in batch.nodes().iter().flatten() {
        let length = node.length();
        ensure!((0..=MAX_ROWS).contains(&length), "{length} rows in a column are more than any");
        ensure!((0..=length).contains(&node.null_count()), "more rows without a value than rows");
    }
    let mut unpacked = 0_usize;
    let mut items = items.iter();
    for buffer in batch.buffers().iter().flatten() {
        let offset = usize::try_from(buffer.offset())?;
        let length = usize::try_from(buffer.length())?;
        let end = offset.checked_add(length).context("a column ends nowhere")?;
        let Some(bytes) = body.get(offset..end) else {
            bail!("a column lies outside of its batch");
        };
        let size = match bytes.first_chunk::<UNPACKED>() {
            Some(size) if batch.compression().is_some() => i64::from_le_bytes(*size),
            Some(_) | None => -1,
        };
        let size = match size {
            // As it is, behind that number.
            -1 if batch.compression().is_some() => length.saturating_sub(UNPACKED),
            -1 => length,
            size => usize::try_from(size)?,
        };
        let is_lz4 = batch.compression().is_some_and(|c| c.codec() == CompressionType::LZ4_FRAME);
        ensure!(!is_lz4 || size <= length * LZ4_RATIO, "{length} bytes cannot unpack to {size}");
        let item = items.next().context("a column that no version wrote")?;
        ensure!(size.is_multiple_of(*item), "{size} bytes of items of {item}");
        unpacked = unpacked.saturating_add(size);
    }
    ensure!(unpacked <= MAX_BODY, "a batch that unpacks to {unpacked} bytes is larger than any");
    Ok(())
}
