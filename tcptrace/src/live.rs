//! The live loop: the kernel's events through the pipeline to stdout, until told to stop.

use std::{
    io::{self, ErrorKind, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcptrace_common::tcp_state::TcpState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep_until,
};

use crate::{
    event::{Event, Transition},
    kernel::{Dump, KernelSource, clock},
    model::{change::Change, summary::Summary},
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};

/// How often the wall clock is compared again; it may be set or slewed.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// A smaller shift of the wall clock is not worth an event.
const CLOCK_STEP_NS: u64 = 1_000_000;
/// Looking for owners and dumping sockets may take up to one part in this many of our time.
const COST_SHARE: u32 = 50;
/// The shortest time between two looks for owners.
const HOLDER_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two dumps.
const DUMP_INTERVAL: Duration = Duration::from_millis(250);

/// Batches taken in one go where the ring buffer should be empty afterwards: more than it can hold.
const MAX_BATCHES: usize = 8;

/// Writes one shown change as text.
pub type Writer<'a> = dyn FnMut(&Change, &ClockSample, &mut BytesMut) + 'a;

/// Keeps work whose cost is not known beforehand to a share of the time.
struct Budget {
    interval: Duration,
    ready_at: Instant,
}

impl Budget {
    fn new(interval: Duration) -> Self {
        Self { interval, ready_at: Instant::now() }
    }

    fn is_ready(&self) -> bool {
        Instant::now() >= self.ready_at
    }

    /// Notes that the work was done, from `begun` until now.
    fn spend(&mut self, begun: Instant) {
        self.ready_at = Instant::now() + self.interval.max(begun.elapsed() * COST_SHARE);
    }
}

/// One live run.
struct Live<'a> {
    source: &'a mut KernelSource,
    pipeline: &'a mut Pipeline,
    writer: &'a mut Writer<'a>,
    out: BytesMut,
    batch: Vec<Event>,
    holders: Budget,
    dumps: Budget,
    clock_at: Instant,
}

/// Why the loop ended.
#[derive(PartialEq, Eq)]
enum Stop {
    Asked,
    StdoutClosed,
}

/// Runs until a signal, the end of `duration`, or the reader of stdout going away. `header` is
/// written once the programs are attached and the existing sockets are known.
///
/// # Errors
/// If signals cannot be watched or stdout fails otherwise than by being closed.
pub async fn run(
    source: &mut KernelSource,
    pipeline: &mut Pipeline,
    header: BytesMut,
    writer: &mut Writer<'_>,
    duration: Option<Duration>,
) -> Result<Summary> {
    let mut stop = StopSignals::new(duration)?;
    let mut live = Live {
        source,
        pipeline,
        writer,
        out: header,
        batch: Vec::new(),
        holders: Budget::new(HOLDER_INTERVAL),
        dumps: Budget::new(DUMP_INTERVAL),
        clock_at: Instant::now(),
    };
    live.snapshot();
    let mut ended = live.write()?;
    while ended.is_none() {
        let limit = live.time_to_deadline();
        tokio::select! {
            biased;
            () = stop.wait() => ended = Some(Stop::Asked),
            () = live.source.wait(limit) => {}
        }
        ended = live.turn()?.or(ended);
    }
    live.drain_rest();
    live.pipeline.finish();
    if ended == Some(Stop::Asked) {
        live.write()?;
    }
    Ok(live.pipeline.summary())
}

