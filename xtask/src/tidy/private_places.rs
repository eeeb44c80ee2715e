//! Nothing in the repository points at somebody's machine or at one way to fetch packages.

use super::{Finding, Repository};

/// Directories of development machines. Put together from two parts each, as below, so that this
/// file does not break its own rule.
const DIRECTORIES: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Hosts packages are fetched from: which one is used is for the configuration of each machine.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("proxy.golang", ".org"),
    concat!("py", "pi.org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js.org"),
    concat!("deb.deb", "ian.org"),
    concat!("static.rust-", "lang.org"),
];

/// The one source that the lock file may name. It is a name rather than a place: cargo writes it
/// whichever mirror the crates came from.
const LOCK_FILE: &str = "Cargo.lock";
const LOCK_SOURCE: &str =
    concat!("\"registry+https://github.com/rust-", "lang/crates", ".io-index\"");

/// Looks through every text file.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &repository.files {
        for (index, line) in file.text.lines().enumerate() {
            let found = if file.path.ends_with(LOCK_FILE) {
                line.strip_prefix("source = ").filter(|source| *source != LOCK_SOURCE)
            } else {
                private_place(line)
            };
            if let Some(place) = found {
                let message = format!("`{place}` does not belong in the repository");
                findings.push(Finding::in_line(&file.path, index + 1, message));
            }
        }
    }
    findings
}

fn private_place(line: &str) -> Option<&'static str> {
    let directory = DIRECTORIES.iter().find(|directory| {
        line.match_indices(**directory).any(|(at, _)| is_start_of_path(&line[..at]))
    });
    directory.or_else(|| HOSTS.iter().find(|host| line.contains(**host))).copied()
}

/// Whether a path that follows `before` is absolute, not a part of a longer one.
fn is_start_of_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || "_-.~}*".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<Option<usize>> {
        check(&Repository::sample(&[(path, text)])).into_iter().map(|f| f.line).collect()
    }

    #[test]
    fn places_of_one_machine_are_found() {
        for place in DIRECTORIES.iter().chain(HOSTS) {
            let text = format!("first\nsee {place}x and (file://{place}y)");
            assert_eq!(lines("README.md", &text), [Some(2)], "{place}");
        }
    }

    #[test]
    fn parts_of_longer_paths_pass() {
        let text = format!("target{}x $HOME{}", DIRECTORIES[0], DIRECTORIES[1]);
        assert!(lines("README.md", &text).is_empty());
    }

    #[test]
    fn the_lock_file_names_the_usual_source_only() {
        let usual = format!("name = \"a\"\nsource = {LOCK_SOURCE}\n");
        assert!(lines(LOCK_FILE, &usual).is_empty());
        let mirror = "name = \"a\"\nsource = \"registry+https://mirror.example/index\"\n";
        assert_eq!(lines(LOCK_FILE, mirror), [Some(2)]);
    }
}
