//! CSV: RFC 4180 with the names of the JSON as the header; unknown is an empty field.

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;

/// Writes `record` as one line, quoted where needed.
pub(super) fn line(out: &mut BytesMut, record: &impl Serialize) {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .buffer_capacity(512)
        .from_writer((&mut *out).writer());
    let written = writer.serialize(record);
    // Only maps, and writers that fail, can fail.
    debug_assert!(written.is_ok(), "{written:?}");
    _ = writer.flush();
}
