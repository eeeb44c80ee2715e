//! Names from strangers: command names are bytes that any user of the host chooses.
//!
//! A raw one could move the cursor, change colours or reverse the reading order of a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

use crate::event::Comm;

/// `comm` as text that is safe to show: what is not printable reads `\x1b`, a backslash `\\`.
#[must_use]
pub fn printable(comm: &Comm) -> Cow<'_, str> {
    let bytes = comm.as_bytes();
    if let Some(text) = plain(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    each_unit(bytes, |unit, _| text.push_str(unit));
    Cow::Owned(text)
}

/// `text` as [`printable`] shows names.
#[must_use]
pub fn printable_text(text: &str) -> Cow<'_, str> {
    if let Some(text) = plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    each_unit(text.as_bytes(), |unit, _| shown.push_str(unit));
    Cow::Owned(shown)
}

/// [`printable`], with the columns it takes; if these are more than `width`, it is cut and ends in
/// `mark`.
pub(super) fn fitted<'a>(comm: &'a Comm, width: usize, mark: &str) -> (Cow<'a, str>, usize) {
    let bytes = comm.as_bytes();
    if bytes.len() <= width
        && let Some(text) = plain(bytes)
    {
        return (Cow::Borrowed(text), text.len());
    }
    let mut all = 0;
    each_unit(bytes, |_, columns| all += columns);
    let cut = all > width;
    let room = width.saturating_sub(if cut { mark.len() } else { 0 });
    let mut text = String::new();
    let mut used = 0;
    let mut full = false;
    each_unit(bytes, |unit, columns| {
        full |= used + columns > room;
        if !full {
            text.push_str(unit);
            used += columns;
        }
    });
    if cut {
        text.push_str(mark);
        used += mark.len();
    }
    (Cow::Owned(text), used)
}

/// Whether a terminal shows `c` as itself and nothing else happens.
///
/// The standard library escapes in debug output what is not printable: control characters, bidi
/// and zero-width ones, combining marks, unassigned and private ones, all spaces but one.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1)
}

/// The bytes as text, if they are printable ASCII without a backslash.
fn plain(bytes: &[u8]) -> Option<&str> {
    let is_plain = bytes.iter().all(|&b| matches!(b, b' '..=b'~') && b != b'\\');
    is_plain.then(|| str::from_utf8(bytes).ok()).flatten()
}

/// Calls `tell` for each unit that must not be cut in two, with the columns it takes.
fn each_unit(bytes: &[u8], mut tell: impl FnMut(&str, usize)) {
    let mut utf8 = [0; 4];
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let text = c.encode_utf8(&mut utf8);
            if c == '\\' {
                tell("\\\\", 2);
            } else if is_printable(c) {
                tell(text, c.width().unwrap_or(1));
            } else {
                text.bytes().for_each(|b| tell(&format!("\\x{b:02x}"), 4));
            }
        }
        chunk.invalid().iter().for_each(|b| tell(&format!("\\x{b:02x}"), 4));
    }
}

#[cfg(test)]
mod tests {
    use super::{fitted, printable};
    use crate::event::Comm;

    fn comm(bytes: &[u8]) -> Comm {
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        Comm(padded)
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        let cases: [(&[u8], &str); 9] = [
            (b"nginx: worker", "nginx: worker"),
            (b"\x1b[31mred", r"\x1b[31mred"),
            (b"a\nb\tc\x7f", r"a\x0ab\x09c\x7f"),
            (b"\xff\xfeok\xc3", r"\xff\xfeok\xc3"),
            ("\u{202e}abc".as_bytes(), r"\xe2\x80\xaeabc"),
            ("a\u{200b}b".as_bytes(), r"a\xe2\x80\x8bb"),
            ("e\u{301}".as_bytes(), r"e\xcc\x81"),
            ("\u{9b}31m".as_bytes(), r"\xc2\x9b31m"),
            (br"C:\x1b", r"C:\\x1b"),
        ];
        for (bytes, text) in cases {
            assert_eq!(printable(&comm(bytes)), text);
        }
        assert_eq!(printable(&comm("日本'\"é".as_bytes())), "日本'\"é");
    }

    #[test]
    fn a_name_is_cut_between_characters_with_a_mark() {
        let cases: [(&[u8], &str, usize); 7] = [
            (b"nginx", "nginx", 5),
            (b"tencolumns", "tencolumns", 10),
            (b"elevencolum", "elevencol+", 10),
            (b"12345678\x1b", "12345678+", 9),
            (b"123456\x1b", r"123456\x1b", 10),
            ("日本日本日".as_bytes(), "日本日本日", 10),
            ("日本日本x日".as_bytes(), "日本日本x+", 10),
        ];
        for (bytes, text, columns) in cases {
            assert_eq!(fitted(&comm(bytes), 10, "+"), (text.into(), columns));
        }
        assert_eq!(fitted(&comm(b"abc"), 0, "+"), ("+".into(), 1));
        assert_eq!(fitted(&comm(b"elevencolum"), 10, ""), ("elevencolu".into(), 10));
    }
}
