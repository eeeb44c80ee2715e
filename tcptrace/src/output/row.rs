//! One line of a table, written cell by cell.

use std::fmt;

use bytes::BytesMut;

/// As many as few cells lack.
const SPACES: [u8; 16] = [b' '; 16];

/// A line under construction.
///
/// What is written between two ends of columns is a cell. The spaces after a cell are owed until
/// another one follows, so that no line ends in spaces.
pub(super) struct Row<'a> {
    out: &'a mut BytesMut,
    cell_start: usize,
    cell_width: usize,
    owed_spaces: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(out: &'a mut BytesMut) -> Self {
        let cell_start = out.len();
        Self { out, cell_start, cell_width: 0, owed_spaces: 0 }
    }

    /// Printable ASCII, which is as wide as it is long.
    pub(super) fn text(&mut self, text: &str) {
        self.text_of_width(text, text.len());
    }

    /// Text that takes `width` columns of a terminal.
    pub(super) fn text_of_width(&mut self, text: &str, width: usize) {
        if self.owed_spaces > 0 {
            self.spaces(self.owed_spaces);
            self.owed_spaces = 0;
            self.cell_start = self.out.len();
        }
        self.out.extend_from_slice(text.as_bytes());
        self.cell_width += width;
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        self.text(itoa::Buffer::new().format(number));
    }

    pub(super) fn show(&mut self, value: impl fmt::Display) {
        // Writing to memory fails only if the value's own `Display` does, and then it is its
        // author's wish.
        _ = fmt::Write::write_fmt(self, format_args!("{value}"));
    }

    /// Text in a colour, which takes no room.
    pub(super) fn painted(&mut self, style: anstyle::Style, text: &str) {
        if style.is_plain() {
            return self.text(text);
        }
        self.text("");
        _ = fmt::Write::write_fmt(self.out, format_args!("{style}"));
        self.text(text);
        _ = fmt::Write::write_fmt(self.out, format_args!("{style:#}"));
    }

    /// Ends a left-aligned column; a wider cell pushes the rest of the line to the right.
    pub(super) fn left(&mut self, width: usize) {
        self.owed_spaces += width.saturating_sub(self.cell_width) + 1;
        self.cell_width = 0;
    }

    /// Ends a right-aligned column.
    pub(super) fn right(&mut self, width: usize) {
        self.text("");
        let missing = width.saturating_sub(self.cell_width);
        let end = self.out.len();
        self.spaces(missing);
        self.out.copy_within(self.cell_start..end, self.cell_start + missing);
        self.out[self.cell_start..self.cell_start + missing].fill(b' ');
        self.cell_width = 0;
        self.owed_spaces = 1;
    }

    /// A whole row of them, cut off, is written faster than some of them.
    #[inline]
    fn spaces(&mut self, count: usize) {
        let end = self.out.len() + count;
        while self.out.len() < end {
            self.out.extend_from_slice(&SPACES);
        }
        self.out.truncate(end);
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"\n");
    }
}

impl fmt::Write for Row<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anstyle::{AnsiColor, Style};
    use bytes::BytesMut;

    use super::Row;

    fn written(write: impl FnOnce(&mut Row)) -> String {
        let mut out = BytesMut::from("before\n");
        let mut row = Row::new(&mut out);
        write(&mut row);
        row.end();
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn columns_align_left_and_right_and_lines_end_without_spaces() {
        let line = written(|row| {
            row.text("ab");
            row.left(4);
            row.number(7_u8);
            row.right(3);
            row.show("longer than its column");
            row.left(5);
            row.left(5);
        });
        assert_eq!(line, "before\nab     7 longer than its column\n");
    }

    #[test]
    fn an_empty_cell_keeps_its_room() {
        let line = written(|row| {
            row.left(3);
            row.right(2);
            row.text("x");
        });
        assert_eq!(line, "before\n       x\n");
    }

    #[test]
    fn colours_take_no_room() {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let line = written(|row| {
            row.painted(red, "ab");
            row.right(4);
            row.painted(red, "cd");
            row.left(4);
            row.painted(Style::new(), "ef");
        });
        assert_eq!(line, "before\n  \u{1b}[31mab\u{1b}[0m \u{1b}[31mcd\u{1b}[0m   ef\n");
    }
}
