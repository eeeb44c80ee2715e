//! The events of a recording through the pipeline to stdout: the same as live.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use crate::{
    event::Event,
    live::{Outcome, Sink, Stop, StopSignals},
    model::change::Change,
    pipeline::{GROUP, Pipeline},
    recording::Input,
    teller::Teller,
    time::{ClockSample, Timestamp},
};

/// Bytes that are written in one go.
const CHUNK: usize = 1 << 16;
/// Waiting for less than this is not worth the while.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
/// Who is later than this was stopped (Ctrl-Z) or could not write, and goes on from where it was.
const LATE: Duration = Duration::from_millis(500);

/// How fast a recording is played back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it happened; above 0.
    Times(f64),
    /// As fast as it can be read.
    Max,
}

/// Runs all of `input`, or until a signal or the reader of stdout going away.
///
/// # Errors
/// If signals cannot be watched, nothing of it can be read, or stdout fails otherwise than by being
/// closed.
pub async fn run(
    input: &mut Input,
    pipeline: &mut Pipeline,
    sink: &mut dyn Sink,
    speed: Speed,
) -> Result<Outcome> {
    let mut signals = StopSignals::new()?;
    let mut pace = Pace::new(speed, input.metadata().clock.boot);
    let mut teller = Teller::new(pipeline, sink);
    let mut stop = Stop::Expired;
    'reading: while let Some(events) = input.next_batch()? {
        tokio::select! {
            biased;
            why = signals.wait() => { stop = why; break }
            () = yield_now() => {}
        }
        for (index, event) in events.iter().enumerate() {
            if index.is_multiple_of(GROUP) {
                teller.pipeline.expect(&events[index..events.len().min(index + GROUP)]);
            }
            if let Some(due) = pace.as_mut().and_then(|pace| pace.due(event)) {
                if !teller.write()? {
                    stop = Stop::StdoutClosed;
                    break 'reading;
                }
                tokio::select! {
                    biased;
                    why = signals.wait() => { stop = why; break 'reading }
                    () = sleep_until(due) => {}
                }
            }
            teller.feed(event);
            if teller.waiting() >= CHUNK && !teller.write()? {
                stop = Stop::StdoutClosed;
                break 'reading;
            }
        }
    }
    teller.finish();
    if stop != Stop::StdoutClosed && !teller.write()? {
        stop = Stop::StdoutClosed;
    }
    note_tails(input);
    Ok(Outcome { summary: pipeline.summary(), stop, incomplete: false })
}

/// Hands each change to `tell`, and how far it is to `report` after each batch, until the end of `input`
/// or a signal.
///
/// # Errors
/// If nothing of it can be read, or `tell` fails.
pub async fn each_change(
    input: &mut Input,
    pipeline: &mut Pipeline,
    tell: &mut dyn FnMut(&Change, &ClockSample) -> Result<()>,
    report: &mut dyn FnMut(&Input, &Pipeline),
    signals: &mut StopSignals,
) -> Result<Stop> {
    let mut stop = Stop::Expired;
    while let Some(events) = input.next_batch()? {
        tokio::select! {
            biased;
            why = signals.wait() => { stop = why; break }
            () = yield_now() => {}
        }
        for group in events.chunks(GROUP) {
            pipeline.expect(group);
            for event in group {
                pipeline.feed(event);
                let clock = *pipeline.clock();
                pipeline.shown().try_for_each(|change| tell(&change, &clock))?;
            }
        }
        report(input, pipeline);
    }
    pipeline.finish();
    let clock = *pipeline.clock();
    pipeline.shown().try_for_each(|change| tell(&change, &clock))?;
    note_tails(input);
    Ok(stop)
}

fn note_tails(input: &Input) {
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
}

/// When events are due.
#[derive(Debug)]
struct Pace {
    speed: f64,
    /// An instant, and the event time that belongs to it.
    begun: (Instant, Timestamp),
}

impl Pace {
    fn new(speed: Speed, begin: Timestamp) -> Option<Self> {
        match speed {
            Speed::Times(speed) => Some(Self { speed, begun: (Instant::now(), begin) }),
            Speed::Max => None,
        }
    }

    /// Until when to wait before the event is told, if it is worth waiting.
    fn due(&mut self, event: &Event) -> Option<Instant> {
        // The others belong to these.
        let at = match event {
            Event::Transition(transition) => transition.at,
            Event::Hook(hook) => hook.at,
            Event::Tick(at) => *at,
            _ => return None,
        };
        self.due_at(at, Instant::now())
    }

    fn due_at(&mut self, at: Timestamp, now: Instant) -> Option<Instant> {
        let (begun, begin) = self.begun;
        let after = Duration::from_nanos(at.since(begin)?).div_f64(self.speed);
        let due = begun + after;
        if now.saturating_duration_since(due) > LATE {
            self.begun = (now, at);
        }
        (due > now + SHORTEST_WAIT).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Pace, Speed, Timestamp};

    #[test]
    fn events_are_due_at_their_own_pace_also_after_a_pause() {
        let second = 1_000_000_000;
        let mut pace = Pace::new(Speed::Times(10.0), Timestamp(5 * second)).expect("a pace");
        let begun = pace.begun.0;
        let at = |millis| begun + Duration::from_millis(millis);
        assert_eq!(pace.due_at(Timestamp(6 * second), begun), Some(at(100)));
        assert_eq!(pace.due_at(Timestamp(6 * second), at(100)), None, "now");
        assert_eq!(pace.due_at(Timestamp(5 * second), at(100)), None, "it came late");
        assert_eq!(pace.due_at(Timestamp(4 * second), at(100)), None, "before the beginning");
        // Stopped for a minute: the next second takes a tenth of a second, no less.
        assert_eq!(pace.due_at(Timestamp(7 * second), at(60_000)), None);
        assert_eq!(pace.due_at(Timestamp(8 * second), at(60_000)), Some(at(60_100)));
        assert!(Pace::new(Speed::Max, Timestamp(0)).is_none());
        assert!(Instant::now() >= begun);
    }
}
