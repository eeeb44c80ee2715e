//! `report`: a trace summed up.

mod page;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing::{self, Trace};
use crate::{
    cli::report_args::ReportArgs,
    live::{self, Outcome, Sink, Stop},
    model::{
        change::Change,
        filter::Filter,
        findings::detector,
        report::{Origin, Report},
    },
    output::{
        report::{self as text, Account},
        style::{Format, Style},
    },
    pipeline::Pipeline,
    time::ClockSample,
};
use page::Page;

/// Exit status if not everything could be looked at.
const INCOMPLETE: u8 = 3;

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, nothing can be read, or what it writes to fails.
pub fn run(args: &ReportArgs, log_programs: bool) -> Result<ExitCode> {
    let filter = tracing::filter_for(&args.filter, &args.input)?;
    let trace = Trace {
        // The other end may be in any namespace.
        filter: Filter { netns: None, ..filter.clone() },
        style: Style::new(Format::Table),
        input: args.input.input.clone(),
        duration: args.span.duration,
        raw: false,
        forks: false,
        log_programs,
        once: false,
        writes: args.html.clone().filter(|path| path.as_os_str() != "-"),
    };
    // Before anything is traced: a file that exists is no reason to trace for an hour.
    let page = args.html.as_deref().map(|path| Page::open(path, args.force)).transpose()?;
    let options = detector::Options { filter, ..args.findings.options() };
    let mut report = None;
    let outcome = tracing::view(
        &trace,
        |tracker, clock| Pipeline::reported(tracker, options, clock),
        |times, machine| {
            let origin = Origin { host: machine.host, kernel: machine.kernel };
            let (report, _) = report.insert((Report::new(origin, times.clock()), times));
            Reporting { report, duration: trace.duration }
        },
    )?;
    if let Some((mut report, times)) = report {
        report.finish(&outcome.summary.span);
        let Outcome { summary, incomplete, .. } = &outcome;
        let account = Account { report: &report, summary, incomplete: *incomplete, times: &times };
        tell(args, page, &account)?;
    }
    Ok(match outcome.stop {
        Stop::Expired if outcome.incomplete => ExitCode::from(INCOMPLETE),
        _ => ExitCode::SUCCESS,
    })
}

fn tell(args: &ReportArgs, page: Option<Page>, account: &Account<'_>) -> Result<()> {
    let mut out = BytesMut::new();
    if let Some(page) = page {
        text::html(&mut out, account);
        page.write(&mut out)?;
    }
    if args.html.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        return Ok(());
    }
    if args.is_json() {
        text::json(&mut out, account);
    } else {
        text::table(&mut out, account, args.color.wants_color(io::stdout().is_terminal()));
    }
    live::write_out(&mut out)?;
    Ok(())
}

/// Takes in changes; nothing is written before the end.
struct Reporting<'a> {
    report: &'a mut Report,
    /// How long the trace will take; none of a recording.
    duration: Option<Duration>,
}

impl Sink for Reporting<'_> {
    fn header(&self, _out: &mut BytesMut) {
        tracing::tell_begun(self.duration);
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, _out: &mut BytesMut) {
        self.report.add(change, clock);
    }
}
