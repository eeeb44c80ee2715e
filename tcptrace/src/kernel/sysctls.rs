//! The kernel's settings.

use std::{fs, path::Path};

use super::namespaces;
use crate::event::{Sysctl, Sysctls};

/// The settings of our own network namespace. Needs no privilege; what cannot be read is left out.
#[must_use]
pub fn own() -> Sysctls {
    read(namespaces::own().unwrap_or_default())
}

/// The settings of these network namespaces; those that cannot be entered are left out.
#[must_use]
pub fn of(netns: &[u32]) -> Vec<Sysctls> {
    if netns.is_empty() {
        return Vec::new();
    }
    let mut wanted = namespaces::all();
    wanted.retain(|inode, _| netns.contains(inode));
    let read = namespaces::inside_each(&wanted, |inode| Ok(read(inode)));
    read.into_iter().filter_map(|(_, sysctls)| sysctls.ok()).collect()
}

/// The settings of the calling thread's network namespace, whose inode number is `netns`.
pub(super) fn read(netns: u32) -> Sysctls {
    let root = Path::new("/proc/sys");
    let values = Sysctl::ALL.iter().filter_map(|&sysctl| {
        let path = root.join(sysctl.name().replace('.', "/"));
        Some((sysctl, fs::read_to_string(path).ok()?))
    });
    Sysctls::new(netns, values)
}
