//! A filter selects connections, not lines.

use std::collections::HashMap;

use proptest::prelude::*;
use tcptrace::{
    event::{DumpEnd, Event},
    model::{
        change::{Change, ConnectionId},
        filter::{Filter, Verdict},
        tracker::Options,
    },
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};
use tcptrace_common::tcp_state::TcpState;

use crate::{
    random_events::{START, events},
    script,
};

fn shown(filter: &Filter, events: &[Event]) -> Vec<Change> {
    let clock = ClockSample { boot: START, wall_ns: 0 };
    let mut pipeline = Pipeline::tracked(Options::default(), filter.clone(), clock);
    for event in events {
        pipeline.feed(event);
    }
    pipeline.feed(&Event::Tick(Timestamp(u64::MAX)));
    pipeline.finish();
    let silent = |change: &Change| matches!(change, Change::Forgotten(_) | Change::Released(_));
    pipeline.shown().filter(|change| !silent(change)).collect()
}

fn id_of(change: &Change) -> Option<ConnectionId> {
    match change {
        Change::Moved(moved) => Some(moved.identity.id),
        Change::Finished(finished) => Some(finished.identity.id),
        Change::Forgotten(id) => Some(*id),
        Change::Released(released) => Some(released.id),
        Change::Stuck(_) | Change::Resolved(_) | Change::Lost(_) => None,
    }
}

/// All lines of the connections of which one line matches, before any that rules them out.
fn lines_of_matching(filter: &Filter, all: &[Change]) -> HashMap<ConnectionId, Vec<Change>> {
    let mut verdicts = HashMap::new();
    let mut lines: HashMap<_, Vec<_>> = HashMap::new();
    for change in all {
        let Some(id) = id_of(change) else {
            continue;
        };
        lines.entry(id).or_default().push(change.clone());
        if let Change::Moved(moved) = change {
            let verdict = verdicts.entry(id).or_insert(Verdict::NotYet);
            if *verdict == Verdict::NotYet {
                *verdict = filter.judge(moved);
            }
        }
    }
    lines.retain(|id, _| verdicts[id] == Verdict::Yes);
    lines
}

fn filters() -> impl Strategy<Value = Filter> {
    let states = proptest::sample::subsequence(TcpState::ALL.to_vec(), 0..3);
    let ports = prop_oneof![Just(vec![]), Just(vec![4000]), Just(vec![4001, 5000])];
    let pids = prop_oneof![Just(vec![]), Just(vec![7])];
    (states, ports, pids, any::<bool>()).prop_map(|(states, local_ports, pids, netns)| Filter {
        states,
        local_ports,
        pids,
        netns: netns.then_some(1),
        ..Filter::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without dumps, which are not searched for what a filter rules out anyway.
    #[test]
    fn a_connection_that_matches_at_any_time_shows_all_its_lines_in_order(
        events in events(60),
        filter in filters(),
    ) {
        let events: Vec<_> = events
            .into_iter()
            .filter(|event| !matches!(event, Event::Socket(_) | Event::DumpEnd(_)))
            .collect();
        let mut expected = lines_of_matching(&filter, &shown(&Filter::default(), &events));
        let mut selected: HashMap<_, Vec<_>> = HashMap::new();
        for change in shown(&filter, &events) {
            if let Some(id) = id_of(&change) {
                selected.entry(id).or_default().push(change);
            }
        }
        for (id, lines) in selected {
            prop_assert_eq!(Some(lines), expected.remove(&id));
        }
        prop_assert!(expected.is_empty(), "not shown: {expected:?}");
    }

    #[test]
    fn no_filter_makes_the_tracker_lose_its_temper(events in events(60), filter in filters()) {
        shown(&filter, &events);
    }
}

/// Without events of other connections, that these are missing from a dump means nothing.
#[test]
fn what_a_filter_rules_out_is_neither_searched_for_nor_missed() {
    let filter = Filter { local_ports: vec![443], ..Filter::default() };
    let clock = ClockSample { boot: START, wall_ns: 0 };
    let mut pipeline = Pipeline::tracked(Options::default(), filter, clock);
    let at = |seconds: u64| Timestamp(START.0 + seconds * 1_000_000_000);
    let dump = |started| Event::DumpEnd(DumpEnd { started, netns: vec![1] });
    // The kernel lets an event without a local port pass, and drops what follows it.
    for event in script::events("A 7>2 own cli inode\nB row 1 inode\nC mini 5 timer=+9s") {
        pipeline.feed(&event);
    }
    pipeline.feed(&dump(at(1)));
    pipeline.feed(&dump(at(2)));
    pipeline.feed(&dump(at(3)));
    assert_eq!(pipeline.wanted_dump(at(20)), Some(vec![]));
    assert_eq!(pipeline.next_deadline(), None);
    assert_eq!(pipeline.summary().uncertain, 0);
    assert_eq!(pipeline.shown().next(), None);
}

#[test]
fn a_line_that_is_held_back_is_told_at_the_end_of_the_trace() {
    let clock = ClockSample { boot: START, wall_ns: 0 };
    let mut pipeline = Pipeline::tracked(Options::default(), Filter::default(), clock);
    for event in script::events("A 4>7 dead err=104") {
        pipeline.feed(&event);
    }
    assert_eq!(pipeline.shown().count(), 0);
    pipeline.finish();
    assert_eq!(pipeline.shown().count(), 2);
}
