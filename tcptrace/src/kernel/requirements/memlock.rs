//! How much memory the programs may lock, where the kernel counts that.

use procfs::KernelVersion;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Requirement, Status, good};
use crate::kernel::{btf::Btf, loader};

/// What maps and programs take, with the ring buffer of 32 MiB and something to spare.
const NEEDED: u64 = 40 << 20;
/// Counts them to the control group instead of `RLIMIT_MEMLOCK`.
const FIRST_WITHOUT: KernelVersion = KernelVersion { major: 5, minor: 11, patch: 0 };

/// Raises the limit as far as that is allowed: to any with `CAP_SYS_RESOURCE`, else to the hard one.
pub(in crate::kernel) fn raise() {
    let unlimited = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_ok() {
        return;
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Memlock);
    if let Err(error) = setrlimit(Resource::Memlock, Rlimit { current: maximum, maximum }) {
        log::debug!("RLIMIT_MEMLOCK stays as it is: {error}");
    }
}

/// A line on kernels to which the limit matters.
pub(super) fn limit() -> Option<Requirement> {
    if !is_counted() {
        return None;
    }
    raise();
    Some(judge(getrlimit(Resource::Memlock).current))
}

fn judge(limit: Option<u64>) -> Requirement {
    const NAME: &str = "RLIMIT_MEMLOCK";
    match limit {
        None => good(NAME, "unlimited"),
        Some(limit) if limit >= NEEDED => good(NAME, format!("{} MiB", limit >> 20)),
        Some(limit) => Requirement {
            name: NAME,
            status: Status::Missing,
            found: format!("{} KiB, and this kernel counts {} MiB", limit >> 10, NEEDED >> 20),
            fix: Some(
                "run it with sudo, or give it CAP_SYS_RESOURCE, or `ulimit -l unlimited`"
                    .to_owned(),
            ),
        },
    }
}

/// Whether maps count, as told by where the kernel had the count; without BTF, by its version.
fn is_counted() -> bool {
    match Btf::read(&loader::btf_path()) {
        Ok(btf) => btf.structure("bpf_map_memory").is_some(),
        Err(_) => KernelVersion::current().is_ok_and(|version| version < FIRST_WITHOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::{NEEDED, Status, judge};

    #[test]
    fn a_limit_is_enough_or_names_its_fix() {
        for enough in [None, Some(NEEDED), Some(u64::MAX)] {
            assert_eq!(judge(enough).status, Status::Good);
        }
        let judged = judge(Some(8 << 20));
        assert_eq!(judged.status, Status::Missing);
        assert_eq!(judged.found, "8192 KiB, and this kernel counts 40 MiB");
    }
}
