//! `check`: runs a command, then fails if it left stuck connections behind.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::Result;

use super::tracing::{self, Trace, WithLosses};
use crate::{
    cli::CheckArgs,
    kernel::clock,
    live::{self, Command, Ended, Outcome},
    model::{
        filter::Filter,
        findings::{descendants::Descendants, detector},
    },
    output::{stuck::Findings, style::Format, summary::check_text},
    pipeline::Pipeline,
};

/// Exit status if something is stuck.
const FOUND: u8 = 1;
/// Exit status if not everything could be looked at.
const INCOMPLETE: u8 = 3;

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, the command cannot be started, or stdout fails.
pub fn run(args: &CheckArgs, log_programs: bool) -> Result<ExitCode> {
    let style = args.output.style(io::stdout().is_terminal());
    let trace = Trace {
        filter: Filter::default(),
        style,
        input: Vec::new(),
        duration: None,
        raw: false,
        forks: true,
        log_programs,
    };
    tracing::event_loop()?.block_on(async {
        let mut command = Command::new(&args.command)?;
        let mut source = tracing::start(&trace)?;
        let options = detector::Options {
            limits: args.limits.limits(),
            kinds: args.limits.kinds(),
            filter: Filter::default(),
            min_count: args.limits.min_count,
            only_of: Some(Descendants::of(source.own_pid())),
            all_holders: false,
        };
        let clock = clock::sample();
        let mut pipeline = Pipeline::stuck(tracing::options(&source), options, clock);
        let findings = Findings::new(style, tracing::times(clock), args.each);
        let mut sink = WithLosses { sink: findings, json: style.format == Format::Json };
        let (outcome, ended) =
            live::run_command(&mut source, &mut pipeline, &mut sink, &mut command, args.settle)
                .await?;
        let text = check_text(&outcome.summary, &command.program(), ended.status);
        tracing::tell_summary(&style, &outcome.summary, &text)?;
        io::stderr().flush().ok();
        Ok(status(&outcome, ended))
    })
}

/// The command's own failure comes first, for whoever runs it wants to know that first. What was found
/// is true, even if there may be more.
fn status(outcome: &Outcome, ended: Ended) -> ExitCode {
    // A lost record may have told of a process of the command.
    let incomplete = outcome.incomplete || outcome.summary.lost.ring_full > 0;
    match u8::try_from(ended.status) {
        Ok(0) if outcome.summary.findings() > 0 => ExitCode::from(FOUND),
        Ok(0) if incomplete => ExitCode::from(INCOMPLETE),
        Ok(status) => ExitCode::from(status),
        Err(_) => ExitCode::FAILURE,
    }
}
