//! Which machine this is.

use std::fs;

/// What tells this machine, and this boot of it, from others; empty where the kernel does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Random id of this boot.
    pub boot_id: String,
}

/// This machine.
#[must_use]
pub fn this() -> Machine {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    Machine { host: read("hostname"), kernel: read("osrelease"), boot_id: read("random/boot_id") }
}
