//! Network namespaces of loads.
//!
//! A namespace belongs to the processes of its load alone and goes with them, however they end.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Settings of the namespace. Few sockets may stay in TIME_WAIT, or they would pile up by millions.
const SETTINGS: [(&str, &str); 2] =
    [("net/ipv4/tcp_max_tw_buckets", "1000"), ("net/ipv4/ip_local_port_range", "1024 65000")];

/// Moves this process into a new namespace with a loopback that works.
pub(crate) fn enter_a_new_one() -> Result<()> {
    // SAFETY: only descriptor tables (CLONE_FILES) are unsafe to unshare; this is another flag.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("cannot make a network namespace")?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    let status = status.context("cannot start `ip`; install iproute2")?;
    ensure!(status.success(), "`ip link set lo up` failed ({status})");
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/{name}");
        fs::write(&path, value).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
