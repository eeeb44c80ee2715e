//! What the tracing commands share: from arguments to a running trace and its summary.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use jiff::tz::TimeZone;
use tokio::runtime::{self, Runtime};

use crate::{
    cli::{filter_args::FilterArgs, input_args::InputArgs, values::NetnsSelector},
    event::Lost,
    kernel::{
        KernelSource, Mode, SourceOptions, clock,
        machine::{self, Machine},
        namespaces,
        privileges::{self, Needs},
        requirements,
    },
    live::{self, Outcome, Sink, StopSignals},
    model::{
        change::Change,
        filter::{Family, Filter},
        summary::Summary,
        tracker::Options,
    },
    output::{
        style::{Format, Style},
        summary::{lost_json, summary_json, summary_text},
        times::Times,
    },
    pipeline::Pipeline,
    recording::{Input, Metadata},
    replay::{self, Speed},
    time::ClockSample,
};

/// A trace to run.
#[derive(Debug)]
pub struct Trace {
    /// Which connections to show.
    pub filter: Filter,
    /// How the lines read.
    pub style: Style,
    /// Read these recordings instead of tracing.
    pub input: Vec<PathBuf>,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Show the tracepoint's own view.
    pub raw: bool,
    /// Follow which process began which.
    pub forks: bool,
    /// Let the kernel programs log.
    pub log_programs: bool,
    /// Look once, and trace nothing.
    pub once: bool,
    /// A file beside which others are made or removed also after the start.
    pub writes: Option<PathBuf>,
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

/// The filter of a view, which shows what is or what was.
///
/// # Errors
/// If what the arguments name does not exist, or means nothing for a recording.
pub fn filter_for(args: &FilterArgs, input: &InputArgs) -> Result<Filter> {
    if input.input.is_empty() { filter(args) } else { filter_recorded(args) }
}

/// The filter for recordings, which may be of another machine: nothing that it names is here.
///
/// # Errors
/// If a namespace is named otherwise than by its number.
pub fn filter_recorded(args: &FilterArgs) -> Result<Filter> {
    match &args.netns {
        None => Ok(args.filter(None)),
        Some(NetnsSelector::Inode(inode)) => Ok(args.filter(Some(*inode))),
        Some(_) => bail!("of a recording, name a network namespace by its inode number"),
    }
}

fn resolve_netns(selector: &NetnsSelector) -> Result<u32> {
    match selector {
        NetnsSelector::Own => namespaces::own(),
        NetnsSelector::Path(path) => namespaces::inode_of(path),
        NetnsSelector::Inode(inode) if namespaces::all().contains_key(inode) => Ok(*inode),
        NetnsSelector::Inode(inode) => match requirements::hidden_processes() {
            None => bail!(
                "no process lives in a network namespace {inode}: `lsns -t net` shows which there are"
            ),
            Some(hidden) => bail!("no network namespace {inode} is seen: {hidden}"),
        },
    }
}

/// What turns event times into text; `clock` is the sample at the start of the trace.
#[must_use]
pub fn times(clock: ClockSample) -> Times {
    Times::new(TimeZone::system(), clock, clock.boot)
}

/// Runs a trace of transitions to its end.
///
/// # Errors
/// If this machine does not allow tracing, or stdout fails.
pub fn run<S: Sink>(trace: &Trace, make_sink: impl FnOnce(Times) -> S) -> Result<ExitCode> {
    let pipeline = |options, clock| transitions(trace, options, clock);
    let outcome = view(trace, pipeline, |times, _| make_sink(times))?;
    tell_summary(&trace.style, &outcome.summary, &summary_text(&outcome.summary))?;
    Ok(ExitCode::SUCCESS)
}

/// Plays recorded transitions back.
///
/// # Errors
/// If nothing can be read, or stdout fails.
pub fn replay<S: Sink>(
    trace: &Trace,
    speed: Speed,
    make_sink: impl FnOnce(Times) -> S,
) -> Result<ExitCode> {
    let pipeline = |options, clock| transitions(trace, options, clock);
    let outcome = recorded(trace, speed, pipeline, |times, _| make_sink(times))?;
    tell_summary(&trace.style, &outcome.summary, &summary_text(&outcome.summary))?;
    Ok(ExitCode::SUCCESS)
}

fn transitions(trace: &Trace, options: Options, clock: ClockSample) -> Pipeline {
    if trace.raw {
        Pipeline::raw(trace.filter.clone(), clock)
    } else {
        Pipeline::tracked(options, trace.filter.clone(), clock)
    }
}

/// Runs what a view asks for, live, or a single look, or from recordings. The sink is told which
/// machine the trace is of.
///
/// # Errors
/// If this machine does not allow tracing, nothing can be read, or stdout fails.
pub fn view<S: Sink>(
    trace: &Trace,
    make_pipeline: impl FnOnce(Options, ClockSample) -> Pipeline,
    make_sink: impl FnOnce(Times, Machine) -> S,
) -> Result<Outcome> {
    if !trace.input.is_empty() {
        return recorded(trace, Speed::Max, make_pipeline, make_sink);
    }
    let json = trace.style.format == Format::Json;
    event_loop()?.block_on(async {
        // One look ends by itself.
        let stop = if trace.once { None } else { Some(StopSignals::new()?) };
        // Before the first event there may be, which comes while the rest is being loaded.
        let clock = clock::sample();
        let mut source = start(trace)?;
        let mut pipeline = make_pipeline(options(&source), clock);
        let mut sink = WithLosses { sink: make_sink(times(clock), machine::this()), json };
        match stop {
            None => live::look(&mut source, &mut pipeline, &mut sink),
            Some(stop) => {
                live::run(&mut source, &mut pipeline, &mut sink, None, stop, trace.duration).await
            }
        }
    })
}

fn recorded<S: Sink>(
    trace: &Trace,
    speed: Speed,
    make_pipeline: impl FnOnce(Options, ClockSample) -> Pipeline,
    make_sink: impl FnOnce(Times, Machine) -> S,
) -> Result<Outcome> {
    let json = trace.style.format == Format::Json;
    let (mut input, options, clock) = open(&trace.input)?;
    let mut pipeline = make_pipeline(options, clock);
    let machine = machine_of(input.metadata());
    let mut sink = WithLosses { sink: make_sink(times(clock), machine), json };
    event_loop()?.block_on(replay::run(&mut input, &mut pipeline, &mut sink, speed))
}

/// The exit status of a command that looks for something. What was found is true, even if there may be
/// more.
#[must_use]
pub fn verdict(outcome: &Outcome) -> ExitCode {
    const FOUND: u8 = 1;
    const INCOMPLETE: u8 = 3;
    match outcome.summary.findings() {
        0 if outcome.incomplete => ExitCode::from(INCOMPLETE),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(FOUND),
    }
}

/// Opens recordings, with what the tracker may assume of them and their clock.
///
/// # Errors
/// If they cannot be read.
pub fn open(paths: &[PathBuf]) -> Result<(Input, Options, ClockSample)> {
    // Recordings may come from anybody, and who reads them may be root.
    privileges::keep_only(Needs { files: true, ..Needs::default() });
    let input = Input::open(paths)?;
    let Metadata { reset_hook, destroy_hook, clock, .. } = *input.metadata();
    Ok((input, Options { reset_hook, destroy_hook, ..Options::default() }, clock))
}

/// The machine that a recording is of.
fn machine_of(metadata: &Metadata) -> Machine {
    let Metadata { host, kernel, boot_id, .. } = metadata.clone();
    Machine { host, kernel, boot_id }
}

/// Says that a trace has begun of which nothing is on stdout until its end.
pub fn tell_begun(duration: Option<Duration>) {
    let Some(duration) = duration else {
        return;
    };
    let someone_waits = std::io::stderr().is_terminal();
    let level = if someone_waits { log::Level::Warn } else { log::Level::Info };
    log::log!(level, "tracing for {}", humantime::format_duration(duration));
}

/// What signals, timers and the ring buffer are waited for with.
///
/// # Errors
/// If the system has no descriptors left.
pub fn event_loop() -> Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")
}

