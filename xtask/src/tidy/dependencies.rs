//! Every crate we depend on has a line in CONTRIBUTING.md that says why.

use std::collections::HashSet;

use super::{Finding, Repository};

const REASONS: &str = "CONTRIBUTING.md";

/// A dependency that a manifest names.
pub(super) struct Dependency<'a> {
    pub(super) name: &'a str,
    line: usize,
}

/// Looks for a table row `` | `name` | `` in CONTRIBUTING.md for every dependency.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let reasons = repository.text(REASONS).unwrap_or_default();
    // Crates of this workspace, which lie in directories of their names, need no reason.
    let is_ours = |name: &str| repository.text(&format!("{name}/Cargo.toml")).is_some();
    let mut seen = HashSet::new();
    let mut findings = Vec::new();
    for manifest in repository.ending_in("Cargo.toml") {
        for Dependency { name, line } in all_in(&manifest.text) {
            let reason = format!("| `{name}` |");
            if seen.insert(name) && !is_ours(name) && !reasons.contains(&reason) {
                let message = format!("say in {REASONS} what `{name}` is for");
                findings.push(Finding::in_line(&manifest.path, line, message));
            }
        }
    }
    findings
}

/// What the code of a crate may name: `[dependencies]`, and those of single targets.
pub(super) fn named_in(manifest: &str) -> impl Iterator<Item = Dependency<'_>> {
    in_sections(manifest, |section| section == "dependencies" || section.ends_with(".dependencies"))
}

fn all_in(manifest: &str) -> impl Iterator<Item = Dependency<'_>> {
    in_sections(manifest, |section| section.ends_with("dependencies"))
}

/// Reads as much of TOML as manifests use: a header in brackets, then a dependency a line.
fn in_sections(manifest: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = Dependency<'_>> {
    let mut inside = false;
    manifest.lines().enumerate().filter_map(move |(index, text)| {
        if let Some(header) = text.strip_prefix('[') {
            inside = wanted(header.trim_end().trim_end_matches(']'));
            return None;
        }
        let (key, _) = text.split_once('=')?;
        let name = key.trim().split('.').next()?;
        let is_name = name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
        (inside && is_name).then_some(Dependency { name, line: index + 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"x\"\n\n[dependencies]\n# why = \"not\"\n\
        anyhow = { workspace = true }\nours = { path = \"../ours\" }\n\n\
        [target.'cfg(target_arch = \"bpf\")'.dependencies]\naya-ebpf.workspace = true\n\n\
        [dev-dependencies]\ninsta = { version = \"1\", features = [\n    \"json\",\n] }\n";

    fn sample(reasons: &str) -> Repository {
        // The second crate repeats the dependencies of the first.
        Repository::sample(&[
            ("ours/Cargo.toml", MANIFEST),
            ("x/Cargo.toml", MANIFEST),
            (REASONS, reasons),
        ])
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let reasons = "| crate | why |\n| `anyhow` | errors |\n";
        let repository = sample(reasons);
        let found: Vec<String> = check(&repository).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "ours/Cargo.toml:10: say in CONTRIBUTING.md what `aya-ebpf` is for",
                "ours/Cargo.toml:13: say in CONTRIBUTING.md what `insta` is for",
            ]
        );
    }

    #[test]
    fn reasons_for_all_of_them_pass() {
        let reasons = "| `anyhow` | errors |\n| `aya-ebpf` | programs |\n| `insta` | tests |\n";
        let repository = sample(reasons);
        assert!(check(&repository).is_empty());
    }

    #[test]
    fn what_only_tests_use_is_not_named_by_code() {
        let names: Vec<&str> = named_in(MANIFEST).map(|dependency| dependency.name).collect();
        assert_eq!(names, ["anyhow", "ours", "aya-ebpf"]);
    }
}
