//! Which capabilities are held, and what is lost without each.

use rustix::thread::CapabilitySet;

use super::{Requirement, Status, good};
use crate::kernel::privileges;

/// A capability that a run may need.
struct Capability {
    name: &'static str,
    bit: CapabilitySet,
    /// Nothing works without it.
    is_required: bool,
    purpose: &'static str,
}

/// Found out by running with each set of them.
const CAPABILITIES: [Capability; 5] = [
    Capability {
        name: "CAP_BPF",
        bit: CapabilitySet::BPF,
        is_required: true,
        purpose: "load the kernel programs",
    },
    Capability {
        name: "CAP_PERFMON",
        bit: CapabilitySet::PERFMON,
        is_required: true,
        purpose: "let the kernel programs read sockets",
    },
    Capability {
        name: "CAP_SYS_ADMIN",
        bit: CapabilitySet::SYS_ADMIN,
        is_required: false,
        purpose: "see existing sockets of other network namespaces",
    },
    Capability {
        name: "CAP_SYS_PTRACE",
        bit: CapabilitySet::SYS_PTRACE,
        is_required: false,
        purpose: "find network namespaces and command lines of other users' processes, and \
                  what they hold where iter/task_file is missing",
    },
    Capability {
        name: "CAP_DAC_READ_SEARCH",
        bit: CapabilitySet::DAC_READ_SEARCH,
        is_required: false,
        purpose: "read command lines of other users' processes, what they hold where \
                  iter/task_file is missing, and tracefs where BTF is",
    },
];

/// A line for each.
pub(super) fn all() -> Vec<Requirement> {
    let held = privileges::held().unwrap_or(CapabilitySet::empty());
    if held.is_empty() {
        return vec![Requirement {
            name: "privileges",
            status: Status::Missing,
            found: "you are not root and have no capabilities".to_owned(),
            fix: Some("run it with sudo, or give it CAP_BPF and CAP_PERFMON".to_owned()),
        }];
    }
    CAPABILITIES.iter().map(|capability| judge(capability, held)).collect()
}

/// `CAP_SYS_ADMIN` includes `CAP_BPF` and `CAP_PERFMON` (`bpf_capable`, `perfmon_capable`, 5.8+).
fn judge(capability: &Capability, held: CapabilitySet) -> Requirement {
    let Capability { name, bit, is_required, purpose } = *capability;
    if held.contains(bit) || (is_required && held.contains(CapabilitySet::SYS_ADMIN)) {
        return good(name, "held");
    }
    // Of the two that nothing works without, one is no use alone.
    let lacking =
        CAPABILITIES.iter().filter(|other| other.is_required && !held.contains(other.bit));
    let lacking: Vec<_> = lacking.map(|other| other.name).collect();
    let wanted = if is_required { lacking.join(" and ") } else { name.to_owned() };
    Requirement {
        name,
        status: if is_required { Status::Missing } else { Status::Limited },
        found: format!("not held; needed to {purpose}"),
        fix: Some(format!("run it with sudo, or give it {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::{CAPABILITIES, Status, judge};

    #[test]
    fn each_missing_capability_is_named_with_its_fix() {
        for capability in &CAPABILITIES {
            let held = CapabilitySet::all() - capability.bit - CapabilitySet::SYS_ADMIN;
            let judged = judge(capability, held);
            assert_ne!(judged.status, Status::Good, "{}", capability.name);
            assert!(judged.fix.expect("a fix").ends_with(capability.name));
            assert_eq!(judge(capability, capability.bit).status, Status::Good);
        }
    }

    #[test]
    fn sys_admin_stands_for_the_capabilities_split_from_it() {
        for capability in &CAPABILITIES {
            let status = judge(capability, CapabilitySet::SYS_ADMIN).status;
            let is_it = capability.bit == CapabilitySet::SYS_ADMIN;
            assert_eq!(status == Status::Good, capability.is_required || is_it);
        }
    }

    #[test]
    fn what_is_no_use_alone_is_asked_for_together() {
        let fix = judge(&CAPABILITIES[0], CapabilitySet::KILL).fix;
        assert_eq!(fix.as_deref(), Some("run it with sudo, or give it CAP_BPF and CAP_PERFMON"));
    }
}