impl Live<'_> {
    /// Existing sockets and their owners, merged with what has happened since attaching.
    fn snapshot(&mut self) {
        self.dump(None);
        self.look_for_holders();
    }

    /// One turn of the loop: what is in the ring buffer, then, if that was all, what time brings.
    fn turn(&mut self) -> Result<Option<Stop>> {
        let upto = self.source.drain(&mut self.batch);
        self.feed_batch();
        if let Some(upto) = upto {
            self.pipeline.advance_to(upto);
            self.sample_clock();
            self.dump_if_wanted(upto);
        }
        self.write()
    }

    /// What came until now, as the last of the run; bounded, or a flood would never let us end.
    fn drain_rest(&mut self) {
        self.drain_some();
        self.feed_batch();
    }

    fn drain_some(&mut self) {
        for _ in 0..MAX_BATCHES {
            if self.source.drain(&mut self.batch).is_some() {
                break;
            }
        }
    }

    fn feed_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        for (index, event) in batch.iter().enumerate() {
            if let Event::Transition(transition) = event
                && self.pipeline.wants_holder(transition)
                && self.holders.is_ready()
                && !speaks_for_itself(transition.skaddr, &batch[index + 1..])
            {
                self.look_for_holders();
            }
            self.pipeline.feed(event);
            self.format();
        }
        self.batch = batch;
        self.batch.clear();
    }

    fn look_for_holders(&mut self) {
        let begun = Instant::now();
        match self.source.holders() {
            Ok(holders) => {
                for holder in holders {
                    self.pipeline.feed(&Event::Holder(holder));
                }
            }
            Err(error) => log::warn!("owners cannot be looked up: {error:#}"),
        }
        self.holders.spend(begun);
    }

    fn dump_if_wanted(&mut self, now: Timestamp) {
        if !self.dumps.is_ready() {
            return;
        }
        match self.pipeline.wanted_dump(now) {
            Some(netns) if netns.is_empty() => {}
            wanted => self.dump(wanted.as_deref()),
        }
    }

    /// Dumps sockets and feeds them among the events of the same time.
    fn dump(&mut self, netns: Option<&[u32]>) {
        let begun = Instant::now();
        let Dump { sockets, end, failed } = self.source.dump(netns);
        if let Some((inode, problem)) = failed.first() {
            let level = if netns.is_none() { log::Level::Warn } else { log::Level::Debug };
            log::log!(
                level,
                "existing sockets of {} network namespaces are not known (first: {inode}, {problem})",
                failed.len()
            );
        }
        self.drain_some();
        self.batch.extend(sockets.into_iter().map(Event::Socket));
        // Stable, so that events of one socket stay in their order.
        self.batch.sort_by_key(time_of);
        self.feed_batch();
        if let Some(end) = end {
            self.pipeline.feed(&Event::DumpEnd(end));
            self.format();
        }
        self.dumps.spend(begun);
    }

    fn sample_clock(&mut self) {
        if self.clock_at.elapsed() < CLOCK_INTERVAL {
            return;
        }
        self.clock_at = Instant::now();
        let sample = clock::sample();
        let expected = self.pipeline.clock().wall_ns(sample.boot);
        if sample.wall_ns.abs_diff(expected) > CLOCK_STEP_NS {
            self.pipeline.feed(&Event::Clock(sample));
        }
    }

    fn format(&mut self) {
        let clock = *self.pipeline.clock();
        for change in self.pipeline.shown() {
            (self.writer)(&change, &clock, &mut self.out);
        }
    }

    /// Hands what is formatted to stdout. A reader that has gone ends the run.
    fn write(&mut self) -> Result<Option<Stop>> {
        self.format();
        Ok((!write_out(&mut self.out)?).then_some(Stop::StdoutClosed))
    }

    fn time_to_deadline(&self) -> Option<Duration> {
        let deadline = self.pipeline.next_deadline()?;
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
        Event::Socket(socket) => socket.at,
        // What was lost is told before what was not.
        Event::Lost(_) => Timestamp(0),
        Event::DumpEnd(end) => end.started,
        Event::Clock(sample) => sample.boot,
        Event::Holder(_) => Timestamp(u64::MAX),
    }
}

/// Writes `out` to stdout and empties it; false if nobody reads there any more.
///
/// # Errors
/// If stdout fails otherwise.
pub fn write_out(out: &mut BytesMut) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(out).and_then(|()| stdout.flush());
    out.clear();
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
        Ok(()) => Ok(!is_abandoned(&stdout)),
    }
}

/// Whether stdout is a pipe that nobody reads any more, which a quiet host would never notice.
fn is_abandoned(stdout: &io::StdoutLock<'_>) -> bool {
    let mut polled = [PollFd::new(stdout, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().contains(PollFlags::ERR)
}

/// What ends a run: SIGINT, SIGTERM or the end of its time.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<tokio::time::Instant>,
}

impl StopSignals {
    fn new(duration: Option<Duration>) -> Result<Self> {
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            deadline: duration.map(|duration| tokio::time::Instant::now() + duration),
        })
    }

    async fn wait(&mut self) {
        let deadline = self.deadline;
        let expired = async move {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = expired => {}
        }
    }
}
