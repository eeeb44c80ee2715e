//! Pages as text: a little of Markdown, wrapped.
//!
//! A page is blocks with empty lines between: `# title`, `## heading`, paragraphs, lists of lines
//! that begin with `- `, and lines that stand as they are, indented by four. `= net.ipv4.… …` is a
//! table of settings, `= all` that of all. A word in braces is told by [`settings::derived`].

use std::borrow::Cow;

use bytes::BytesMut;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::{WIDTH, pages::Page, settings};
use crate::{
    event::{Sysctl, Sysctls},
    output::{row::Row, table::color},
};

/// Before all text that is no heading.
const INDENT: &str = "  ";

/// Writes a page with the values of this machine.
pub fn page(out: &mut BytesMut, color: bool, page: &Page, values: &Sysctls) {
    for (index, block) in page.text.trim_end().split("\n\n").enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\n");
        }
        if let Some(names) = block.strip_prefix("= ") {
            settings::table(out, color, values, &listed(names));
            continue;
        }
        for line in block.lines() {
            let heading = line.strip_prefix("## ").or_else(|| line.strip_prefix("# "));
            if let Some(heading) = heading {
                let mut row = Row::new(out);
                row.painted(color::of_head(color), heading);
                row.end();
            } else if line.starts_with("    ") {
                self::line(out, line);
            } else {
                wrapped(out, &filled_in(line, values));
            }
        }
    }
}

/// The settings that a block names; what is no setting's name is left out.
fn listed(names: &str) -> Vec<Sysctl> {
    if names == "all" {
        return Sysctl::ALL.to_vec();
    }
    names.split_whitespace().filter_map(Sysctl::from_name).collect()
}

/// Writes a paragraph, or an entry of a list, whose further lines are indented under its first.
fn wrapped(out: &mut BytesMut, text: &str) {
    let further = if text.starts_with("- ") { "    " } else { INDENT };
    let options = Options::new(WIDTH)
        .initial_indent(INDENT)
        .subsequent_indent(further)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options) {
        self::line(out, &line);
    }
}

fn line(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n");
}

/// The text with what its words in braces stand for.
fn filled_in<'a>(text: &'a str, values: &Sysctls) -> Cow<'a, str> {
    let Some((before, (name, after))) =
        text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return Cow::Borrowed(text);
    };
    let value = settings::derived(name, values).unwrap_or_else(|| "-".to_owned());
    Cow::Owned(format!("{before}{value}{}", filled_in(after, values)))
}

#[cfg(test)]
mod tests {
    use super::{BytesMut, Page, Sysctl, Sysctls, page};

    fn written(text: &'static str) -> String {
        let mut out = BytesMut::new();
        let values = Sysctls::new(1, [(Sysctl::TcpFinTimeout, "100".to_owned())]);
        page(&mut out, false, &Page { topic: None, states: &[], text }, &values);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn each_kind_of_block_has_its_form() {
        let text = "# Title\n\nA paragraph of words that is longer than a line of eighty columns \
                    can be, and so is wrapped.\n\n## Heading\n\n- An entry that is longer than a \
                    line as well, by a word or two, or three.\n- Next\n\n    as it stands\n\n\
                    = net.ipv4.tcp_fin_timeout net.ipv4.tcp_retries2\n";
        insta::assert_snapshot!(written(text));
    }

    #[test]
    fn words_in_braces_are_filled_in() {
        let text = "It lasts {orphan lifetime}, with {local ports} ports and {nothing}. {open";
        assert_eq!(written(text), "  It lasts 80 s, with - ports and -. {open\n");
    }
}
