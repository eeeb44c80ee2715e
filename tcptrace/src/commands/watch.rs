//! `watch`: live transitions, one line each.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace};
use crate::{
    cli::WatchArgs,
    live::Sink,
    model::change::Change,
    output::{style::Format, transitions::Transitions},
    time::ClockSample,
};

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, or stdout fails.
pub fn run(args: &WatchArgs, log_programs: bool) -> Result<ExitCode> {
    let style = args.lines.style(io::stdout().is_terminal());
    let trace = Trace {
        filter: tracing::filter_for(&args.filter, &args.input)?,
        style,
        input: args.input.input.clone(),
        duration: args.span.duration,
        // bcc prints what the tracepoint says.
        raw: args.raw || matches!(style.format, Format::Bcc | Format::BccCsv),
        forks: false,
        log_programs,
        once: false,
        writes: None,
    };
    tracing::run(&trace, |times| Transitions::new(style, times))
}

impl Sink for Transitions {
    fn header(&self, out: &mut BytesMut) {
        self.header(out);
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut) {
        if let Change::Moved(moved) = change {
            self.set_clock(*clock);
            self.line(out, moved);
        }
    }
}
