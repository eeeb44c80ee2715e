//! `replay`: a recording at its own pace.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;

use super::tracing::{self, Trace};
use crate::{
    cli::replay_args::ReplayArgs,
    output::{style::Format, transitions::Transitions},
};

/// Runs the command.
///
/// # Errors
/// If nothing can be read, or stdout fails.
pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let style = args.lines.style(io::stdout().is_terminal());
    let trace = Trace {
        filter: tracing::filter_recorded(&args.filter)?,
        style,
        input: args.input.clone(),
        duration: None,
        raw: args.raw || matches!(style.format, Format::Bcc | Format::BccCsv),
        forks: false,
        log_programs: false,
        once: false,
        writes: None,
    };
    tracing::replay(&trace, args.speed, |times| Transitions::new(style, times))
}
