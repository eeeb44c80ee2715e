//! `cargo xtask setup`: makes sure of what the kernel programs are built with.
//!
//! Two things beyond a plain toolchain: the source of the standard library, because `core` is
//! built for the BPF target, and bpf-linker, which goes into `target/tools` and touches nothing
//! else on the machine. The tests need programs that read recordings without us besides; these are
//! Python packages in an environment of their own, `target/readers`.

use std::{fs, process::Command};

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

/// What the readers are, in the format of pip.
const READERS: &str = "tcptrace/tests/readers/requirements.txt";

/// Makes sure of the programs that the tests compare with: only they need them.
pub(crate) fn readers() -> Result<()> {
    let folder = project::root()?.join("target/readers");
    let (wanted, installed) = (project::root()?.join(READERS), folder.join("installed.txt"));
    let list = fs::read_to_string(&wanted).with_context(|| format!("cannot read {READERS}"))?;
    // Written last, so that half an installation does not count.
    if fs::read_to_string(&installed).is_ok_and(|of_old| of_old == list) {
        return Ok(());
    }
    eprintln!("setup: installing pyarrow, DuckDB and ClickHouse, once; they take 800 MB");
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&folder);
    project::execute(&mut create)
        .context("cannot make a Python environment; install python3 with its module venv")?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    install.args(["--only-binary=:all:", "--no-cache-dir", "--requirement"]).arg(&wanted);
    project::execute(&mut install)
        .context("cannot install the Python packages; it needs the network")?;
    fs::write(&installed, list).context("cannot note what is installed")
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
