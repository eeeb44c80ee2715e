//! `cargo xtask run -- watch --json`: builds tcptrace and runs it as root.

use anyhow::Result;

use crate::{project, setup};

/// Builds the release binary as the current user, then becomes it (through sudo, if need be).
///
/// Becoming it, rather than waiting for it, lets Ctrl-C and the exit status be the program's own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    project::ensure_root_within_reach()?;
    setup::run(&[])?;
    let mut build = project::cargo(["build", "--release", "--package", "tcptrace"])?;
    // A binary without kernel programs, built by the same command a minute ago, would not do.
    project::execute(build.env_remove(project::SKIP_EBPF))?;
    let mut tcptrace = project::as_root(&project::target_dir()?.join("release/tcptrace"))?;
    Err(project::become_command(tcptrace.args(arguments)))
}
