//! `stuck`: connections too long in a state, with holder, cause, other end and remedy.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace};
use crate::{
    cli::StuckArgs,
    live::{Sink, Stop},
    model::{change::Change, filter::Filter, findings::detector},
    output::{stuck::Findings, summary::stuck_text},
    pipeline::Pipeline,
    time::ClockSample,
};

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
        once: args.once,
        writes: None,
    };
    let options = detector::Options { filter, ..args.findings.options() };
    let outcome = tracing::view(
        &trace,
        |tracker, clock| Pipeline::stuck(tracker, options, clock),
        |times, _| Findings::new(style, times, args.each),
    )?;
    let text = stuck_text(&outcome.summary, outcome.incomplete);
    tracing::tell_summary(&style, &outcome.summary, &text)?;
    Ok(match outcome.stop {
        Stop::Signal | Stop::StdoutClosed => ExitCode::SUCCESS,
        Stop::Expired => tracing::verdict(&outcome),
    })
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
