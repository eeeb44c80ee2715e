//! The programs that machines are made of: ours, built to run anywhere, and those of this machine.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::only_file;
use crate::{dist, project};

/// Programs this task starts, and Debian's packages that have them.
const NEEDED: &[(&str, &str)] = &[
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("ip", "iproute2"),
    ("ldd", "libc-bin"),
    ("musl-gcc", "musl-tools"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("ss", "iproute2"),
    ("xz", "xz-utils"),
];
/// What the kernels, and so the guests, are built for.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Fails, naming the packages, where a program is missing.
pub(super) fn ensure_installed() -> Result<()> {
    let missing: BTreeSet<&str> = NEEDED
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    let missing: Vec<&str> = missing.into_iter().collect();
    ensure!(
        missing.is_empty(),
        "programs are missing; as root, `apt-get install {}`",
        missing.join(" ")
    );
    Ok(())
}

/// Where a program of this machine is.
pub(super) fn found(program: &str) -> Result<PathBuf> {
    find(program).with_context(|| format!("there is no program {program}; install it"))
}

/// The same, if it is anywhere; administrators' programs are found for everybody.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Builds tcptrace and the kernel tests without anything to link at start.
pub(super) fn build() -> Result<(PathBuf, PathBuf)> {
    dist::add_target(TARGET)?;
    let target_dir = project::target_dir()?;
    // Cargo names test binaries after a hash and starts them through a program if it is told one:
    // this one puts the kernel tests where they are found.
    let folder = target_dir.join("vm/tests");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).context("cannot remove the kernel tests of an earlier run")?;
    }
    fs::create_dir_all(&folder).context("cannot make a folder for the kernel tests")?;
    let shown = folder.to_str().context("the path of the target directory is no UTF-8; move it")?;
    let mut build = project::cargo(["test", "--package", "tcptrace", "--test", "kernel"])?;
    build.args(["--target", TARGET, "--config"]);
    build.arg(format!("target.{TARGET}.runner = ['cp', '--target-directory', '{shown}']"));
    // Files of the guests are in its memory, and nobody debugs there.
    build.args(["--config", "profile.dev.debug=false", "--config", "profile.dev.strip=true"]);
    // Nothing is recorded there.
    for package in ["array", "buffer", "data", "ipc", "schema"] {
        build.args(["--config", &format!("profile.dev.package.arrow-{package}.opt-level=0")]);
    }
    project::execute(build.env_remove(project::SKIP_EBPF))?;
    // The path that the tests have compiled in.
    let tcptrace = target_dir.join(TARGET).join("debug/tcptrace");
    Ok((tcptrace, only_file(&folder, "kernel-")?))
}

/// The libraries that a program of this machine is linked with at start, and what links them.
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    let output = ldd.arg(program).output().context("cannot start ldd")?;
    ensure!(output.status.success(), "ldd cannot read {}", program.display());
    Ok(paths_of(&String::from_utf8_lossy(&output.stdout)))
}

/// `libmnl.so.0 => /lib/libmnl.so.0 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn paths_of(listed: &str) -> Vec<PathBuf> {
    let words = listed.lines().filter_map(|line| {
        let line = line.split_once("=>").map_or(line, |(_, path)| path);
        line.split_whitespace().next()
    });
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_their_linker_are_found_in_what_ldd_lists() {
        let listed = "\tlinux-vdso.so.1 (0x1)\n\tlibmnl.so.0 => /lib/libmnl.so.0 (0x2)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        assert_eq!(
            paths_of(listed),
            [Path::new("/lib/libmnl.so.0"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
        assert!(paths_of("\tstatically linked\n").is_empty());
    }
}
