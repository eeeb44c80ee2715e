//! The place of the table in the README, between two marks.

use anyhow::{Result, ensure};

const BEGIN: &str = "<!-- begin: written by `cargo xtask vm` -->\n";
const END: &str = "<!-- end: written by `cargo xtask vm` -->\n";

/// The README with another table between its marks.
///
/// # Errors
/// If a mark is missing, is there twice, or stands on the wrong side of the other.
pub(super) fn with_table(readme: &str, table: &str) -> Result<String> {
    let (before, after) = around(readme)?;
    Ok(format!("{before}{BEGIN}```text\n{table}```\n{END}{after}"))
}

/// What stands before and after the marks.
fn around(readme: &str) -> Result<(&str, &str)> {
    for mark in [BEGIN, END] {
        ensure!(
            readme.matches(mark).count() == 1,
            "the README must have one line `{}`; put it around the table of kernels",
            mark.trim_end()
        );
    }
    let (before, rest) = readme.split_once(BEGIN).unwrap_or_default();
    let parts = rest.split_once(END);
    ensure!(
        parts.is_some(),
        "the marks of the README's table of kernels stand the wrong way round"
    );
    Ok((before, parts.unwrap_or_default().1))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        let written = with_table(&readme, "new\n").unwrap();
        assert_eq!(written, format!("before\n{BEGIN}```text\nnew\n```\n{END}after\n"));
        assert_eq!(with_table(&written, "new\n").unwrap(), written);
    }

    #[test]
    fn broken_marks_are_told() {
        for broken in [
            "no marks\n".to_owned(),
            format!("{BEGIN}table\n"),
            format!("{END}table\n{BEGIN}"),
            format!("{BEGIN}{BEGIN}table\n{END}"),
        ] {
            assert!(with_table(&broken, "").is_err(), "{broken}");
        }
    }

    #[test]
    fn the_readme_has_the_table_that_a_run_wrote() {
        let readme = fs::read_to_string(project::root().unwrap().join("README.md")).unwrap();
        let (before, after) = around(&readme).unwrap();
        let table = &readme[before.len() + BEGIN.len()..readme.len() - after.len() - END.len()];
        let table = table.strip_prefix("```text\nkernel ").expect("a table begins with its head");
        assert!(table.ends_with("```\n"));
        for line in table.lines() {
            assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
        }
    }
}
