//! No snapshot waits for review: it would hide that the one beside it is out of date.

use super::{Finding, Repository};

const PENDING: &[&str] = &[".snap.new", ".pending-snap"];

/// Looks for the files that insta leaves beside a snapshot that did not match.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let pending = PENDING.iter().flat_map(|end| repository.ending_in(end));
    pending.map(|file| Finding::in_file(&file.path, "review it, then accept or delete")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_under_review_are_found() {
        let repository =
            Repository::sample(&[("a.snap", ""), ("a.snap.new", ""), (".b.rs.pending-snap", "")]);
        let paths: Vec<String> = check(&repository).into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["a.snap.new", ".b.rs.pending-snap"]);
    }
}
