//! What this machine must allow, and the fix for what it does not.

mod capabilities;
mod memlock;
mod processes;

use std::{fs, io, path::Path};

use anyhow::{Error, anyhow};
use procfs::KernelVersion;

use super::{loader, tracepoint_format};
pub(super) use memlock::raise as raise_memlock_limit;
pub use processes::hidden as hidden_processes;

/// The oldest kernel with a ring buffer and the boot-time clock helper.
const OLDEST: KernelVersion = KernelVersion { major: 5, minor: 8, patch: 0 };

/// How a requirement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Good,
    /// Tracing works, but something is missing.
    Limited,
    /// Tracing cannot work.
    Missing,
}

/// One thing that tracing needs.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do about it, where something should be done.
    pub fix: Option<String>,
}

/// Looks at everything that can be looked at without loading a program.
#[must_use]
pub fn check() -> Vec<Requirement> {
    let mut found = vec![build(), kernel()];
    found.extend(capabilities::all());
    found.extend([btf(), tracefs(), lockdown(), perf_event_paranoid()]);
    found.extend(memlock::limit());
    found.push(processes::seen());
    found
}

/// Turns a failure to start into what is missing and the fix; the chain behind it stays for `-v`.
pub(super) fn explain(error: &Error) -> Error {
    log::debug!("{error:?}");
    let missing = check().into_iter().find(|requirement| requirement.status == Status::Missing);
    match missing {
        Some(Requirement { name, found, fix, .. }) => {
            let fix = fix.unwrap_or_else(|| "see `tcptrace doctor`".to_owned());
            anyhow!("cannot trace: {name}: {found}; {fix}")
        }
        None => anyhow!(
            "cannot trace: the kernel refused ({}); `tcptrace doctor` tells what this machine allows",
            error.root_cause()
        ),
    }
}

fn good(name: &'static str, found: impl Into<String>) -> Requirement {
    Requirement { name, status: Status::Good, found: found.into(), fix: None }
}

fn build() -> Requirement {
    const NAME: &str = "kernel programs";
    if loader::has_programs() {
        return good(NAME, "in this build");
    }
    Requirement {
        name: NAME,
        status: Status::Missing,
        found: "this build was made without them".to_owned(),
        fix: Some("build again with `cargo xtask run`, or without TCPTRACE_SKIP_EBPF".to_owned()),
    }
}

fn kernel() -> Requirement {
    const NAME: &str = "kernel";
    match KernelVersion::current() {
        Ok(version) if version < OLDEST => Requirement {
            name: NAME,
            status: Status::Missing,
            found: format!("Linux {}.{} is too old", version.major, version.minor),
            fix: Some("boot Linux 5.8 or later".to_owned()),
        },
        Ok(version) => {
            good(NAME, format!("Linux {}.{}.{}", version.major, version.minor, version.patch))
        }
        Err(_) => Requirement {
            name: NAME,
            status: Status::Limited,
            found: "its version cannot be read".to_owned(),
            fix: Some("mount /proc".to_owned()),
        },
    }
}

fn btf() -> Requirement {
    const NAME: &str = "BTF";
    let path = loader::btf_path();
    if path.is_file() {
        return good(NAME, path.display().to_string());
    }
    Requirement {
        name: NAME,
        status: Status::Limited,
        found: format!(
            "{} does not exist: owners, TIME_WAIT, reasons and byte counts stay unknown",
            path.display()
        ),
        fix: Some("use a kernel built with CONFIG_DEBUG_INFO_BTF".to_owned()),
    }
}

/// Only the fallback needs tracefs, so without BTF its absence is fatal.
fn tracefs() -> Requirement {
    const NAME: &str = "tracefs";
    let (problem, fix) = match tracepoint_format::tracefs() {
        Ok(mount) => return good(NAME, mount.display().to_string()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            ("not readable", "run it with sudo, or give it CAP_DAC_READ_SEARCH")
        }
        Err(_) => ("not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"),
    };
    if loader::btf_path().is_file() {
        return good(NAME, format!("{problem}, and not needed"));
    }
    Requirement {
        name: NAME,
        status: Status::Missing,
        found: format!("{problem}, and without BTF it is needed"),
        fix: Some(fix.to_owned()),
    }
}

fn lockdown() -> Requirement {
    const NAME: &str = "lockdown";
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = text.split(['[', ']']).nth(1).unwrap_or("not told by this kernel");
    if mode != "confidentiality" {
        return good(NAME, mode);
    }
    Requirement {
        name: NAME,
        status: Status::Missing,
        found: "confidentiality: the kernel lets no program read its memory".to_owned(),
        fix: Some("boot with lockdown=integrity or none".to_owned()),
    }
}

/// Some distributions refuse `CAP_PERFMON` alone above level 2.
fn perf_event_paranoid() -> Requirement {
    const NAME: &str = "perf_event_paranoid";
    let path = Path::new("/proc/sys/kernel/perf_event_paranoid");
    let Ok(level) = fs::read_to_string(path) else {
        return good(NAME, "not told by this kernel");
    };
    let level = level.trim();
    if level.parse::<i32>().is_ok_and(|level| level > 2) {
        return Requirement {
            name: NAME,
            status: Status::Limited,
            found: format!("{level}: CAP_PERFMON alone may not suffice"),
            fix: Some("run it with sudo, or set kernel.perf_event_paranoid=2".to_owned()),
        };
    }
    good(NAME, level)
}
