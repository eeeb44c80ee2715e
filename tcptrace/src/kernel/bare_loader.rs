//! aya's loader, made without the kernel's BTF.

use std::{io, thread};

use aya::EbpfLoader;
use rustix::{
    process::chroot,
    thread::{UnshareFlags, unshare_unsafe},
};

/// Any folder that always exists; there is no `sys` in it.
const ELSEWHERE: &str = "/proc/self/ns";

/// A loader that has no BTF of the kernel.
///
/// aya (0.14; from 0.15 on it would not) reads the kernel's BTF for each new loader, also for one that
/// is given another or none, and that takes half of the time until the first line. It does without where
/// there is no such file. So the loader is made by a thread that looks for it below another root. Where
/// that is not allowed it takes its time.
pub(super) fn bare_loader<'a>() -> EbpfLoader<'a> {
    let made = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = leave_root() {
                log::debug!("aya reads the kernel's BTF, because: {error}");
            }
            EbpfLoader::new()
        });
        thread.join()
    });
    made.unwrap_or_else(|_| EbpfLoader::new())
}

/// From now on this thread finds nothing of the system.
fn leave_root() -> io::Result<()> {
    // SAFETY: only the root and the working directory become this thread's own; descriptors stay shared.
    unsafe { unshare_unsafe(UnshareFlags::FS) }?;
    Ok(chroot(ELSEWHERE)?)
}
