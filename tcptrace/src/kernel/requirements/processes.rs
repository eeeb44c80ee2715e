//! Whether /proc shows the processes of the whole system: network namespaces are found by them.

use std::{fs, io::ErrorKind, path::Path, process};

use rustix::thread::CapabilitySet;

use super::{Requirement, Status, good};
use crate::kernel::{namespaces, privileges};

const FIX: &str = "run it with sudo, or give it CAP_SYS_PTRACE";

/// A line about /proc.
pub(super) fn seen() -> Requirement {
    const NAME: &str = "processes";
    let (found, fix) = if let Some(problem) = problem() {
        (problem, FIX)
    } else if shows_a_part() {
        let found = "/proc has those of this pid namespace alone".to_owned();
        (found, "run it outside, or as a container with --pid=host")
    } else {
        return good(NAME, "all are seen that any privilege shows");
    };
    Requirement {
        name: NAME,
        status: Status::Limited,
        found: format!("{found}: network namespaces of others may be missed"),
        fix: Some(fix.to_owned()),
    }
}

/// What hides processes from us for want of `CAP_SYS_PTRACE`, if anything does, and the fix. What a security
/// module hides even from root is nobody's to change.
#[must_use]
pub fn hidden() -> Option<String> {
    problem().map(|problem| format!("{problem}; {FIX}"))
}

fn problem() -> Option<String> {
    if privileges::held().is_ok_and(|held| held.contains(CapabilitySet::SYS_PTRACE)) {
        return None;
    }
    if !Path::new("/proc/1").exists() {
        return Some("/proc hides processes of other users (hidepid)".to_owned());
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let closed = processes.filter(|process| {
        let namespace = fs::metadata(process.path().join("ns/net"));
        namespace.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    });
    match closed.count() {
        0 => None,
        count => Some(format!("{count} processes may not be looked at")),
    }
}

/// Whether we live in a pid namespace and see its /proc. In that of the outside our number is another.
fn shows_a_part() -> bool {
    let is_ours = fs::read_link("/proc/self")
        .is_ok_and(|link| link.as_os_str() == process::id().to_string().as_str());
    is_ours && !namespaces::in_initial_pid_namespace()
}
