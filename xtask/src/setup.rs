//! `cargo xtask setup`: makes sure of what the kernel programs are built with.
//!
//! Two things beyond a plain toolchain: the source of the standard library, because `core` is
//! built for the BPF target, and bpf-linker, which goes into `target/tools` and touches nothing
//! else on the machine.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::project;

/// The newest bpf-linker whose default features read the bitcode of the pinned compiler
/// (LLVM 22) through the compiler's own LLVM library, so that no LLVM need be installed.
const BPF_LINKER: &str = "0.10.3";

/// Variables that would bend how a tool is built or where it ends up.
const BUILD_SETTINGS: &[&str] = &[
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_BOOTSTRAP",
    "RUSTFLAGS",
];

/// Installs what is missing, says what is there.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    library_source()?;
    bpf_linker()?;
    eprintln!("setup: rust-src and bpf-linker {BPF_LINKER} are in place");
    Ok(())
}

fn library_source() -> Result<()> {
    let manifest = project::sysroot()?.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if manifest.is_file() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src"]).current_dir(project::root()?);
    project::execute(&mut rustup)
        .context("the source of the standard library is missing; without rustup, install rust-src")
}

fn bpf_linker() -> Result<()> {
    let tools = project::tools_dir()?;
    let mut version = Command::new(tools.join("bin/bpf-linker"));
    // A copy that is missing, or cannot start, is as good as a copy of another version.
    let installed = version.arg("--version").output().is_ok_and(|output| {
        output.status.success() && is_wanted_version(&String::from_utf8_lossy(&output.stdout))
    });
    if installed {
        return Ok(());
    }
    eprintln!("setup: building bpf-linker {BPF_LINKER}, once; it takes some minutes");
    let mut install = project::cargo(["install", "bpf-linker", "--locked", "--force"])?;
    install.args(["--version", BPF_LINKER, "--root"]).arg(&tools);
    without_settings(&mut install);
    project::execute(&mut install)
        .context("cannot install bpf-linker; it needs the network and a C compiler (`cc`)")
}

/// Leaves out of a command what would bend how tools are built.
pub(crate) fn without_settings(install: &mut Command) {
    for setting in BUILD_SETTINGS {
        install.env_remove(setting);
    }
}

fn is_wanted_version(answer: &str) -> bool {
    answer.split_whitespace().eq(["bpf-linker", BPF_LINKER])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_will_do() {
        assert!(is_wanted_version("bpf-linker 0.10.3\n"));
        assert!(!is_wanted_version("bpf-linker 0.10.30\n"));
        assert!(!is_wanted_version("bpf-linker 0.9.0\n"));
        assert!(!is_wanted_version(""));
    }
}
