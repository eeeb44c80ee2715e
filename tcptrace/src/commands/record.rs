//! `record`: events to a file.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;

use super::tracing::{self, Trace, WithLosses};
use crate::{
    cli::{filter_args, record_args::RecordArgs},
    kernel::{clock, machine, sysctls},
    live::{self, Hangups, Sink, StopSignals, Tee},
    model::change::Change,
    output::{
        progress::{self, progress},
        style::{Format, Style},
        summary::recorded_text,
        transitions::Transitions,
    },
    pipeline::Pipeline,
    recording::{Begin, Metadata, Output, Recorder, Rotation},
    time::ClockSample,
};

/// Runs the command.
///
/// # Errors
/// If this machine does not allow tracing, or the recording cannot be written to its end.
pub fn run(args: &RecordArgs, log_programs: bool) -> Result<ExitCode> {
    let style = Style::new(Format::Table);
    let trace = Trace {
        filter: tracing::filter(&args.filter)?,
        style,
        input: Vec::new(),
        duration: args.span.duration,
        raw: false,
        forks: false,
        log_programs,
        once: false,
        writes: Some(args.output.clone()).filter(|path| path.as_os_str() != "-"),
    };
    tracing::event_loop()?.block_on(async {
        // Before the kernel is asked for anything: a file that exists is no reason to load programs.
        let place = Place::open(args)?;
        let stop = StopSignals::new()?;
        let hangups = Hangups::new(place.rotation.is_some())?;
        let clock = clock::sample();
        let mut source = tracing::start(&trace)?;
        let options = tracing::options(&source);
        let metadata = metadata(clock, &options, filter_args::options(&trace.filter));
        let mut recorder = place.recorder(args, metadata)?;
        let mut pipeline = Pipeline::recorded(
            options,
            trace.filter.clone(),
            args.limits.limits(),
            clock,
            args.print,
        );
        let lines = Transitions::new(style, tracing::times(clock));
        let mut sink = WithLosses { sink: Printed(args.print.then_some(lines)), json: false };
        let tee = Tee { recorder: &mut recorder, hangups };
        let ran =
            live::run(&mut source, &mut pipeline, &mut sink, Some(tee), stop, trace.duration).await;
        let written = recorder.finish(clock::now());
        let (outcome, written) = match (ran, written) {
            (Ok(outcome), Ok(written)) => (outcome, written),
            // The reader of our stdout may have seen enough; that of a named pipe must have all.
            (Err(error), _) | (_, Err(error)) if args.output.as_os_str() != "-" => {
                bail!("{error:#}")
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let mut summary = outcome.summary;
        summary.lost.recorder_behind += written.lost;
        let text = recorded_text(&summary, &written);
        if log::log_enabled!(log::Level::Warn) {
            if shows_progress(args) {
                _ = io::stderr().write_all(progress::CLEAR.as_bytes());
            }
            // Nobody is left to be told if stderr is closed.
            _ = io::stderr().write_all(text.as_bytes());
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn metadata(
    clock: ClockSample,
    options: &crate::model::tracker::Options,
    filters: BTreeMap<String, String>,
) -> Metadata {
    let machine = machine::this();
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    Metadata {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        host: machine.host,
        kernel: machine.kernel,
        boot_id: machine.boot_id,
        clock,
        command_line: words.join(" "),
        reset_hook: options.reset_hook,
        destroy_hook: options.destroy_hook,
        run: clock.boot,
        part: 1,
        filters,
        sysctls: sysctls::own(),
    }
}

/// Where a recording goes, and whether that can be followed by another file.
struct Place {
    first: Output,
    rotation: Option<Rotation>,
}

impl Place {
    fn open(args: &RecordArgs) -> Result<Self> {
        if args.output.as_os_str() == "-" {
            return Ok(Self {
                first: Output::new("standard output", io::stdout()),
                rotation: None,
            });
        }
        let path = args.output.display();
        if args.output.is_dir() {
            bail!("{path} is a folder: name a file");
        }
        let keep = args.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
        let mut rotation = Rotation::new(&args.output, keep, args.sync);
        let is_pipe = is_pipe(&args.output);
        if args.rotate.is_some() {
            if is_pipe {
                bail!("--rotate needs files, and {path} is none: name a file");
            }
            let first = rotation.begin(clock::sample().wall_ns)?;
            return Ok(Self { first, rotation: Some(rotation) });
        }
        let mut open = OpenOptions::new();
        open.write(true);
        if args.force {
            open.create(true).truncate(true);
        } else if !is_pipe {
            open.create_new(true);
        }
        let file = match open.open(&args.output) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{path} exists: name another file, or overwrite it with --force")
            }
            opened => opened.with_context(|| {
                format!("cannot write {path}: record into a folder that is there and has room")
            })?,
        };
        let first = Output::file(&args.output, file, args.sync)
            .with_context(|| format!("cannot write {path}"))?;
        Ok(Self { first, rotation: (!is_pipe).then(|| rotation.after_first()) })
    }

    /// Begins to record.
    fn recorder(self, args: &RecordArgs, metadata: Metadata) -> Result<Recorder> {
        let started = Instant::now();
        let shows_progress = shows_progress(args);
        let report = move |now| {
            if shows_progress {
                _ = io::stderr().write_all(progress(started.elapsed(), now).as_bytes());
            }
        };
        let begin: Begin = match self.rotation {
            Some(mut rotation) => Box::new(move |wall_ns| rotation.begin(wall_ns)),
            None => Box::new(|_| bail!("a pipe is followed by no other file")),
        };
        let rotate = args.rotate.unwrap_or_default();
        Recorder::new(metadata, args.compress.into(), self.first, begin, rotate, report)
    }
}

fn shows_progress(args: &RecordArgs) -> bool {
    io::stderr().is_terminal() && !args.print
}

/// A named pipe, or another file that is none, exists on purpose.
fn is_pipe(path: &std::path::Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Prints lines, if they were asked for.
struct Printed(Option<Transitions>);

impl Sink for Printed {
    fn header(&self, out: &mut BytesMut) {
        if let Some(lines) = &self.0 {
            lines.header(out);
        }
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut) {
        if let Some(lines) = &mut self.0 {
            lines.change(change, clock, out);
        }
    }
}
