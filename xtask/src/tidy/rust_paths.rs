//! The paths that Rust code names: `use` trees taken apart, paths within expressions, macros.

use super::rust_source::code_only;

/// A path, and the line where it ends.
#[derive(Debug, PartialEq)]
pub(super) struct NamedPath {
    /// For example `crate::model::filter`; a macro is named with its mark, as in `println!`.
    pub(super) path: String,
    pub(super) line: usize,
}

/// All paths in `text`. `module` is the file's own module path, as in `["model", "tracker"]`;
/// leading `self` and `super` are resolved against it.
pub(super) fn named_paths(text: &str, module: &[&str]) -> Vec<NamedPath> {
    let code = code_only(text);
    let mut scanner = Scanner { rest: &code, line: 1, module, found: Vec::new() };
    scanner.scan();
    scanner.found
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    module: &'a [&'a str],
    found: Vec<NamedPath>,
}

impl<'a> Scanner<'a> {
    fn scan(&mut self) {
        while !self.rest.is_empty() {
            let Some(word) = self.word() else {
                self.skip();
                continue;
            };
            if word == "use" {
                self.blanks();
                self.accept("::");
                self.use_tree(&[]);
            } else if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
                self.report(&[&format!("{word}!")]);
            } else {
                self.path_in_code(word);
            }
        }
    }

    /// One tree of a `use`: a path, possibly with a group at its end.
    fn use_tree(&mut self, prefix: &[&'a str]) {
        let mut path = prefix.to_vec();
        loop {
            self.blanks();
            if self.accept("{") {
                while !self.rest.is_empty() && !self.accept("}") {
                    self.use_tree(&path);
                    // A renaming (`as name`), the comma, and the blanks around them.
                    let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
                    self.advance(end);
                    self.accept(",");
                    self.blanks();
                }
                return;
            }
            let Some(word) = self.word() else { break };
            // `a::{self}` names `a`; a leading `self` is a module.
            if word != "self" || path.is_empty() {
                path.push(word);
            }
            if !self.accept("::") {
                break;
            }
        }
        self.report(&path);
    }

    /// A path outside of `use`. One word alone is a local name, and no matter.
    fn path_in_code(&mut self, first: &'a str) {
        let mut path = vec![first];
        while self.accept("::") {
            let Some(word) = self.word() else { break };
            path.push(word);
        }
        if path.len() > 1 {
            self.report(&path);
        }
    }

    fn report(&mut self, path: &[&str]) {
        let mut path = path.to_vec();
        if matches!(path.first(), Some(&("self" | "super"))) {
            let mut base = self.module.to_vec();
            while let Some(&("self" | "super")) = path.first() {
                if path.remove(0) == "super" {
                    base.pop();
                }
            }
            path.splice(..0, base);
            path.insert(0, "crate");
        }
        if !path.is_empty() {
            self.found.push(NamedPath { path: path.join("::"), line: self.line });
        }
    }

    /// Takes an identifier, if there is one here.
    fn word(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest.starts_with(token);
        if found {
            self.advance(token.len());
        }
        found
    }

    fn blanks(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start().len());
    }

    fn skip(&mut self) {
        self.advance(self.rest.chars().next().map_or(0, char::len_utf8));
    }

    fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let module = ["model", "tracker"];
        named_paths(text, &module).into_iter().map(|named| named.path).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        assert_eq!(
            paths("use std::{fs, io::{self, Read as _}, net::*};\nuse aya;"),
            ["std::fs", "std::io", "std::io::Read", "std::net", "aya"]
        );
    }

    #[test]
    fn paths_in_code_are_found_and_local_names_are_not() {
        assert_eq!(
            paths("let x: Vec<crate::kernel::Ring> = ::tokio::spawn(y);"),
            ["crate::kernel::Ring", "tokio::spawn"]
        );
    }

    #[test]
    fn macros_carry_their_mark() {
        assert_eq!(paths("if a != b { println!(c) }"), ["println!"]);
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(
            paths("use super::connection::Id; use self::inner::A; use super::super::kernel;"),
            ["crate::model::connection::Id", "crate::model::tracker::inner::A", "crate::kernel"]
        );
    }

    #[test]
    fn lines_are_counted_in_groups_too() {
        let found = named_paths("use crate::{\n    event,\n    kernel,\n};\n", &[]);
        let lines: Vec<usize> = found.iter().map(|named| named.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
