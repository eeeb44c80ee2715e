//! `cargo xtask tidy`: the rules of this house that no compiler and no lint knows.
//!
//! A rule is a function from the files of the repository to findings. Each has a file of its own,
//! with what it allows as a table at the top; to add a rule, write one and name it in [`RULES`].

use std::fmt;

use anyhow::{Result, ensure};

use crate::project;
use repository::Repository;

mod banned_text;
mod boundaries;
mod boundary_table;
mod dependencies;
mod documents;
mod file_length;
mod private_places;
mod repository;
mod rust_paths;
mod rust_source;
mod snapshots;
mod subcommands;

/// A rule: its name, and the check.
type Rule = (&'static str, fn(&Repository) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("boundaries", boundaries::check),
    ("file length", file_length::check),
    ("banned text", banned_text::check),
    ("subcommands", subcommands::check),
    ("dependencies", dependencies::check),
    ("private places", private_places::check),
    ("documents", documents::check),
    ("snapshots", snapshots::check),
];

/// Checks every rule on every file, and fails if there is a finding.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    let repository = Repository::read(&project::root()?)?;
    let mut count = 0;
    for (rule, check) in RULES {
        for finding in check(&repository) {
            eprintln!("{finding} [{rule}]");
            count += 1;
        }
    }
    ensure!(count == 0, "{count} findings; mend them, or extend the table of the rule");
    eprintln!("tidy: {} rules hold in {} files", RULES.len(), repository.files.len());
    Ok(())
}

/// A breach of a rule: where, and what to do about it.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// Counted from one; `None` if the finding is about the file as a whole.
    line: Option<usize>,
    message: String,
}

impl Finding {
    fn in_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), message: message.into() }
    }

    fn in_file(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}
