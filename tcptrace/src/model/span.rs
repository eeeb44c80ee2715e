//! The span of a trace: how many events there were, and from when to when.

use crate::{
    event::Event,
    time::{ClockSample, Timestamp},
};

/// A moment, with the clock sample that tells where it stood on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The sample then in force.
    pub clock: ClockSample,
}

impl Moment {
    /// Nanoseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        self.clock.wall_ns(self.at)
    }
}

/// From when to when a trace tells, in event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Events of any kind.
    pub events: u64,
    /// The earliest moment that an event tells of.
    pub first: Option<Moment>,
    /// The latest.
    pub last: Option<Moment>,
}

impl Span {
    /// Takes an event into account.
    pub fn note(&mut self, event: &Event, clock: &ClockSample) {
        self.events += 1;
        let at = match event {
            Event::Transition(transition) => transition.at,
            Event::Hook(hook) => hook.at,
            Event::Socket(socket) => socket.at,
            Event::DumpEnd(end) => end.started,
            Event::Fork(fork) => fork.at,
            Event::Tick(at) | Event::SnapshotEnd(at) => *at,
            Event::Lost(lost) => lost.at,
            Event::Clock(sample) => sample.boot,
            Event::Holder(_) | Event::Process(_) | Event::Sysctls(_) => return,
        };
        self.reach(at, clock);
    }

    /// Nothing that happened before `at` is still to come.
    pub fn reach(&mut self, at: Timestamp, clock: &ClockSample) {
        let moment = Moment { at, clock: *clock };
        if self.first.is_none_or(|first| at < first.at) {
            self.first = Some(moment);
        }
        if self.last.is_none_or(|last| at > last.at) {
            self.last = Some(moment);
        }
    }

    /// Its length in nanoseconds; none if no event had a time.
    #[must_use]
    pub fn ns(&self) -> Option<u64> {
        self.last?.at.since(self.first?.at)
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockSample, Event, Span, Timestamp};
    use crate::event::{Comm, Holder, Process};

    #[test]
    fn a_span_reaches_from_the_earliest_to_the_latest_whatever_the_order() {
        let mut span = Span::default();
        assert_eq!(span.ns(), None);
        let before = ClockSample { boot: Timestamp(0), wall_ns: 1_000 };
        let after = ClockSample { boot: Timestamp(0), wall_ns: 5_000 };
        let process = Process { pid: 1, comm: Comm::from("init") };
        let holder = Holder { skaddr: None, cookie: None, inode: 1, process, fd: 3 };
        for (event, clock) in [
            (Event::Tick(Timestamp(50)), before),
            (Event::Holder(holder), before),
            (Event::Tick(Timestamp(20)), before),
            (Event::Tick(Timestamp(90)), after),
            (Event::Tick(Timestamp(60)), after),
        ] {
            span.note(&event, &clock);
        }
        assert_eq!((span.events, span.ns()), (5, Some(70)));
        assert_eq!(span.first.map(|first| first.wall_ns()), Some(1_020));
        assert_eq!(span.last.map(|last| last.wall_ns()), Some(5_090));
    }
}
