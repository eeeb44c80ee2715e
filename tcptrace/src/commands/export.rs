//! `export`: what was derived from a recording, as a file for other tools.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use tokio::runtime::Runtime;

use super::tracing::{self, WithLosses};
use crate::{
    cli::export_args::{ExportArgs, ExportFormat},
    export::{Destination, ParquetFile, Partitions, Table},
    live::{Sink, Stop, StopSignals},
    model::{change::Change, summary::Summary},
    output::{
        connections::Connections,
        progress::{self, export_progress},
        style::{Format, Style},
        summary::{exported_text, summary_json},
        times::Times,
        transitions::Transitions,
    },
    pipeline::Pipeline,
    recording::Input,
    replay,
    time::ClockSample,
};

/// Bytes that are written in one go.
const CHUNK: usize = 1 << 16;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command.
///
/// # Errors
/// If the recording cannot be read, or the export not be written to its end.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let filter = tracing::filter_recorded(&args.filter)?;
    let (input, options, clock) = tracing::open(&args.input)?;
    let pipeline = Pipeline::tracked(options, filter, clock);
    let table = args.table.into();
    let runtime = tracing::event_loop()?;
    // Before there is a file that a signal must not leave behind.
    let signals = runtime.block_on(async { StopSignals::new() })?;
    let mut reading = Reading {
        input,
        pipeline,
        runtime,
        signals,
        begun: Instant::now(),
        shows_progress: io::stderr().is_terminal() && log::log_enabled!(log::Level::Warn),
    };
    let times = tracing::times(clock);
    let files = match args.to {
        ExportFormat::Parquet if args.partition.is_empty() => {
            to_parquet(args, &mut reading, table, times)
        }
        ExportFormat::Parquet => to_partitions(args, &mut reading, table, times),
        ExportFormat::Csv => to_text(args, &mut reading, table, times, Format::Csv),
        ExportFormat::Ndjson => to_text(args, &mut reading, table, times, Format::Json),
    };
    reading.clear_progress();
    let files = files?;
    if log::log_enabled!(log::Level::Warn) {
        let summary = reading.pipeline.summary();
        let text = exported_text(&summary, rows(table, &summary), table.name(), files);
        // Nobody is left to be told if stderr is closed.
        _ = io::stderr().write_all(text.as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

/// One Parquet file.
fn to_parquet(
    args: &ExportArgs,
    reading: &mut Reading,
    table: Table,
    mut times: Times,
) -> Result<usize> {
    if args.output.as_os_str() == "-" && io::stdout().is_terminal() {
        bail!("parquet is not for a terminal: name a file with --output");
    }
    let metadata = reading.input.metadata().clone();
    let destination = Destination::open(&args.output, args.force)?;
    let not_written = destination.not_written();
    let not_written = || not_written.clone();
    let mut file = ParquetFile::new(destination, table, &metadata).with_context(not_written)?;
    let mut lost = 0;
    let is_all = reading.run(&mut |change, clock| {
        if let Change::Lost(told) = change {
            lost += told.count;
            tracing::tell_lost(told, clock, false, &mut BytesMut::new());
        }
        times.set_clock(*clock);
        file.push(change, &times).with_context(not_written)
    })?;
    if !is_all {
        bail!(INTERRUPTED);
    }
    file.finish(lost).and_then(Destination::finish).with_context(not_written)?;
    Ok(1)
}

/// A folder of Parquet files.
fn to_partitions(
    args: &ExportArgs,
    reading: &mut Reading,
    table: Table,
    mut times: Times,
) -> Result<usize> {
    let by: Vec<_> = args.partition.iter().map(|by| (*by).into()).collect();
    let metadata = reading.input.metadata().clone();
    let mut files = Partitions::new(&args.output, &by, table, &metadata, args.force)?;
    let is_all = reading.run(&mut |change, clock| {
        if let Change::Lost(told) = change {
            tracing::tell_lost(told, clock, false, &mut BytesMut::new());
        }
        times.set_clock(*clock);
        files.push(change, &times)
    })?;
    if !is_all {
        bail!(INTERRUPTED);
    }
    files.finish()
}

/// What the views print.
fn to_text(
    args: &ExportArgs,
    reading: &mut Reading,
    table: Table,
    times: Times,
    format: Format,
) -> Result<usize> {
    let style = Style::new(format);
    let json = format == Format::Json;
    match table {
        Table::Transitions => {
            let sink = Transitions::new(style, times);
            to_lines(args, reading, json, &mut WithLosses { sink, json })
        }
        Table::Connections => {
            let sink = Connections::new(style, times);
            to_lines(args, reading, json, &mut WithLosses { sink, json })
        }
    }
}

fn to_lines(
    args: &ExportArgs,
    reading: &mut Reading,
    json: bool,
    sink: &mut dyn Sink,
) -> Result<usize> {
    let destination = Destination::open(&args.output, args.force)?;
    let is_stream = destination.is_stream();
    let not_written = destination.not_written();
    let not_written = || not_written.clone();
    let mut file = BufWriter::with_capacity(CHUNK, destination);
    let mut out = BytesMut::new();
    sink.header(&mut out);
    let is_all = reading.run(&mut |change, clock| {
        sink.change(change, clock, &mut out);
        file.write_all(&out).with_context(not_written)?;
        out.clear();
        Ok(())
    })?;
    if !is_all && !is_stream {
        bail!(INTERRUPTED);
    }
    sink.flush(&mut out);
    if json {
        summary_json(&mut out, &reading.pipeline.summary());
    }
    file.write_all(&out).with_context(not_written)?;
    let destination = file.into_inner().map_err(io::IntoInnerError::into_error);
    destination.with_context(not_written)?.finish().with_context(not_written)?;
    Ok(1)
}

const INTERRUPTED: &str = "interrupted, and nothing was written: run it again";

/// What was exported, counted.
fn rows(table: Table, summary: &Summary) -> u64 {
    match table {
        Table::Transitions => summary.transitions(),
        Table::Connections => summary.connections,
    }
}

/// A recording on its way through the pipeline.
struct Reading {
    input: Input,
    pipeline: Pipeline,
    runtime: Runtime,
    signals: StopSignals,
    begun: Instant,
    shows_progress: bool,
}

impl Reading {
    /// Hands each change to `tell`; false if it was interrupted before the end.
    fn run(&mut self, tell: &mut dyn FnMut(&Change, &ClockSample) -> Result<()>) -> Result<bool> {
        let Self { input, pipeline, runtime, signals, begun, shows_progress } = self;
        let mut told = *begun;
        let mut report = |input: &Input, pipeline: &Pipeline| {
            if *shows_progress && told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                let transitions = pipeline.summary().transitions();
                let text = export_progress(begun.elapsed(), transitions, input.share());
                _ = io::stderr().write_all(text.as_bytes());
            }
        };
        let reading = replay::each_change(input, pipeline, tell, &mut report, signals);
        Ok(runtime.block_on(reading)? == Stop::Expired)
    }

    fn clear_progress(&self) {
        if self.shows_progress {
            _ = io::stderr().write_all(progress::CLEAR.as_bytes());
        }
    }
}
