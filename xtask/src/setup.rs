//! `cargo xtask setup`: makes sure of what the kernel programs are built with.
//!
//! Two things beyond a plain toolchain: the source of the standard library, because `core` is
//! built for the BPF target, and bpf-linker, which goes into `target/tools` and touches nothing
//! else on the machine. Other tasks have tools of their own there. The tests need programs that read recordings without us besides; these are
//! Python packages in an environment of their own, `target/readers`.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::project;

/// A program that is built from its crate, into `target/tools`.
pub(crate) struct Tool {
    /// The crate, and the program.
    pub(crate) name: &'static str,
    /// The only version that will do.
    pub(crate) version: &'static str,
    /// Variables that its build is started with.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// What building it takes, for whoever lacks it.
    pub(crate) needs: &'static str,
}

/// The newest whose default features read the bitcode of the pinned compiler (LLVM 22) through the
/// compiler's own LLVM library, so that no LLVM need be installed.
const BPF_LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "0.10.3",
    settings: &[],
    needs: "the network and a C compiler (`cc`)",
};

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
    tool(&BPF_LINKER)?;
    eprintln!("setup: rust-src and bpf-linker {} are in place", BPF_LINKER.version);
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

/// Makes sure of a tool.
pub(crate) fn tool(tool: &Tool) -> Result<()> {
    let Tool { name, version, settings, needs } = *tool;
    let tools = project::tools_dir()?;
    let mut asked = Command::new(tools.join("bin").join(name));
    // A copy that is missing, or cannot start, is as good as a copy of another version.
    let installed = asked.arg("--version").output().is_ok_and(|output| {
        output.status.success() && tool.is_meant_by(&String::from_utf8_lossy(&output.stdout))
    });
    if installed {
        return Ok(());
    }
    eprintln!("setup: building {name} {version}, once; it takes a minute or some");
    let mut install = project::cargo(["install", name, "--locked", "--force"])?;
    install.args(["--version", version, "--root"]).arg(&tools);
    // What would bend how it is built.
    for setting in BUILD_SETTINGS {
        install.env_remove(setting);
    }
    install.envs(settings.iter().copied());
    project::execute(&mut install)
        .with_context(|| format!("cannot install {name}; it needs {needs}"))
}

impl Tool {
    /// Whether this is what the right version says of itself.
    fn is_meant_by(&self, answer: &str) -> bool {
        answer.split_whitespace().eq([self.name, self.version])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_will_do() {
        assert!(BPF_LINKER.is_meant_by("bpf-linker 0.10.3\n"));
        assert!(!BPF_LINKER.is_meant_by("bpf-linker 0.10.30\n"));
        assert!(!BPF_LINKER.is_meant_by("bpf-linker 0.9.0\n"));
        assert!(!BPF_LINKER.is_meant_by(""));
    }
}