/// Loads the programs, drops the privileges that the rest of the run does without, and says once what
/// this kernel does not let us know. Needs a running event loop.
///
/// # Errors
/// If this machine does not allow tracing, or not what is asked for.
pub fn start(trace: &Trace) -> Result<KernelSource> {
    let source = KernelSource::start(&source_options(trace))?;
    if trace.forks {
        // Privileges are dropped when the command has been started, which is to have its user's own.
        must_tell_forks(&source)?;
    } else {
        let files = trace.writes.as_deref().is_some_and(privileges::needed_beside);
        privileges::keep_only(Needs { files, ..Needs::of_looking(trace.filter.netns) });
        note_hidden(trace.filter.netns);
    }
    note_degradation(&source);
    Ok(source)
}

/// What the tracker may assume of this source.
#[must_use]
pub fn options(source: &KernelSource) -> Options {
    Options {
        reset_hook: source.has_hook("tcp_send_reset"),
        destroy_hook: source.has_hook("tcp_destroy_sock"),
        ..Options::default()
    }
}

/// Tells what the trace came to: in the data where it has a place for that, and as `text` on stderr.
///
/// # Errors
/// If stdout fails.
pub fn tell_summary(style: &Style, summary: &Summary, text: &str) -> Result<()> {
    if style.format == Format::Json {
        let mut out = BytesMut::new();
        summary_json(&mut out, summary);
        live::write_out(&mut out)?;
    }
    if log::log_enabled!(log::Level::Warn) {
        // Nobody is left to be told if stderr is closed.
        _ = std::io::stderr().write_all(text.as_bytes());
    }
    Ok(())
}

