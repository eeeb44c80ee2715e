//! `cargo xtask bench`: what tcptrace costs, measured by the crate `tcptrace-bench`.

use std::process::Command;

use anyhow::Result;

use crate::{project, setup};

/// Builds everything for speed as the current user, then becomes the benchmark, as root.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    project::ensure_root_within_reach()?;
    setup::run(&[])?;
    let mut build = project::cargo(["build", "--release", "--package", "tcptrace"])?;
    build.args(["--package", "tcptrace-bench"]).env_remove(project::SKIP_EBPF);
    project::execute(&mut build)?;
    let mut bench = project::as_root(&project::target_dir()?.join("release/tcptrace-bench"))?;
    if let Some(commit) = commit() {
        bench.args(["--commit", &commit]);
    }
    Err(project::become_command(bench.args(arguments)))
}

/// The commit that is measured, if this is a checkout and git is installed.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(project::root().ok()?);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
