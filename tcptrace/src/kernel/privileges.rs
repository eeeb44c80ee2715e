//! What we may do: the capabilities that a run needs, and letting go of the others.

use std::{io, path::Path};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

use super::namespaces;

/// What is still done after the start of a run. That takes neither `CAP_PERFMON`, with which programs are
/// loaded, nor most of what else root has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Looking at sockets and their owners again and again.
    pub looks: bool,
    /// Looking into network namespaces that are not ours.
    pub other_namespaces: bool,
    /// Opening files that only root may, because the user named them.
    pub files: bool,
    /// Sending signals to processes of other users.
    pub signals: bool,
}

impl Needs {
    /// What it takes to look at sockets and their owners, in all network namespaces or only one.
    #[must_use]
    pub fn of_looking(only_in: Option<u32>) -> Self {
        let other_namespaces = only_in.is_none() || only_in != namespaces::own().ok();
        Self { looks: true, other_namespaces, ..Self::default() }
    }

    /// The capabilities that this takes, of those that are `held`.
    fn of(self, held: CapabilitySet) -> CapabilitySet {
        let mut needed = CapabilitySet::empty();
        if self.looks {
            // Counters are read, iterators begun and programs attached again by the system call bpf().
            // The others are for /proc: ptrace for namespaces and descriptors of other users' processes,
            // whose folders may be read by nobody else without the last.
            needed |=
                CapabilitySet::BPF | CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
        }
        // Who was given it in the place of CAP_BPF has nothing else for bpf().
        let stands_for_bpf = self.looks && !held.contains(CapabilitySet::BPF);
        if self.other_namespaces || stands_for_bpf {
            needed |= CapabilitySet::SYS_ADMIN;
        }
        if self.files {
            needed |= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        }
        if self.signals {
            needed |= CapabilitySet::KILL;
        }
        needed & held
    }
}

/// Lets go of everything that `needs` does not take, for good. Capabilities belong to threads, so this
/// comes before there are others, which inherit what is left. Child processes that run already keep theirs.
pub fn keep_only(needs: Needs) {
    if let Err(error) = drop_the_rest(needs) {
        log::warn!("cannot drop the capabilities that are needed no more: {error}");
    }
}

fn drop_the_rest(needs: Needs) -> io::Result<()> {
    // Else root would have all of them again after an exec.
    set_no_new_privs(true)?;
    let kept = needs.of(held()?);
    // What is not inheritable is not ambient either.
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })?;
    Ok(())
}

/// Whether only privileges let us make files beside `path`.
#[must_use]
pub fn needed_beside(path: &Path) -> bool {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(sets) = capabilities(None) else { return true };
    let overriding = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let like_others = CapabilitySets { effective: sets.effective - overriding, ..sets };
    if set_capabilities(None, like_others).is_err() {
        return true;
    }
    let allowed = accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    if let Err(error) = set_capabilities(None, sets) {
        log::warn!("file permissions are not overridden any more: {error}");
    }
    allowed.is_err()
}

/// The capabilities in force.
///
/// # Errors
/// If the kernel does not tell, as where a filter of system calls forbids to ask.
pub(super) fn held() -> io::Result<CapabilitySet> {
    Ok(capabilities(None)?.effective)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Needs =
        Needs { looks: true, other_namespaces: false, files: false, signals: false };

    #[test]
    fn nothing_is_kept_that_was_not_held() {
        let everything = Needs { looks: true, other_namespaces: true, files: true, signals: true };
        for held in [CapabilitySet::empty(), CapabilitySet::BPF, CapabilitySet::KILL] {
            assert_eq!(everything.of(held), held);
        }
        assert_eq!(Needs::default().of(CapabilitySet::all()), CapabilitySet::empty());
    }

    #[test]
    fn sys_admin_is_kept_for_namespaces_or_in_the_place_of_bpf() {
        let root = CapabilitySet::all();
        assert!(!LOOKS.of(root).contains(CapabilitySet::SYS_ADMIN));
        let wider = Needs { other_namespaces: true, ..LOOKS };
        assert!(wider.of(root).contains(CapabilitySet::SYS_ADMIN));
        assert_eq!(LOOKS.of(CapabilitySet::SYS_ADMIN), CapabilitySet::SYS_ADMIN);
    }
}
