//! The commands: one module each, with nothing in common but what `tracing` offers.

pub mod check;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod lifetimes;
pub mod list;
pub mod record;
pub mod replay;
pub mod report;
pub mod stuck;
pub mod tracing;
pub mod watch;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};

/// Runs the command.
///
/// # Errors
/// If it could not run, or its answer would not be complete.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let log_programs = cli.log.verbose > 2;
    match &cli.command {
        Command::Watch(args) => watch::run(args, log_programs),
        Command::Lifetimes(args) => lifetimes::run(args, log_programs),
        Command::List(args) => list::run(args),
        Command::Check(args) => check::run(args, log_programs),
        Command::Record(args) => record::run(args, log_programs),
        Command::Replay(args) => replay::run(args),
        Command::Report(args) => report::run(args, log_programs),
        Command::Export(args) => export::run(args),
        Command::Stuck(args) => stuck::run(args, log_programs),
        Command::Explain(args) => explain::run(args, log_programs),
        Command::Doctor(args) => doctor::run(args),
    }
}
