//! `cargo xtask test [-- FILTER]`: every test there is, those in the kernel too.

use std::env;

use anyhow::{Context as _, Result};

use crate::{project, runner, setup};

/// Runs all tests; the arguments go to the test binaries (`cargo xtask test -- tracker`).
///
/// Everything is built, and all but the kernel tests run, as the current user.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    project::ensure_root_within_reach().context(
        "the kernel tests cannot run (`cargo test --lib --bins` runs those that need no root)",
    )?;
    setup::run(&[])?;
    setup::readers()?;
    let mut test = project::cargo(["test", "--workspace", "--no-fail-fast"])?;
    if !project::is_root()? {
        test.arg("--config").arg(runner::setting()?);
    }
    // A run of the tests must not rewrite what they compare with; who wants that says so.
    if env::var_os("INSTA_UPDATE").is_none() {
        test.env("INSTA_UPDATE", "no");
    }
    test.arg("--").args(arguments);
    project::execute(&mut test)
}
