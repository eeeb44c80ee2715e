//! What a run tells: events through the pipeline and the sink to text, live and in a replay the same.

use std::time::Duration;

use anyhow::Result;
use bytes::BytesMut;

use crate::{
    event::Event,
    live::{Sink, write_out},
    pipeline::Pipeline,
    time::Timestamp,
};

/// How long after an event time passes though nothing is due, so that a recording knows up to when it
/// tells everything. Where nothing happens, none need pass.
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Tells what events come to.
///
/// The text depends on the events and their order alone, and every event can be recorded: what is fed
/// to this live and what a replay reads again tell the same, byte for byte. So time passes by events
/// too, which is what [`Event::Tick`] is for.
pub struct Teller<'a> {
    pub(crate) pipeline: &'a mut Pipeline,
    sink: &'a mut dyn Sink,
    out: BytesMut,
    /// Up to when time has passed.
    ticked: Timestamp,
    /// Something came since.
    is_behind: bool,
}

impl std::fmt::Debug for Teller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("out", &self.out.len()).finish_non_exhaustive()
    }
}

impl<'a> Teller<'a> {
    /// Begins with what precedes the first line.
    pub fn new(pipeline: &'a mut Pipeline, sink: &'a mut dyn Sink) -> Self {
        let mut out = BytesMut::new();
        sink.header(&mut out);
        Self { pipeline, sink, out, ticked: Timestamp::default(), is_behind: true }
    }

    /// Takes in one event. What comes of it is formatted by the clock sample that is in force now, and
    /// with a tick what was held back to be told together.
    pub fn feed(&mut self, event: &Event) {
        self.pipeline.feed(event);
        self.format();
        self.is_behind = true;
        if let Event::Tick(now) = event {
            self.ticked = *now;
            self.is_behind = false;
            self.sink.flush(&mut self.out);
        }
    }

    /// Whether time should pass by now, by a tick that is fed: a line is due, or the last tick is long ago.
    #[must_use]
    pub fn wants_tick(&self, now: Timestamp) -> bool {
        self.pipeline.is_due(now) || self.is_behind && self.ticked + TICK_INTERVAL <= now
    }

    /// Ends the trace: tells what was still held back.
    pub fn finish(&mut self) {
        self.pipeline.finish();
        self.format();
        self.sink.flush(&mut self.out);
    }

    fn format(&mut self) {
        if self.pipeline.shows_nothing() {
            return;
        }
        let clock = *self.pipeline.clock();
        let Self { pipeline, sink, out, .. } = self;
        pipeline.tell_shown(|change| sink.change(change, &clock, out));
    }

    /// Bytes that are not written yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Hands what is formatted to stdout; false if nobody reads there any more.
    ///
    /// # Errors
    /// If stdout fails otherwise.
    pub fn write(&mut self) -> Result<bool> {
        write_out(&mut self.out)
    }
}
