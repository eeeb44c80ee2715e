//! What this machine must allow, and the fix for what it does not.

use std::{fs, path::Path};

use anyhow::{Error, anyhow};
use procfs::{KernelVersion, process::Process};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{loader, tracepoint_format};

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

/// A capability that tracing may need.
struct Capability {
    name: &'static str,
    bit: u32,
    required: bool,
    purpose: &'static str,
}

const CAP_SYS_ADMIN: u32 = 21;
const CAPABILITIES: [Capability; 5] = [
    Capability { name: "CAP_BPF", bit: 39, required: true, purpose: "load the kernel programs" },
    Capability {
        name: "CAP_PERFMON",
        bit: 38,
        required: true,
        purpose: "attach the kernel programs",
    },
    Capability {
        name: "CAP_SYS_ADMIN",
        bit: CAP_SYS_ADMIN,
        required: false,
        purpose: "see existing sockets of other network namespaces",
    },
    Capability {
        name: "CAP_SYS_PTRACE",
        bit: 19,
        required: false,
        purpose: "find namespaces and owners among other users' processes",
    },
    Capability {
        name: "CAP_NET_ADMIN",
        bit: 12,
        required: false,
        purpose: "read all that netlink tells of existing sockets, where the iterator cannot run",
    },
];

/// Looks at everything that can be looked at without loading a program.
#[must_use]
pub fn check() -> Vec<Requirement> {
    let mut found = vec![build(), kernel()];
    found.extend(capabilities());
    found.extend([btf(), tracefs(), lockdown(), perf_event_paranoid()]);
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

/// Kernels before 5.11 charge maps to `RLIMIT_MEMLOCK`. Where raising it is refused the limit does
/// not matter, or the load fails with a better message than this could give.
pub(super) fn raise_memlock_limit() {
    let unlimited = Rlimit { current: None, maximum: None };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        log::debug!("RLIMIT_MEMLOCK stays as it is: {error}");
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

fn capabilities() -> Vec<Requirement> {
    let effective = Process::myself()
        .and_then(|process| process.status())
        .map(|status| status.capeff)
        .unwrap_or(0);
    if effective == 0 {
        return vec![Requirement {
            name: "privileges",
            status: Status::Missing,
            found: "you are not root and have no capabilities".to_owned(),
            fix: Some("run it with sudo, or give it CAP_BPF and CAP_PERFMON".to_owned()),
        }];
    }
    CAPABILITIES.iter().map(|capability| judge(capability, effective)).collect()
}

/// `CAP_SYS_ADMIN` includes `CAP_BPF` and `CAP_PERFMON` (`bpf_capable`, `perfmon_capable`, 5.8+).
fn judge(capability: &Capability, effective: u64) -> Requirement {
    let has = |bit: u32| effective & (1 << bit) != 0;
    if has(capability.bit) || (capability.required && has(CAP_SYS_ADMIN)) {
        return good(capability.name, "held");
    }
    Requirement {
        name: capability.name,
        status: if capability.required { Status::Missing } else { Status::Limited },
        found: format!("not held; needed to {}", capability.purpose),
        fix: Some(format!("run it with sudo, or give it {}", capability.name)),
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
    if let Some(mount) = tracepoint_format::tracefs() {
        return good(NAME, mount.display().to_string());
    }
    let needed = !loader::btf_path().is_file();
    Requirement {
        name: NAME,
        status: if needed { Status::Missing } else { Status::Good },
        found: if needed {
            "not mounted, and without BTF it is needed".to_owned()
        } else {
            "not mounted, and not needed".to_owned()
        },
        fix: needed.then(|| "mount -t tracefs tracefs /sys/kernel/tracing".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::{CAP_SYS_ADMIN, CAPABILITIES, Status, judge};

    #[test]
    fn each_missing_capability_is_named_with_its_fix() {
        for capability in &CAPABILITIES {
            let judged = judge(capability, 1);
            assert_ne!(judged.status, Status::Good, "{}", capability.name);
            assert!(judged.fix.expect("a fix").ends_with(capability.name));
            assert_eq!(judge(capability, 1 << capability.bit).status, Status::Good);
        }
    }

    #[test]
    fn sys_admin_stands_for_the_capabilities_split_from_it() {
        for capability in &CAPABILITIES {
            let status = judge(capability, 1 << CAP_SYS_ADMIN).status;
            assert_eq!(
                status == Status::Good,
                capability.required || capability.bit == CAP_SYS_ADMIN
            );
        }
    }
}
