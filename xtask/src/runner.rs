//! Starts test binaries on behalf of cargo: the kernel tests as root, all others as they are.
//!
//! `cargo test` can be told to start test binaries through a program. When the tasks run without
//! root's rights, this is that program, so that one `cargo test` covers everything and nothing but
//! the kernel tests gets rights it does not need.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::project;

/// The name under which `main` hands over to this module.
pub(crate) const NAME: &str = "test-runner";

/// The target of `tcptrace/tests/kernel`; cargo adds a dash and a hash.
const KERNEL_TESTS: &str = "kernel-";

/// The configuration that makes cargo start test binaries through this program.
pub(crate) fn setting() -> Result<String> {
    let own = env::current_exe().context("cannot find the path of this program")?;
    let own = own.to_str().context("the path of the target directory is no UTF-8; move it")?;
    Ok(format!("target.'cfg(all())'.runner = ['{own}', '{NAME}']"))
}

/// Becomes the test binary that the first argument names; the others are its own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (binary, rest) = arguments.split_first().context("cargo names the test binary to start")?;
    let binary = Path::new(binary);
    let mut command =
        if needs_root(binary) { project::as_root(binary)? } else { Command::new(binary) };
    Err(project::become_command(command.args(rest)))
}

fn needs_root(binary: &Path) -> bool {
    binary.file_name().is_some_and(|name| name.to_string_lossy().starts_with(KERNEL_TESTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernel_tests_get_root() {
        assert!(needs_root(Path::new("target/debug/deps/kernel-0123456789abcdef")));
        assert!(!needs_root(Path::new("target/debug/deps/cli-0123456789abcdef")));
        assert!(!needs_root(Path::new("target/kernel-1/deps/replay-0123456789abcdef")));
    }
}
