//! `record`: events to a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::BytesMut;

use super::tracing::{self, Trace, WithLosses};
use crate::{
    cli::record_args::RecordArgs,
    kernel::{clock, machine},
    live::{self, Sink},
    model::{change::Change, findings::detector},
    output::{
        progress::{self, progress},
        style::{Format, Style},
        summary::recorded_text,
        transitions::Transitions,
    },
    pipeline::Pipeline,
    recording::{Metadata, Recorder},
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
    };
    let stuck = detector::Options {
        limits: args.limits.limits(),
        filter: trace.filter.clone(),
        ..detector::Options::default()
    };
    tracing::event_loop()?.block_on(async {
        // Before the kernel is asked for anything: a file that exists is no reason to load programs.
        let file = Output::open(args)?;
        let clock = clock::sample();
        let mut source = tracing::start(&trace)?;
        let options = tracing::options(&source);
        let mut recorder = file.recorder(args, &metadata(clock, &options))?;
        let mut pipeline = Pipeline::recorded(options, trace.filter.clone(), stuck, clock);
        let lines = Transitions::new(style, tracing::times(clock));
        let mut sink = WithLosses { sink: Printed(args.print.then_some(lines)), json: false };
        let ran =
            live::run(&mut source, &mut pipeline, &mut sink, Some(&mut recorder), trace.duration)
                .await;
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
        let text = recorded_text(&summary, written.events, written.bytes);
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

fn metadata(clock: ClockSample, options: &crate::model::tracker::Options) -> Metadata {
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
    }
}

/// Where a recording goes.
enum Output {
    File(File),
    Stdout,
}

impl Output {
    fn open(args: &RecordArgs) -> Result<Self> {
        if args.output.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let path = args.output.display();
        if args.output.is_dir() {
            bail!("{path} is a folder: name a file");
        }
        let mut open = OpenOptions::new();
        open.write(true);
        if args.force {
            open.create(true).truncate(true);
        } else if !is_pipe(&args.output) {
            open.create_new(true);
        }
        match open.open(&args.output) {
            Ok(file) => Ok(Self::File(file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(anyhow!("{path} exists: name another file, or overwrite it with --force"))
            }
            Err(error) => Err(error).with_context(|| format!("cannot write {path}")),
        }
    }

    fn recorder(self, args: &RecordArgs, metadata: &Metadata) -> Result<Recorder> {
        let begun = Instant::now();
        let shows_progress = shows_progress(args);
        let report = move |now| {
            if shows_progress {
                _ = io::stderr().write_all(progress(begun.elapsed(), now).as_bytes());
            }
        };
        let compression = args.compress.into();
        match self {
            Self::File(file) if args.sync => {
                Recorder::new(metadata, compression, file, File::sync_data, report)
            }
            Self::File(file) => Recorder::new(metadata, compression, file, |_| Ok(()), report),
            Self::Stdout => Recorder::new(metadata, compression, io::stdout(), |_| Ok(()), report),
        }
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
