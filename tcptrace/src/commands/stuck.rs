//! `stuck`: connections too long in a state, with holder, cause, other end and remedy.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace, WithLosses};
use crate::{
    cli::StuckArgs,
    kernel::clock,
    live::{self, Outcome, Sink, Stop},
    model::{change::Change, filter::Filter, findings::detector},
    output::{stuck::Findings, style::Format, summary::stuck_text},
    pipeline::Pipeline,
    replay,
    time::ClockSample,
};

/// Exit status if something is stuck.
const FOUND: u8 = 1;
/// Exit status if not everything could be looked at.
const INCOMPLETE: u8 = 3;

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, or stdout fails.
pub fn run(args: &StuckArgs, log_programs: bool) -> Result<ExitCode> {
    let style = args.lines.style(io::stdout().is_terminal());
    let filter = tracing::filter_for(&args.filter, &args.input)?;
    let trace = Trace {
        // The other end may be in any namespace.
        filter: Filter { netns: None, ..filter.clone() },
        style,
        input: args.input.input.clone(),
        duration: args.span.duration,
        raw: false,
        forks: false,
        log_programs,
    };
    let options = detector::Options {
        limits: args.limits.limits(),
        kinds: args.limits.kinds(),
        filter,
        min_count: args.limits.min_count,
        only_of: None,
        all_holders: false,
    };
    let sink = |clock| WithLosses {
        sink: Findings::new(style, tracing::times(clock), args.each),
        json: style.format == Format::Json,
    };
    let outcome = if trace.input.is_empty() {
        tracing::event_loop()?.block_on(async {
            let mut source = tracing::start(&trace)?;
            let clock = clock::sample();
            let mut pipeline = Pipeline::stuck(tracing::options(&source), options, clock);
            let mut sink = sink(clock);
            if args.once {
                live::look(&mut source, &mut pipeline, &mut sink)
            } else {
                live::run(&mut source, &mut pipeline, &mut sink, None, trace.duration).await
            }
        })?
    } else {
        let (mut input, tracker, clock) = tracing::open(&trace.input)?;
        let mut pipeline = Pipeline::stuck(tracker, options, clock);
        replay::run(&mut input, &mut pipeline, &mut sink(clock))?
    };
    tracing::tell_summary(&style, &outcome.summary, &stuck_text(&outcome.summary))?;
    Ok(status(&outcome))
}

fn status(outcome: &Outcome) -> ExitCode {
    match outcome.stop {
        Stop::Signal | Stop::StdoutClosed => ExitCode::SUCCESS,
        Stop::Expired if outcome.incomplete => ExitCode::from(INCOMPLETE),
        Stop::Expired if outcome.summary.findings() > 0 => ExitCode::from(FOUND),
        Stop::Expired => ExitCode::SUCCESS,
    }
}

impl Sink for Findings {
    fn header(&self, out: &mut BytesMut) {
        self.header(out);
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut) {
        self.set_clock(*clock);
        match change {
            Change::Stuck(group) => self.group(out, group),
            Change::Resolved(resolved) => self.resolved(out, resolved),
            _ => {}
        }
    }

    fn flush(&mut self, out: &mut BytesMut) {
        self.flush(out);
    }
}
