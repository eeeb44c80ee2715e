//! Elements of a page. Whatever comes from outside is escaped: names, command lines, hosts.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;

use crate::output::escape::printable_text;

/// A page under construction.
pub(super) struct Html<'a>(pub(super) &'a mut BytesMut);

impl Html<'_> {
    /// Writes markup of ours.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.extend_from_slice(markup.as_bytes());
    }

    /// Writes text, from wherever it is.
    pub(super) fn text(&mut self, text: &str) {
        let text = escaped(text);
        self.raw(&text);
    }

    /// Writes an element with nothing but text in it; `tag` may have attributes.
    pub(super) fn element(&mut self, tag: &str, text: &str) {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.raw(&format!("<{tag}>"));
        self.text(text);
        self.raw(&format!("</{name}>"));
    }

    /// Writes an element with a number in it, which the JSON report has at `pointer`.
    pub(super) fn number(&mut self, tag: &str, pointer: &str, value: impl Display, shown: &str) {
        let tag = format!("{tag} data-of=\"{}\" data-value=\"{value}\"", escaped(pointer));
        self.element(&tag, shown);
    }

    /// Writes a count.
    pub(super) fn count(&mut self, tag: &str, pointer: &str, count: u64) {
        self.number(tag, pointer, count, &grouped(count));
    }

    /// Writes something that may be unknown.
    pub(super) fn known<T: Display + Copy>(
        &mut self,
        tag: &str,
        pointer: &str,
        value: Option<T>,
        show: impl Fn(T) -> String,
    ) {
        match value {
            Some(value) => self.number(tag, pointer, value, &show(value)),
            None => self.number(tag, pointer, "null", "–"),
        }
    }

    /// Opens a table with these heads of columns; those that begin with `#` are of numbers. `class`
    /// says how it fits into little room.
    pub(super) fn table(&mut self, class: &str, caption: &str, heads: &[&str]) {
        self.raw(&format!("<div class=\"scroll\"><table class=\"{class}\">\n"));
        self.element("caption", caption);
        self.raw("<thead><tr>");
        for head in heads {
            match head.strip_prefix('#') {
                Some(head) => self.element("th scope=\"col\" class=\"n\"", head),
                None => self.element("th scope=\"col\"", head),
            }
        }
        self.raw("</tr></thead>\n<tbody>\n");
    }

    /// Closes the table.
    pub(super) fn end_table(&mut self) {
        self.raw("</tbody></table></div>\n");
    }
}

/// The text with what means something in markup written as entities, and what is not printable as
/// [`printable_text`] shows it.
pub(super) fn escaped(text: &str) -> String {
    let mut markup = String::new();
    for c in printable_text(text).chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            c => markup.push(c),
        }
    }
    markup
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        // Writing to a string cannot fail.
        _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{escaped, grouped};

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(
            escaped("<script>alert('1')</script> & \"x\" \u{202e}\u{1b}"),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot; \\xe2\\x80\\xae\\x1b"
        );
    }

    #[test]
    fn digits_are_in_groups_of_three() {
        let numbers = [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }
}
