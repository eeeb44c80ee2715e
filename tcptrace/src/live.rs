//! The live loop: the kernel's events through the pipeline to stdout, until told to stop.

mod budget;
mod checking;
mod command;
mod hangup;
mod leftovers;
mod looking;
mod stdout;
mod stop;

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::BytesMut;
use tcptrace_common::tcp_state::TcpState;

use budget::Budget;
pub use checking::run_command;
pub use command::{Command, Ended};
use hangup::Hangup;
pub use hangup::Hangups;
pub use stdout::write_out;
pub use stop::{Stop, StopSignals};

use crate::{
    event::{Event, Transition},
    kernel::{KernelSource, clock, sysctls},
    model::{change::Change, summary::Summary},
    pipeline::Pipeline,
    recording::Recorder,
    teller::Teller,
    time::{ClockSample, Timestamp},
};

/// How often the wall clock is compared again; it may be set or slewed.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// A smaller shift of the wall clock is not worth an event.
const CLOCK_STEP_NS: u64 = 1_000_000;
/// Looking for owners and dumping sockets may take up to one part in this many of our time.
const COST_SHARE: u32 = 50;
/// Snapshots that findings wait for may take up to one part in this many.
const SNAPSHOT_SHARE: u32 = 10;
/// The shortest time between two snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two looks for owners.
const HOLDER_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two dumps.
const DUMP_INTERVAL: Duration = Duration::from_millis(250);

/// Batches taken in one go where nothing should be left afterwards: twice as much as there is room for.
const MAX_BATCHES: usize = 16;

/// Turns changes into text.
pub trait Sink {
    /// What precedes the first change.
    fn header(&self, out: &mut BytesMut);
    /// Writes the change, if it is of interest. `clock` is the sample in force.
    fn change(&mut self, change: &Change, clock: &ClockSample, out: &mut BytesMut);
    /// Writes what was held back to be told together.
    fn flush(&mut self, out: &mut BytesMut) {
        _ = out;
    }
}

/// A recording of what a run takes in.
#[derive(Debug)]
pub struct Tee<'a> {
    /// Who writes it.
    pub recorder: &'a mut Recorder,
    /// What begins its next file.
    pub hangups: Hangups,
}

/// One live run.
struct Live<'a> {
    source: &'a mut KernelSource,
    teller: Teller<'a>,
    batch: Vec<Event>,
    holders: Budget,
    dumps: Budget,
    snapshots: Budget,
    /// For snapshots that no finding waits for.
    looks: Budget,
    clock_at: Instant,
    incomplete: bool,
    /// What is recorded, if anything is.
    recorder: Option<&'a mut Recorder>,
    /// The recording is to go on in another file.
    must_rotate: bool,
    /// Up to when everything has been taken in.
    upto: Timestamp,
    /// Why recording failed, once it has.
    failed: Option<anyhow::Error>,
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What was counted.
    pub summary: Summary,
    /// Why it ended.
    pub stop: Stop,
    /// Existing sockets, or who holds them, could not all be looked at.
    pub incomplete: bool,
}

/// Runs until a signal, the end of `duration`, or the reader of stdout going away. The header is
/// written once the programs are attached and the existing sockets are known.
///
/// # Errors
/// If signals cannot be watched or stdout fails otherwise than by being closed.
pub async fn run(
    source: &mut KernelSource,
    pipeline: &mut Pipeline,
    sink: &mut dyn Sink,
    tee: Option<Tee<'_>>,
    mut stop: StopSignals,
    duration: Option<Duration>,
) -> Result<Outcome> {
    stop.expire_after(duration);
    let mut live = Live::new(source, pipeline, sink);
    let mut hangups = Hangups::default();
    if let Some(tee) = tee {
        (live.recorder, hangups) = (Some(tee.recorder), tee.hangups);
    }
    live.snapshot();
    let mut ended = live.write()?;
    while ended.is_none() && live.failed.is_none() {
        let limit = live.time_to_deadline();
        tokio::select! {
            biased;
            why = stop.wait() => ended = Some(why),
            hangup = hangups.wait() => match hangup {
                Hangup::Asked => live.must_rotate = true,
                Hangup::TerminalGone => ended = Some(Stop::Signal),
            },
            () = live.source.wait(limit) => {}
        }
        ended = live.turn()?.or(ended);
    }
    live.finish(ended.unwrap_or(Stop::Expired))
}

/// Looks once at what there is now.
///
/// # Errors
/// If stdout fails otherwise than by being closed.
pub fn look(
    source: &mut KernelSource,
    pipeline: &mut Pipeline,
    sink: &mut dyn Sink,
) -> Result<Outcome> {
    let mut live = Live::new(source, pipeline, sink);
    live.snapshot();
    live.finish(Stop::Expired)
}

impl<'a> Live<'a> {
    fn new(
        source: &'a mut KernelSource,
        pipeline: &'a mut Pipeline,
        sink: &'a mut dyn Sink,
    ) -> Self {
        Self {
            source,
            teller: Teller::new(pipeline, sink),
            batch: Vec::new(),
            holders: Budget::new(HOLDER_INTERVAL, COST_SHARE),
            dumps: Budget::new(DUMP_INTERVAL, COST_SHARE),
            snapshots: Budget::new(SNAPSHOT_INTERVAL, SNAPSHOT_SHARE),
            looks: Budget::new(SNAPSHOT_INTERVAL, COST_SHARE),
            clock_at: Instant::now(),
            incomplete: false,
            recorder: None,
            must_rotate: false,
            upto: Timestamp::default(),
            failed: None,
        }
    }

