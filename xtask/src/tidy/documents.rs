//! The documents that every change may have to touch are there.

use super::{Finding, Repository};

/// Each document with a line it must have; an empty one is any.
const DOCUMENTS: &[(&str, &str)] = &[
    ("ARCHITECTURE.md", ""),
    ("CHANGELOG.md", "## Unreleased"),
    ("CONTRIBUTING.md", ""),
    ("LICENSE-APACHE", ""),
    ("LICENSE-MIT", ""),
    ("README.md", ""),
];

/// Looks for the documents and their lines.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, wanted) in DOCUMENTS {
        match repository.text(path) {
            None => findings.push(Finding::in_file(path, "is missing")),
            Some(text) if !text.lines().any(|line| wanted.is_empty() || line == *wanted) => {
                findings.push(Finding::in_file(path, format!("has no line `{wanted}`")));
            }
            Some(_) => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(changelog: &str) -> Repository {
        let text = |path| if path == "CHANGELOG.md" { changelog } else { "# A title\n" };
        let files: Vec<(&str, &str)> =
            DOCUMENTS.iter().map(|(path, _)| (*path, text(*path))).collect();
        Repository::sample(&files)
    }

    #[test]
    fn all_documents_pass() {
        assert!(check(&sample("# Changelog\n\n## Unreleased\n")).is_empty());
    }

    #[test]
    fn a_missing_document_and_a_missing_section_are_found() {
        assert_eq!(check(&Repository::sample(&[])).len(), DOCUMENTS.len());
        assert_eq!(
            check(&sample("# Changelog\n\n## 0.1.0\n")),
            [Finding::in_file("CHANGELOG.md", "has no line `## Unreleased`")]
        );
    }
}
