//! Rust source without what is not code.

/// The same text with comments and the contents of literals blanked out: what is left are code
/// and line ends, so that positions still count.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = length_of_non_code(rest);
        if blank == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..blank].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    code
}

/// How many bytes of comment or literal `rest` starts with.
fn length_of_non_code(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if let Some(literal) = rest.strip_prefix('"') {
        return 1 + quoted(literal, '"');
    }
    if let Some(literal) = rest.strip_prefix('\'') {
        return character(literal).map_or(0, |length| 1 + length);
    }
    if rest.starts_with('r') { raw_string(rest) } else { 0 }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            let Some(other) = here.chars().next() else { return at };
            at += other.len_utf8();
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The length of a literal up to and with its closing quote.
fn quoted(literal: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in literal.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

/// The length of a character literal, or `None` for a lifetime, which starts alike.
fn character(literal: &str) -> Option<usize> {
    let mut chars = literal.chars();
    let first = chars.next()?;
    (first == '\\' || chars.next() == Some('\'')).then(|| quoted(literal, '\''))
}

/// The length of a raw string, or 0 if this `r` only is a letter. A letter of a word it may also be
/// when a string follows (`br"…"`), but never of a word that is a name: Rust reserves those.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    let opening = 1 + hashes + 1;
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    let body = &rest[opening..];
    body.find(&closing).map_or(rest.len(), |at| opening + at + closing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_blank_and_lines_stay() {
        assert_eq!(code_only("a // b\nc /* d /* e */ \n */ f"), "a     \nc              \n    f");
    }

    #[test]
    fn literals_are_blank() {
        assert_eq!(code_only(r#"f("a\"b") g"#), "f(      ) g");
        assert_eq!(code_only("f(r#\"a\"b\"#) g"), "f(        ) g");
        assert_eq!(code_only(r"f('\'', 'x') g"), "f(    ,    ) g");
    }

    #[test]
    fn lifetimes_and_names_are_code() {
        for code in ["fn f<'a>(x: &'a str) {}", "let for_r = var + r;", "r#type", "br"] {
            assert_eq!(code_only(code), code);
        }
    }
}
