//! `cargo xtask miri`: the tests of what reads the kernel's memory, under an interpreter that sees every
//! access that Rust does not allow, and data that two threads race for.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::project;

/// Miri comes with nightly compilers alone; this one is as old as the pinned compiler is then some weeks
/// younger. Only Miri uses it.
const NIGHTLY: &str = "nightly-2026-05-20";

/// The modules with unsafe code over memory of the kernel, and those that records are cast in.
/// Their tests make no other system call than for memory, which Miri knows.
const MODULES: &[&str] = &["kernel::decode", "kernel::layout", "kernel::mapping", "kernel::queues"];

/// Runs them.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "it takes no arguments");
    nightly()?;
    let mut miri = with_nightly(&["cargo", "miri", "test", "--package", "tcptrace", "--lib", "--"]);
    miri.args(MODULES).current_dir(project::root()?).env(project::SKIP_EBPF, "1");
    miri.env("CARGO_TARGET_DIR", project::target_dir()?.join("miri"));
    project::execute(&mut miri).context("Miri has found something, see above")
}

fn with_nightly(command: &[&str]) -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(["run", NIGHTLY]).args(command);
    rustup
}

/// Makes sure of the compiler.
fn nightly() -> Result<()> {
    let mut version = with_nightly(&["cargo", "miri", "--version"]);
    version.stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", NIGHTLY, "--profile", "minimal", "--no-self-update"]);
    install.args(["--component", "miri", "--component", "rust-src"]);
    project::execute(&mut install)
        .with_context(|| format!("cannot install Miri; it needs rustup, the network, {NIGHTLY}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A name that fits no test would be no mistake for the test harness.
    #[test]
    fn every_module_has_tests() {
        let root = project::root().unwrap().join("tcptrace/src");
        for module in MODULES {
            let file = root.join(module.replace("::", "/")).with_extension("rs");
            assert!(fs::read_to_string(file).unwrap().contains("#[cfg(test)]"), "{module}");
        }
    }
}
