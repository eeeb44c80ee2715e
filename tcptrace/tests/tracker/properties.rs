//! What holds for every order of events.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use proptest::prelude::*;
use tcptrace::{
    event::{DumpEnd, Event},
    model::{
        change::{Change, ConnectionId, Dwell, End, Finished, Moved},
        tracker::{Options, Tracker},
    },
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState;

use crate::random_events::{START, absurd_events, events};

/// Dump rows lie up to 1.2 ms before the event that they come after.
const BEGIN: Timestamp = Timestamp(START.0 - 1_200_000);

fn small() -> Options {
    Options { max_connections: 2, max_minisocks: 1, ..Options::default() }
}

/// Checks line after line that a story can be true.
#[derive(Default)]
struct Judge {
    /// The last line of each connection.
    last: HashMap<ConnectionId, Moved>,
    /// When sockets came to CLOSE.
    closes: HashSet<(Option<u64>, Timestamp)>,
    finished: HashMap<ConnectionId, End>,
    over: HashSet<ConnectionId>,
}

impl Judge {
    fn hear(&mut self, change: &Change) {
        match change {
            Change::Moved(moved) => self.moved(moved),
            Change::Finished(finished) => self.finished(finished),
            Change::Forgotten(id) => assert!(self.over.insert(*id), "{id} is over already"),
            Change::Released(_) | Change::Stuck(_) | Change::Resolved(_) | Change::Lost(_) => {}
        }
    }

    fn moved(&mut self, moved: &Moved) {
        let id = moved.identity.id;
        assert!(!self.over.contains(&id), "a line after the end: {moved:?}");
        assert_ne!(moved.from, moved.to);
        let before = self.last.insert(id, *moved);
        if let Some(before) = before {
            assert!(before.at <= moved.at, "{before:?} then {moved:?}");
            let follows = before.to == moved.from;
            let known = matches!(moved.dwell, Dwell::Exact(_) | Dwell::Estimated(_));
            assert!(follows || !known, "a gap has no duration: {before:?} then {moved:?}");
        }
        self.dwell(moved, before);
        if moved.to == TcpState::Close {
            self.closes.insert((moved.identity.skaddr, moved.at));
            if matches!(moved.from, TcpState::Listen | TcpState::TimeWait) {
                self.over.insert(id);
            }
        }
    }

    fn dwell(&self, moved: &Moved, before: Option<Moved>) {
        match moved.dwell {
            Dwell::Exact(ns) => {
                let entered = Timestamp(moved.at.0.checked_sub(ns).expect("a past moment"));
                let by_event = match before {
                    Some(before) => before.at == entered && before.to == moved.from,
                    None => self.closes.contains(&(moved.identity.skaddr, entered)),
                };
                assert!(by_event, "no event at {entered:?} for {moved:?}");
            }
            Dwell::AtLeast(ns) => {
                assert!(Some(ns) <= moved.at.since(BEGIN), "{moved:?}");
            }
            Dwell::Estimated(ns) => assert!(ns <= moved.at.0, "{moved:?}"),
            Dwell::Unknown => {}
        }
    }

    fn finished(&mut self, finished: &Finished) {
        let id = finished.identity.id;
        assert!(!self.over.contains(&id), "an end after the end: {finished:?}");
        assert!(self.finished.insert(id, finished.end).is_none(), "a second end: {finished:?}");
        let last = self.last[&id];
        assert_eq!((last.at, last.owner), (finished.closed, finished.owner));
        let spent: u64 = finished.states.iter().flatten().sum();
        let begin = finished.opened.unwrap_or(BEGIN);
        assert!(Some(spent) <= finished.closed.since(begin), "{finished:?}");
        if finished.end == End::TimeWait {
            assert_eq!(last.to, TcpState::TimeWait);
        } else {
            assert_eq!(last.to, TcpState::Close);
            self.over.insert(id);
        }
    }
}

pub(crate) fn time_of(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Transition(transition) => Some(transition.at),
        Event::Hook(hook) => Some(hook.at),
        Event::Socket(socket) => Some(socket.at),
        Event::DumpEnd(end) => Some(end.started),
        Event::Holder(_)
        | Event::Fork(_)
        | Event::Process(_)
        | Event::Sysctls(_)
        | Event::SnapshotEnd(_)
        | Event::Tick(_)
        | Event::Lost(_)
        | Event::Clock(_) => None,
    }
}

fn applied(options: &Options, events: &[Event]) -> (Tracker, Vec<Change>) {
    let mut tracker = Tracker::new(options.clone());
    let mut changes = Vec::new();
    for event in events {
        tracker.apply(event, &mut changes);
        assert!(tracker.len() <= options.max_connections, "{} followed", tracker.len());
    }
    (tracker, changes)
}

