//! Modules of `tcptrace` use only what [`BOUNDARIES`] lets them use.
//!
//! Tests within the modules are under the same rules; crates that only tests use
//! (`[dev-dependencies]`) are always allowed.

use super::{Finding, Repository, boundary_table::BOUNDARIES, dependencies, rust_paths};

const SOURCE: &str = "tcptrace/src/";
const MANIFEST: &str = "tcptrace/Cargo.toml";

/// Compares every path the modules name with the table.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let crates: Vec<String> = dependencies::named_in(repository.text(MANIFEST).unwrap_or_default())
        .map(|dependency| dependency.name.replace('-', "_"))
        .collect();
    let own_modules: Vec<&str> =
        repository.files.iter().filter_map(|file| Some(module_path(&file.path)?[0])).collect();
    let mut findings = Vec::new();
    for file in &repository.files {
        let Some(module) = module_path(&file.path) else { continue };
        for named in rust_paths::named_paths(&file.text, &module) {
            for boundary in BOUNDARIES.iter().filter(|boundary| boundary.is_about(module[0])) {
                let entry = boundary.forbids(&named.path);
                // What is only not allowed must be known as a module or crate: `Vec::new` is none.
                if entry.is_some_and(|entry| {
                    !entry.is_empty() || is_foreign(&named.path, &own_modules, &crates)
                }) {
                    let message = format!("`{}` has no place here: {}", named.path, boundary.why);
                    findings.push(Finding::in_line(&file.path, named.line, message));
                }
            }
        }
    }
    findings
}

/// Whether the path leads to another module of this crate or to another crate.
fn is_foreign(path: &str, own_modules: &[&str], crates: &[String]) -> bool {
    let mut segments = path.split("::");
    match (segments.next(), segments.next()) {
        (Some("crate"), Some(module)) => own_modules.contains(&module),
        (Some(head), _) => crates.iter().any(|name| name == head),
        (None, _) => false,
    }
}

/// The module a source file of `tcptrace` holds: `model/detectors/mod.rs` is `model`, `detectors`.
fn module_path(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix(SOURCE)?.strip_suffix(".rs")?;
    Some(path.strip_suffix("/mod").unwrap_or(path).split('/').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<Option<usize>> {
        let repository = Repository::sample(&[
            (MANIFEST, "[dependencies]\naya = \"1\"\nipnet = \"2\"\nserde_json = \"1\"\n"),
            ("tcptrace/src/commands/mod.rs", ""),
            ("tcptrace/src/kernel/mod.rs", ""),
            ("tcptrace/src/output/mod.rs", ""),
            ("tcptrace/src/time.rs", ""),
            (path, text),
        ]);
        check(&repository).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_pure_model_passes() {
        let text = "use std::{collections::HashMap, net::IpAddr, time::Duration};\n\
                    use ipnet::IpNet;\nuse crate::{event::Event, time::Timestamp};\n\
                    use super::connection::Connection;\n\
                    //! Not a word of crate::kernel or std::fs is code.\n\
                    mod tests { use super::*; use proptest::prelude::*; }";
        assert!(lines("tcptrace/src/model/tracker.rs", text).is_empty());
    }

    #[test]
    fn input_output_and_clocks_are_found_in_the_model() {
        let text = "use std::{fs,\n time::{Duration, Instant}};\n\
                    fn f() { println!(); }\nuse serde_json as json;\nuse crate::kernel::Ring;\n";
        assert_eq!(
            lines("tcptrace/src/model/tracker.rs", text),
            [Some(1), Some(2), Some(3), Some(4), Some(5)]
        );
    }

    #[test]
    fn the_filter_is_all_that_the_kernel_takes_from_the_model() {
        let path = "tcptrace/src/kernel/loader.rs";
        assert!(lines(path, "use aya::Ebpf;\nuse crate::model::filter::Filter;").is_empty());
        assert_eq!(lines(path, "use crate::model::{filter::Filter,\n tracker};"), [Some(2)]);
    }

    #[test]
    fn aya_stays_in_the_kernel_module() {
        assert_eq!(lines("tcptrace/src/output/json.rs", "type A = aya::Ebpf;"), [Some(1)]);
        assert_eq!(lines("tcptrace/src/main.rs", "use aya::Ebpf;"), [Some(1)]);
        assert!(lines("tcptrace/src/main.rs", "use ayacucho::Ebpf;").is_empty());
    }

    #[test]
    fn only_the_entry_uses_commands() {
        let text = "use crate::commands::watch;";
        assert!(lines("tcptrace/src/cli.rs", text).is_empty());
        assert_eq!(lines("tcptrace/src/pipeline.rs", text), [Some(1)]);
    }

    #[test]
    fn a_test_module_sees_the_file_around_it() {
        let text = "fn now() {} mod tests { use super::*; fn f() { super::now(); } }";
        assert!(lines("tcptrace/src/time.rs", text).is_empty());
        assert_eq!(lines("tcptrace/src/time.rs", "use super::output::json;"), [Some(1)]);
    }
}
