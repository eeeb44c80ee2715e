//! JSON: one object per line, `type` first, unknown is null.

use std::{fmt, io};

use bytes::BytesMut;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use super::escape::is_printable;

/// Writes `record` and the end of the line.
pub(super) fn line(out: &mut BytesMut, record: &impl Serialize) {
    let mut serializer = serde_json::Serializer::with_formatter(Sink(out), Printable);
    let written = record.serialize(&mut serializer);
    // Only maps with keys that are no strings, and writers that fail, can fail.
    debug_assert!(written.is_ok(), "{written:?}");
    out.extend_from_slice(b"\n");
}

/// The buffer as a writer; twice as fast as that of `bytes`, for a line is written in a hundred
/// small pieces.
struct Sink<'a>(&'a mut BytesMut);

impl io::Write for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serialises by its `Display`, as a string.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A kernel address in hexadecimal digits, without 0x, as a string.
pub(crate) struct Hex(pub(crate) u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Compact JSON in which what is not printable is written as `\u202e`: the same value, but safe to
/// show in a terminal.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if is_printable(c) {
                write!(writer, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::line;

    #[test]
    fn a_terminal_never_sees_raw_what_is_not_printable_and_the_value_stays() {
        let hostile = "\u{1b}[31m \u{9b}1m \u{202e} \u{7f} \"\\ é 日 \u{e0001}\u{feff}";
        let mut out = BytesMut::new();
        line(&mut out, &hostile);
        let text = String::from_utf8(out.to_vec()).expect("UTF-8");
        assert_eq!(
            text,
            concat!(r#""\u001b[31m \u009b1m \u202e \u007f \"\\ é 日 \udb40\udc01\ufeff""#, "\n")
        );
        let back: String = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, hostile);
    }
}
