//! `check`: runs a command, then fails if it left stuck connections behind.

use std::{
    io::{self, IsTerminal as _},
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
        once: false,
        writes: None,
    };
    tracing::event_loop()?.block_on(async {
        let mut command = Command::new(&args.command)?;
        let mut source = tracing::start(&trace)?;
        let options = detector::Options {
            only_of: Some(Descendants::of(source.own_pid())),
            ..args.findings.options()
        };
        let clock = clock::sample();
        let mut pipeline = Pipeline::stuck(tracing::options(&source), options, clock);
        let findings = Findings::new(style, tracing::times(clock), args.each);
        let mut sink = WithLosses { sink: findings, json: style.format == Format::Json };
        let (mut outcome, ended) =
            live::run_command(&mut source, &mut pipeline, &mut sink, &mut command, args.settle)
                .await?;
        // A lost record may have told of a process of the command.
        outcome.incomplete |= outcome.summary.lost.ring_full > 0;
        let text =
            check_text(&outcome.summary, outcome.incomplete, &command.program(), ended.status);
        tracing::tell_summary(&style, &outcome.summary, &text)?;
        Ok(status(&outcome, ended))
    })
}

/// The command's own failure comes first, for whoever runs it wants to know that first.
fn status(outcome: &Outcome, ended: Ended) -> ExitCode {
    match u8::try_from(ended.status) {
        Ok(0) => tracing::verdict(outcome),
        Ok(status) => ExitCode::from(status),
        Err(_) => ExitCode::FAILURE,
    }
}
