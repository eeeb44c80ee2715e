//! `cargo xtask bench`: what tcptrace costs, measured by the crate `tcptrace-bench`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{project, setup};

/// Builds everything for speed as the current user, then becomes the benchmark, as root.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    project::ensure_root_within_reach()?;
    setup::run(&[])?;
    peers();
    let mut build = project::cargo(["build", "--release", "--package", "tcptrace"])?;
    build.args(["--package", "tcptrace-bench"]).env_remove(project::SKIP_EBPF);
    project::execute(&mut build)?;
    let mut bench = project::as_root(&project::target_dir()?.join("release/tcptrace-bench"))?;
    if let Some(commit) = commit() {
        bench.args(["--commit", &commit]);
    }
    Err(project::become_command(bench.args(arguments)))
}

/// The programs that tcptrace is compared with, and the packages of Debian that have them.
const PEERS: [(&str, &str); 2] = [("bpftrace", "bpftrace"), ("tcpstates", "libbpf-tools")];

/// Installs the peers that are missing. Where that cannot be, the benchmark says so and goes on without.
fn peers() {
    for (program, package) in PEERS {
        // The second place is where root finds them, but not everybody does.
        let starts = |folder| Command::new(format!("{folder}{program}")).arg("--help").output();
        if ["", "/usr/sbin/"].into_iter().any(|folder| starts(folder).is_ok()) {
            continue;
        }
        eprintln!("bench: installing {package}, to compare with");
        let installed = project::as_root(Path::new("apt-get")).and_then(|mut install| {
            install.args(["install", "--yes", "--no-install-recommends", package]);
            project::execute(install.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
        });
        if let Err(error) = installed {
            eprintln!("bench: without {program}: {error:#}");
        }
    }
}

/// The commit that is measured, if this is a checkout and git is installed.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(project::root().ok()?);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
