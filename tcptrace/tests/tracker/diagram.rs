//! What the tracker tells, against the state diagram.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tcptrace::{
    event::Event,
    model::{
        change::Change,
        diagram::{allows, arrows},
        tracker::{Options, Tracker},
    },
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState;

use crate::{random_events, script};

/// All that the kernel announces, 5.10 to 7.2.
const ANNOUNCED: &str = "7>10 10>7 7>2 2>1 2>3 2>7 10>3 3>1 3>4 3>8 3>7 1>4 1>8 1>7 4>5 4>11 4>7 \
                         5>7 11>7 8>9 8>7 9>7";
/// Later than any timer.
const LATE: Timestamp = Timestamp(u64::MAX / 2);

/// The arrows that come of these events.
fn told(events: &[Event]) -> BTreeSet<(TcpState, TcpState)> {
    let mut tracker = Tracker::new(Options::default());
    let mut changes = Vec::new();
    for event in events {
        tracker.apply(event, &mut changes);
    }
    tracker.advance_to(LATE, &mut changes);
    tracker.finish(&mut changes);
    let arrow = |change: &Change| match change {
        Change::Moved(moved) => Some((moved.from, moved.to)),
        _ => None,
    };
    changes.iter().filter_map(arrow).collect()
}

#[test]
fn what_the_kernel_announces_makes_up_the_whole_diagram() {
    let mut seen = BTreeSet::new();
    for announced in ANNOUNCED.split(' ') {
        for fields in 0..16 {
            let flag = |bit: u8, word: &'static str| if fields & bit == 0 { "" } else { word };
            let words = [flag(1, "own"), flag(2, "dead"), flag(4, "done"), flag(8, "err=104")];
            let line = format!("A {announced} {}", words.join(" "));
            seen.extend(told(&script::events(&line)));
        }
    }
    let diagram: BTreeSet<_> = arrows().map(|arrow| (arrow.from, arrow.to)).collect();
    assert_eq!(seen, diagram);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A strange transition is one that the kernel announced so: nothing that the tracker concludes,
    /// from dumps, timers or gaps, is against the diagram.
    #[test]
    fn nothing_strange_is_made_up(events in random_events::events(60)) {
        let announced: BTreeSet<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Transition(transition) => Some((transition.from, transition.to)),
                _ => None,
            })
            .collect();
        for (from, to) in told(&events) {
            let known = allows(from, to) || announced.contains(&(from, to));
            prop_assert!(known, "{from} to {to}");
        }
    }
}