/// Adds losses to what a sink tells.
#[derive(Debug)]
pub struct WithLosses<S> {
    /// Who tells the rest.
    pub sink: S,
    /// The data has a place for losses.
    pub json: bool,
}

impl<S: Sink> Sink for WithLosses<S> {
    fn header(&self, out: &mut BytesMut) {
        self.sink.header(out);
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut) {
        match change {
            Change::Lost(lost) => tell_lost(lost, clock, self.json, out),
            change => self.sink.change(change, clock, out),
        }
    }

    fn flush(&mut self, out: &mut BytesMut) {
        self.sink.flush(out);
    }
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
        forks: trace.forks,
        log_programs: trace.log_programs,
        look_only: trace.once,
        ..SourceOptions::default()
    }
}

/// Without forks nothing is known to be anybody's, which is no degradation but the end.
fn must_tell_forks(source: &KernelSource) -> Result<()> {
    let hook = source.hooks().iter().find(|hook| hook.name == "sched_process_fork");
    let problem = match (source.mode(), hook) {
        (Mode::Classic, _) => source.degraded().or(Some("no BTF")),
        (Mode::Btf, hook) => hook.map_or(Some("no such hook"), |hook| hook.problem.as_deref()),
    };
    match problem {
        Some(problem) => bail!(
            "cannot tell which processes are the command's (sched_process_fork: {problem}); \
             `tcptrace doctor` tells what is missing"
        ),
        None => Ok(()),
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
            log::info!("{} is off ({problem}); lost with it: {}", hook.name, hook.purpose);
        }
    }
}

/// Says if there may be existing sockets that are not seen, unless only one namespace is looked into.
pub fn note_hidden(only_in: Option<u32>) {
    if only_in.is_some() {
        return;
    }
    if let Some(hidden) = requirements::hidden_processes() {
        log::warn!("existing sockets of other network namespaces may be missing: {hidden}");
    }
}

/// Losses are told when they happen: in the data where it has a place for them, else on stderr.
pub fn tell_lost(lost: &Lost, clock: &ClockSample, json: bool, out: &mut BytesMut) {
    if json {
        let times = times(*clock);
        lost_json(out, &times, lost);
    } else {
        log::warn!(
            "{} records lost ({}); times that they touch are not told",
            lost.count,
            lost.why.name()
        );
    }
}