    /// Takes in an event, and records it. There is no other way in, or a replay could not tell the same.
    fn feed(&mut self, event: &Event) {
        self.teller.feed(event);
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.add(event)
        {
            self.failed = Some(error);
        }
    }

    /// Everything up to `now` has been taken in. Time passes as often as that tells anything.
    fn reach(&mut self, now: Timestamp) {
        self.upto = now;
        if self.teller.wants_tick(now) {
            self.tick();
        }
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.advance_to(now)
        {
            self.failed = Some(error);
        }
    }

    fn tick(&mut self) {
        self.feed(&Event::Tick(self.upto));
    }

    /// Lets the recording go on in another file, which can be read alone: it begins with a snapshot.
    fn rotate_if_wanted(&mut self) {
        let asked = self.must_rotate;
        if !self.recorder.as_ref().is_some_and(|recorder| recorder.wants_rotation(asked)) {
            return;
        }
        // Snapshots are work, also those of files that are full at once.
        if !asked && !self.snapshots.is_ready() {
            return;
        }
        self.must_rotate = false;
        self.tick();
        let sample = clock::sample();
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.rotate(sample, sysctls::own())
        {
            self.failed = Some(error);
        }
        self.clock_at = Instant::now();
        self.feed(&Event::Clock(sample));
        self.snapshot();
    }

    /// Tells what came until now, as the last of the run.
    fn finish(&mut self, stop: Stop) -> Result<Outcome> {
        self.source.expect_losses();
        self.drain_rest();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.teller.finish();
        if stop != Stop::StdoutClosed {
            self.write()?;
        }
        let summary = self.teller.pipeline.summary();
        Ok(Outcome { summary, stop, incomplete: self.incomplete })
    }

    /// One turn of the loop: what the programs have written, then, if that was all, what time brings.
    fn turn(&mut self) -> Result<Option<Stop>> {
        self.step();
        self.write()
    }

    fn step(&mut self) {
        let upto = self.source.drain(&mut self.batch);
        self.feed_batch();
        if let Some(upto) = upto {
            self.reach(upto);
            self.sample_clock();
            self.rotate_if_wanted();
            if self.snapshots.is_ready()
                && self.teller.pipeline.wants_snapshot(upto, self.looks.is_ready())
            {
                self.snapshot();
            }
            self.dump_if_wanted(upto);
        }
    }

    /// What came until now, as the last of the run; bounded, or a flood would never let us end.
    fn drain_rest(&mut self) {
        let upto = self.drain_some();
        self.feed_batch();
        if let Some(upto) = upto {
            self.upto = upto;
            self.tick();
        }
    }

    /// Takes out what has come, and returns up to when that is all, if it is.
    fn drain_some(&mut self) -> Option<Timestamp> {
        (0..MAX_BATCHES).find_map(|_| self.source.drain(&mut self.batch))
    }

    fn feed_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        for (index, event) in batch.iter().enumerate() {
            if let Event::Transition(transition) = event
                && self.teller.pipeline.wants_holder(transition)
                && self.holders.is_ready()
                && !speaks_for_itself(transition.skaddr, &batch[index + 1..])
            {
                self.look_for_holders(false);
            }
            self.feed(event);
        }
        self.batch = batch;
        self.batch.clear();
    }

    fn sample_clock(&mut self) {
        if self.clock_at.elapsed() < CLOCK_INTERVAL {
            return;
        }
        self.clock_at = Instant::now();
        let sample = clock::sample();
        let expected = self.teller.pipeline.clock().wall_ns(sample.boot);
        if sample.wall_ns.abs_diff(expected) > CLOCK_STEP_NS {
            self.feed(&Event::Clock(sample));
        }
    }

    /// Hands what is formatted to stdout. A reader that has gone ends the run.
    fn write(&mut self) -> Result<Option<Stop>> {
        Ok((!self.teller.write()?).then_some(Stop::StdoutClosed))
    }

    fn time_to_deadline(&self) -> Option<Duration> {
        let deadline = self.teller.pipeline.next_deadline()?;
        let left = deadline.since(clock::now()).unwrap_or(0);
        Some(Duration::from_nanos(left).max(Duration::from_millis(10)))
    }
}

/// Whether a later event of the same batch names the owner, or the socket is gone by now anyway.
fn speaks_for_itself(skaddr: u64, later: &[Event]) -> bool {
    later.iter().any(|event| {
        matches!(event, Event::Transition(Transition { skaddr: other, to, socket, .. })
            if *other == skaddr
                && (*to == TcpState::Close || socket.is_some_and(|fields| fields.owned)))
    })
}

fn time_of(event: &Event) -> Timestamp {
    match event {
        Event::Transition(transition) => transition.at,
        Event::Hook(hook) => hook.at,
        Event::Fork(fork) => fork.at,
        Event::Socket(socket) => socket.at,
        // What was lost is told before what was not.
        Event::Lost(_) => Timestamp(0),
        Event::DumpEnd(end) => end.started,
        Event::Clock(sample) => sample.boot,
        Event::SnapshotEnd(at) | Event::Tick(at) => *at,
        Event::Holder(_) | Event::Process(_) | Event::Sysctls(_) => Timestamp(u64::MAX),
    }
}
