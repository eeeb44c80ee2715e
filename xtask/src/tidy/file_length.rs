//! Source files stay short enough to be read in one go.

use super::{Finding, Repository};

const LIMIT: usize = 400;

/// Files that may be longer, each with the reason.
const LONGER: &[(&str, &str)] = &[];

/// Counts the lines of every Rust file.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repository.ending_in(".rs") {
        let lines = file.text.lines().count();
        if lines > LIMIT && !LONGER.iter().any(|(path, _reason)| *path == file.path) {
            let message = format!("{lines} lines; split what is over {LIMIT} by topic");
            findings.push(Finding::in_file(&file.path, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_source_file_is_found() {
        let fits = "\n".repeat(LIMIT);
        let long = "\n".repeat(LIMIT + 1);
        let repository =
            Repository::sample(&[("fits.rs", &fits), ("long.rs", &long), ("long.snap", &long)]);
        let findings = check(&repository);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "long.rs");
    }
}