fn end_of(events: &[Event]) -> Timestamp {
    let times = events.iter().filter_map(|event| match event {
        Event::Lost(lost) => Some(lost.at),
        event => time_of(event),
    });
    times.max().unwrap_or(START) + Duration::from_secs(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_story_that_is_told_can_be_true(events in events(60)) {
        let (mut tracker, mut changes) = applied(&Options::default(), &events);
        tracker.advance_to(Timestamp(u64::MAX), &mut changes);
        let mut judge = Judge::default();
        changes.iter().for_each(|change| judge.hear(change));
        prop_assert_eq!(tracker.summary().connections, judge.finished.len() as u64);
        prop_assert_eq!(tracker.summary().evicted, 0);
        let lost = events.iter().filter(|event| matches!(event, Event::Lost(_))).count();
        prop_assert_eq!(tracker.summary().lost.total(), lost as u64);
    }

    #[test]
    fn small_tables_are_never_overfull_and_tell_true_stories_too(events in events(60)) {
        let (mut tracker, mut changes) = applied(&small(), &events);
        tracker.advance_to(Timestamp(u64::MAX), &mut changes);
        let mut judge = Judge::default();
        changes.iter().for_each(|change| judge.hear(change));
        let forgotten = changes.iter().filter(|change| matches!(change, Change::Forgotten(_)));
        let summary = tracker.summary();
        prop_assert!(forgotten.count() as u64 <= summary.evicted + summary.uncertain);
    }

    #[test]
    fn not_even_absurd_events_upset_the_tracker(events in absurd_events(60)) {
        let (mut tracker, mut changes) = applied(&small(), &events);
        tracker.advance_to(Timestamp(u64::MAX), &mut changes);
        tracker.finish(&mut changes);
    }

    #[test]
    fn without_hooks_the_stories_are_true_as_well(events in events(60)) {
        let options = Options { reset_hook: false, destroy_hook: false, ..Options::default() };
        let (_, changes) = applied(&options, &events);
        let mut judge = Judge::default();
        changes.iter().for_each(|change| judge.hear(change));
    }

    /// Live time passes between the events too, in a replay only with them.
    #[test]
    fn telling_the_time_more_often_changes_no_line(
        events in events(60),
        shares in proptest::collection::vec(0..=4_u64, 60),
    ) {
        let end = end_of(&events);
        let (mut replay, mut expected) = applied(&Options::default(), &events);
        replay.advance_to(end, &mut expected);

        let mut live = Tracker::new(Options::default());
        let mut changes = Vec::new();
        let mut now = START;
        for (index, event) in events.iter().enumerate() {
            // No earlier event may come afterwards.
            let limit = events[index..].iter().filter_map(time_of).min().unwrap_or(end);
            if limit > now {
                now = Timestamp(now.0 + (limit.0 - now.0) / 4 * shares[index]);
                live.advance_to(now, &mut changes);
            }
            live.apply(event, &mut changes);
        }
        live.advance_to(end, &mut changes);
        // A loss is told when it is noticed, which is no moment of the events' time.
        let lines = |changes: Vec<Change>| -> Vec<_> {
            changes.into_iter().filter(|change| !matches!(change, Change::Lost(_))).collect()
        };
        let (changes, expected) = (lines(changes), lines(expected));
        let differ = changes.iter().zip(&expected).find(|(one, other)| one != other);
        prop_assert_eq!(differ, None);
        prop_assert_eq!(changes.len(), expected.len());
        prop_assert_eq!(live.summary(), replay.summary());
    }

    #[test]
    fn nothing_stays_due_once_it_was_seen_to(events in events(60)) {
        let (mut tracker, mut changes) = applied(&Options::default(), &events);
        let mut now = end_of(&events);
        // Four sockets have a handful of deadlines between them, each met by a dump that is empty.
        for _ in 0..20 {
            tracker.advance_to(now, &mut changes);
            if tracker.next_deadline().is_some_and(|at| at <= now) {
                prop_assert!(tracker.wanted_dump(now).is_none_or(|netns| !netns.is_empty()));
            }
            tracker.apply(&Event::DumpEnd(DumpEnd { started: now, netns: vec![1, 2] }), &mut changes);
            prop_assert!(tracker.next_deadline().is_none_or(|at| at > now));
            now = tracker.next_deadline().unwrap_or(now).max(now + Duration::from_millis(250));
        }
        prop_assert_eq!(tracker.next_deadline(), None);
        prop_assert_eq!(tracker.wanted_dump(now), Some(Vec::new()));
    }
}
