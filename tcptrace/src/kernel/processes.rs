//! What /proc tells of a process that holds a socket.

use std::{
    fs::{self, File},
    io::Read as _,
};

use crate::event::{Holder, ProcessDetails};

/// Command line and cgroup of the process with this descriptor; `None` if it is gone or has it no
/// more: its pid may name another process by now, and in a pid namespace of our own another one
/// altogether.
#[must_use]
pub fn details(holder: &Holder) -> Option<ProcessDetails> {
    let pid = holder.process.pid;
    let cmdline = cmdline(pid);
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let target = fs::read_link(format!("/proc/{pid}/fd/{}", holder.fd)).ok()?;
    let is_it = target.as_os_str() == format!("socket:[{}]", holder.inode).as_str();
    is_it.then(|| ProcessDetails {
        pid,
        cmdline,
        cgroup: cgroup.as_deref().and_then(path_in).map(ToOwned::to_owned),
    })
}

fn cmdline(pid: u32) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut bytes = Vec::new();
    file.take(ProcessDetails::MAX_CMDLINE as u64).read_to_end(&mut bytes).ok()?;
    // A kernel thread has none.
    (!bytes.is_empty()).then_some(bytes)
}

/// The path of the unified hierarchy, `0::/path`; without one (cgroup v1) the longest there is.
pub(super) fn path_in(cgroups: &str) -> Option<&str> {
    let paths = cgroups.lines().filter_map(|line| Some((line, line.splitn(3, ':').nth(2)?)));
    let rank = |(line, path): &(&str, &str)| (line.starts_with("0::") && *path != "/", path.len());
    paths.max_by_key(rank).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::path_in;

    #[test]
    fn the_unified_hierarchy_comes_first() {
        for (text, path) in [
            ("0::/system.slice/nginx.service\n", Some("/system.slice/nginx.service")),
            ("12:cpu:/docker/0123\n1:name=systemd:/\n0::/\n", Some("/docker/0123")),
            ("12:cpu:/docker/0123\n0::/a\n", Some("/a")),
            ("0::/\n", Some("/")),
            ("", None),
        ] {
            assert_eq!(path_in(text), path);
        }
    }
}
