//! The events of a recording through the pipeline to stdout: the same as live, at once.

use anyhow::Result;
use bytes::BytesMut;

use crate::{
    live::{Outcome, Sink, Stop, write_out},
    pipeline::Pipeline,
    recording::Input,
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
    let mut stop = Stop::Expired;
    'reading: while let Some(events) = input.next_batch()? {
        for event in &events {
            pipeline.feed(event);
            tell(pipeline, sink, &mut out);
            if out.len() >= CHUNK && !write_out(&mut out)? {
                stop = Stop::StdoutClosed;
                break 'reading;
            }
        }
    }
    pipeline.finish();
    tell(pipeline, sink, &mut out);
    sink.flush(&mut out);
    if stop == Stop::Expired && !write_out(&mut out)? {
        stop = Stop::StdoutClosed;
    }
    for (path, tail) in input.tails() {
        if let Some(broken) = &tail.broken {
            log::warn!(
                "{} ends in the middle ({broken}); what came before is used",
                path.display()
            );
        }
        if tail.gap {
            log::warn!(
                "the file after {} does not go on where it ends; what came between is missing",
                path.display()
            );
        }
        if tail.skipped > 0 {
            log::warn!("{}: {} events of a kind not known here", path.display(), tail.skipped);
        }
    }
    Ok(Outcome { summary: pipeline.summary(), stop, incomplete: false })
}

fn tell(pipeline: &mut Pipeline, sink: &mut dyn Sink, out: &mut BytesMut) {
    let clock = *pipeline.clock();
    for change in pipeline.shown() {
        sink.change(&change, &clock, out);
    }
}
