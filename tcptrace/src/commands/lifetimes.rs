//! `lifetimes`: one line per finished connection.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace};
use crate::{
    cli::LifetimesArgs, live::Sink, model::change::Change, output::connections::Connections,
    time::ClockSample,
};

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, or stdout fails.
pub fn run(args: &LifetimesArgs, log_programs: bool) -> Result<ExitCode> {
    let style = args.lines.style(io::stdout().is_terminal());
    let trace = Trace {
        filter: tracing::filter_for(&args.filter, &args.input)?,
        style,
        input: args.input.input.clone(),
        duration: args.span.duration,
        raw: false,
        forks: false,
        log_programs,
        once: false,
        writes: None,
    };
    tracing::run(&trace, |times| Connections::new(style, times))
}

impl Sink for Connections {
    fn header(&self, out: &mut BytesMut) {
        self.header(out);
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut) {
        if let Change::Finished(finished) = change {
            self.set_clock(*clock);
            self.line(out, finished);
        }
    }
}
