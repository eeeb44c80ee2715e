//! The events of a recording through the pipeline to stdout: the same as live, at once.

use anyhow::Result;
use bytes::BytesMut;

use crate::{
    live::{Outcome, Sink, Stop, write_out},
    model::change::Change,
    pipeline::Pipeline,
    recording::Input,
    time::ClockSample,
};

/// Bytes that are written in one go.
const CHUNK: usize = 1 << 16;

/// Runs all of `input`, or until the reader of stdout goes away.
///
/// # Errors
/// If nothing of it can be read, or stdout fails otherwise than by being closed.
pub fn run(input: &mut Input, pipeline: &mut Pipeline, sink: &mut dyn Sink) -> Result<Outcome> {
    let mut out = BytesMut::new();
    sink.header(&mut out);
    let mut is_read = true;
    while is_read
        && step(input, pipeline, &mut |change, clock| {
            sink.change(change, clock, &mut out);
            is_read = out.len() < CHUNK || write_out(&mut out)?;
            Ok(is_read)
        })?
    {}
    sink.flush(&mut out);
    is_read = is_read && write_out(&mut out)?;
    note_tails(input);
    let stop = if is_read { Stop::Expired } else { Stop::StdoutClosed };
    Ok(Outcome { summary: pipeline.summary(), stop, incomplete: false })
}

/// Runs the next batch of `input`, or its end, and hands each change to `tell` until that says false.
/// Returns whether there is more.
///
/// # Errors
/// If nothing of it can be read, or `tell` fails.
pub fn step(
    input: &mut Input,
    pipeline: &mut Pipeline,
    tell: &mut dyn FnMut(&Change, &ClockSample) -> Result<bool>,
) -> Result<bool> {
    let Some(events) = input.next_batch()? else {
        pipeline.finish();
        tell_all(pipeline, tell)?;
        return Ok(false);
    };
    for event in &events {
        pipeline.feed(event);
        if !tell_all(pipeline, tell)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell_all(
    pipeline: &mut Pipeline,
    tell: &mut dyn FnMut(&Change, &ClockSample) -> Result<bool>,
) -> Result<bool> {
    let clock = *pipeline.clock();
    for change in pipeline.shown() {
        if !tell(&change, &clock)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says what of `input` could not be used.
pub fn note_tails(input: &Input) {
    for (path, tail) in input.tails() {
        if let Some(broken) = &tail.broken {
            log::warn!(
                "{} ends in the middle ({broken}); what came before is used",
                path.display()
            );
        }
        if tail.skipped > 0 {
            log::warn!("{}: {} events of a kind not known here", path.display(), tail.skipped);
        }
    }
}
