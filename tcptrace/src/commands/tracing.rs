//! What the tracing commands share: from arguments to a running trace and its summary.

use std::{io::Write as _, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use jiff::tz::TimeZone;
use tokio::runtime;

use crate::{
    cli::{filter_args::FilterArgs, values::NetnsSelector},
    event::Lost,
    kernel::{KernelSource, Mode, SourceOptions, clock, namespaces},
    live,
    model::{
        change::Change,
        filter::{Family, Filter},
        tracker::Options,
    },
    output::{
        style::{Format, Style},
        summary::{lost_json, summary_json, summary_text},
        times::Times,
    },
    pipeline::Pipeline,
    time::ClockSample,
};

/// A trace to run.
#[derive(Debug)]
pub struct Trace {
    /// Which connections to show.
    pub filter: Filter,
    /// How the lines read.
    pub style: Style,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Show the tracepoint's own view.
    pub raw: bool,
    /// Let the kernel programs log.
    pub log_programs: bool,
}

/// Writes changes as lines.
pub trait Lines {
    /// What precedes the first line.
    fn header(&self, out: &mut BytesMut);
    /// Writes the change, if it is of interest. `clock` is the sample in force.
    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut);
}

/// The filter that the arguments ask for; what they name must exist.
///
/// # Errors
/// If a namespace or process that they name does not exist.
pub fn filter(args: &FilterArgs) -> Result<Filter> {
    let netns = args.netns.as_ref().map(resolve_netns).transpose()?;
    let filter = args.filter(netns);
    for pid in &filter.pids {
        if !Path::new(&format!("/proc/{pid}")).exists() {
            bail!("no process {pid}: `ps -e` shows which there are");
        }
    }
    Ok(filter)
}

fn resolve_netns(selector: &NetnsSelector) -> Result<u32> {
    match selector {
        NetnsSelector::Own => namespaces::own(),
        NetnsSelector::Path(path) => namespaces::inode_of(path),
        NetnsSelector::Inode(inode) if namespaces::all().contains_key(inode) => Ok(*inode),
        NetnsSelector::Inode(inode) => {
            bail!(
                "no process lives in a network namespace {inode}: `lsns -t net` shows which there are"
            )
        }
    }
}

/// What turns event times into text, from now on.
#[must_use]
pub fn times() -> Times {
    Times::new(TimeZone::system(), clock::sample(), clock::now())
}

/// Runs the trace to its end.
///
/// # Errors
/// If this machine does not allow tracing, or stdout fails.
pub fn run<L: Lines>(trace: &Trace, make_lines: impl FnOnce(Times) -> L) -> Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(run_on(trace, make_lines))
}

async fn run_on<L: Lines>(trace: &Trace, make_lines: impl FnOnce(Times) -> L) -> Result<ExitCode> {
    let mut source = KernelSource::start(&source_options(trace))?;
    note_degradation(&source);
    let clock = clock::sample();
    let mut pipeline = if trace.raw {
        Pipeline::raw(trace.filter.clone(), clock)
    } else {
        let options = Options {
            reset_hook: source.has_hook("tcp_send_reset"),
            destroy_hook: source.has_hook("tcp_destroy_sock"),
            ..Options::default()
        };
        Pipeline::tracked(options, trace.filter.clone(), clock)
    };
    let mut lines = make_lines(times());
    let mut header = BytesMut::new();
    lines.header(&mut header);
    let json = trace.style.format == Format::Json;
    let mut write = |change: &Change, clock: &ClockSample, out: &mut BytesMut| match change {
        Change::Lost(lost) => tell_lost(lost, clock, json, out),
        change => lines.change(change, clock, out),
    };
    let summary = live::run(&mut source, &mut pipeline, header, &mut write, trace.duration).await?;
    if json {
        let mut out = BytesMut::new();
        summary_json(&mut out, &summary);
        live::write_out(&mut out)?;
    }
    if log::log_enabled!(log::Level::Warn) {
        // Nobody is left to be told if stderr is closed.
        _ = std::io::stderr().write_all(summary_text(&summary).as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

fn source_options(trace: &Trace) -> SourceOptions {
    let Filter { family, local_ports, remote_ports, netns, .. } = &trace.filter;
    SourceOptions {
        on_cpu: matches!(trace.style.format, Format::Bcc | Format::BccCsv),
        family: family.map(|family| match family {
            Family::V4 => 4,
            Family::V6 => 6,
        }),
        local_ports: local_ports.clone(),
        remote_ports: remote_ports.clone(),
        netns: *netns,
        log_programs: trace.log_programs,
        ..SourceOptions::default()
    }
}

/// Says once what this kernel does not let us know.
fn note_degradation(source: &KernelSource) {
    if source.mode() == Mode::Classic {
        log::warn!(
            "using the classic tracepoint ({}): owners, reasons, TIME_WAIT, namespaces and byte \
             counts are unknown",
            source.degraded().unwrap_or("no BTF")
        );
    }
    for hook in source.hooks() {
        if let Some(problem) = &hook.problem {
            log::info!("{} is off ({problem}); without it: {}", hook.name, hook.purpose);
        }
    }
}

/// Losses are told when they happen: in the data where it has a place for them, else on stderr.
fn tell_lost(lost: &Lost, clock: &ClockSample, json: bool, out: &mut BytesMut) {
    if json {
        let mut times = times();
        times.set_clock(*clock);
        lost_json(out, &times, lost);
    } else {
        log::warn!(
            "{} records lost ({}); times that they touch are not told",
            lost.count,
            lost.why.name()
        );
    }
}
