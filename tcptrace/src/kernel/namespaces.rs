//! Network namespaces: finding them, and working inside one.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Our own network namespace.
const OWN: &str = "/proc/self/ns/net";
/// Where `ip netns` and container runtimes bind namespaces that may have no process.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
/// Inode number of the pid namespace that the system began with (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Inode number of the network namespace at `path`.
///
/// # Errors
/// If there is nothing at `path` or it cannot be looked at.
pub fn inode_of(path: &Path) -> Result<u32> {
    let metadata = fs::metadata(path)
        .with_context(|| format!("no network namespace at {}", path.display()))?;
    u32::try_from(metadata.ino())
        .with_context(|| format!("{} is not a network namespace", path.display()))
}

/// Inode number of our own network namespace.
///
/// # Errors
/// If /proc is not mounted.
pub fn own() -> Result<u32> {
    inode_of(Path::new(OWN))
}

/// Every network namespace that a process lives in or that is bound to a name, opened, so that none
/// goes before we come to it. Namespaces kept alive by a descriptor alone are not found. Processes
/// that end meanwhile, or that we may not look at, are passed over.
pub fn all() -> BTreeMap<u32, File> {
    let mut found = BTreeMap::new();
    let mut add = |path: PathBuf| {
        // Most processes live where others do, so looking comes before opening.
        if let Ok(inode) = inode_of(&path)
            && let Entry::Vacant(entry) = found.entry(inode)
            && let Ok(file) = File::open(path)
            && file.metadata().is_ok_and(|metadata| metadata.ino() == u64::from(inode))
        {
            entry.insert(file);
        }
    };
    add(PathBuf::from(OWN));
    for folder in NAMED {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            add(entry.path());
        }
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            add(entry.path().join("ns/net"));
        }
    }
    found
}

/// Whether our pid is what every process knows us by.
pub(super) fn in_initial_pid_namespace() -> bool {
    fs::metadata("/proc/self/ns/pid")
        .is_ok_and(|namespace| namespace.ino() == INITIAL_PID_NAMESPACE)
}

/// Runs `work` once inside each namespace, on a thread of its own, so that this one stays where it
/// is. Returns the namespaces that could be entered, with what `work` gave.
pub fn inside_each<T: Send>(
    namespaces: &BTreeMap<u32, File>,
    mut work: impl FnMut(u32) -> Result<T> + Send,
) -> Vec<(u32, Result<T>)> {
    let own = own().ok();
    let result = thread::scope(|scope| {
        scope
            .spawn(|| {
                // Our own comes first, before the thread has moved.
                let mut order: Vec<_> = namespaces.iter().collect();
                order.sort_by_key(|&(&inode, _)| (Some(inode) != own, inode));
                order
                    .into_iter()
                    .map(|(&inode, file)| {
                        let entered = if Some(inode) == own { Ok(()) } else { enter(inode, file) };
                        (inode, entered.and_then(|()| work(inode)))
                    })
                    .collect::<Vec<_>>()
            })
            .join()
    });
    result.unwrap_or_else(|_| vec![(0, Err(anyhow!("the thread that visits namespaces died")))])
}

fn enter(inode: u32, file: &File) -> Result<()> {
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("cannot enter the network namespace {inode}"))
}
