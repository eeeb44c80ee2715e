//! The commands: each module runs one.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::{Cli, Command};

/// Runs the command and says how the process should end.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    match &cli.command {
        Command::Watch(_) | Command::Lifetimes(_) | Command::List(_) | Command::Doctor(_) => {
            bail!("not built yet")
        }
    }
}
