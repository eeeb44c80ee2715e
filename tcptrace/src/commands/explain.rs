//! `explain`: the state diagram and the pages about states and topics.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace};
use crate::{
    cli::explain_args::ExplainArgs,
    kernel::sysctls,
    live::{self, Sink},
    model::{arrows::Arrows, change::Change},
    output::{
        explain,
        style::{Format, Style},
    },
    time::ClockSample,
};

/// Runs the command. Only a trace asks anything of the machine; all else is told anywhere.
///
/// # Errors
/// If a trace is asked for and not possible here, or stdout fails.
pub fn run(args: &ExplainArgs, log_programs: bool) -> Result<ExitCode> {
    let color = args.color.wants_color(io::stdout().is_terminal());
    let mut out = BytesMut::new();
    let mut status = ExitCode::SUCCESS;
    let traced = args.duration.is_some() || !args.input.is_empty();
    match args.page {
        Some(page) => explain::page(&mut out, color, page, &sysctls::own()),
        None if !traced => explain::diagram(&mut out, color, None),
        None => {
            let trace = Trace {
                filter: tracing::filter(&args.filter)?,
                style: Style::new(Format::Table),
                input: args.input.clone(),
                duration: args.duration,
                raw: false,
                forks: false,
                log_programs,
                once: false,
                writes: None,
            };
            let mut arrows = Arrows::default();
            let duration = args.duration;
            status = tracing::run(&trace, |_| Counting { arrows: &mut arrows, duration })?;
            explain::diagram(&mut out, color, Some(&arrows));
        }
    }
    live::write_out(&mut out)?;
    Ok(status)
}

/// Counts instead of writing lines.
struct Counting<'a> {
    arrows: &'a mut Arrows,
    /// How long the trace will take; none of a recording.
    duration: Option<Duration>,
}

impl Sink for Counting<'_> {
    /// Nothing is on stdout until the end, so this says on stderr that the trace has begun.
    fn header(&self, _out: &mut BytesMut) {
        tracing::tell_begun(self.duration);
    }

    fn change(&mut self, change: &Change, _clock: &ClockSample, _out: &mut BytesMut) {
        self.arrows.count(change);
    }
}
