//! What a trace comes to: scripts summed up.

use std::time::Duration;

use tcptrace::{
    event::{DumpEnd, Event},
    model::{
        change::{Dwell, End, Role},
        findings::{detector, limits::Limits},
        report::{Origin, Report, STATES, ServicePort, WAITING, dwells::Dwells, timeline::Bucket},
        since::Since,
        summary::Summary,
        tracker::Options,
    },
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};
use tcptrace_common::tcp_state::TcpState;

use crate::script::{START, event, process, shifted};

const SECOND: u64 = 1_000_000_000;

/// The report of a script, by limits of two seconds, with what was counted besides.
fn summed_up(script: &str) -> (Report, Summary) {
    let clock = ClockSample { boot: Timestamp(START), wall_ns: 0 };
    let limits = Limits::all(Duration::from_secs(2));
    let stuck = detector::Options { limits, ..detector::Options::default() };
    let mut pipeline = Pipeline::reported(Options::default(), stuck, clock);
    let mut report = Report::new(Origin::default(), &clock);
    // No socket is older than the trace.
    let end = DumpEnd { started: Timestamp(START), netns: Vec::new() };
    pipeline.feed(&Event::DumpEnd(end));
    let mut now = Timestamp(START);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["tick"] => pipeline.feed(&Event::Tick(now)),
            [time] if time.starts_with('+') => now = shifted(now, time),
            words => pipeline.feed(&event(words, now)),
        }
        let clock = *pipeline.clock();
        pipeline.shown().for_each(|change| report.add(&change, &clock));
    }
    pipeline.finish();
    let summary = pipeline.summary();
    report.finish(&summary.span);
    (report, summary)
}

fn dwells(report: &Report, state: TcpState) -> &Dwells {
    let slot = STATES.iter().position(|known| *known == state).expect("a state with a time");
    &report.dwells[slot]
}

/// A client that closes first, and a server whose connection the client closes.
const TWO_LIVES: &str = "
    A 7>2 own cli inode
    +1ms
    A 2>1 inode
    +200ms
    A 1>4 own cli shut=3 inode
    +2ms
    A 4>5 dead
    +1ms
    A 5>7 dead done
    +10s
    Q 10>3
    Q 3>1
    +1s
    Q 1>8 done inode
    +2s
    Q 8>9 own srv shut=3 done inode
    +1ms
    Q 9>7 dead done
    Q destroyed
";

#[test]
fn a_connection_counts_once_with_role_service_owner_and_end() {
    let (report, summary) = summed_up(TWO_LIVES);
    assert_eq!((report.opened, report.finished, summary.transitions()), (2, 2, 10));
    assert_eq!([Role::Active, Role::Passive].map(|role| report.roles.of(&role)), [1, 1]);
    for role in [Role::Active, Role::Passive] {
        assert_eq!(report.services.of(&ServicePort { role, port: 80 }), 1, "{role:?}");
    }
    for name in ["cli", "srv"] {
        assert_eq!(report.processes.of(&process(name)), 1, "{name}");
    }
    let ends: Vec<_> = End::ALL.iter().zip(report.ends).filter(|(_, count)| *count > 0).collect();
    assert_eq!(ends, [(&End::TimeWait, 1), (&End::LastAck, 1)]);
    assert_eq!(report.lifetimes.exact.count(), 2);
    assert_eq!(report.lifetimes.exact.max(), Some(3_001_000_000));
    assert_eq!(dwells(&report, TcpState::FinWait1).exact.max(), Some(2_000_000));
    assert_eq!(report.arrows.times(TcpState::FinWait2, TcpState::TimeWait), 1);
    assert_eq!(summary.span.ns(), Some(13_204_000_000 + 1_000_000));
}

#[test]
fn who_waits_is_counted_by_process_and_by_the_other_end() {
    let (report, _) = summed_up(TWO_LIVES);
    let [time_wait, close_wait] = &report.entered;
    assert_eq!(WAITING, [TcpState::TimeWait, TcpState::CloseWait]);
    assert_eq!(time_wait.processes.of(&process("cli")), 1);
    assert_eq!(time_wait.peers.of(&[10, 0, 0, 2].into()), 1);
    // Nobody knows yet whose it is when the peer's FIN arrives, but who closes it has had it.
    assert_eq!(close_wait.processes.of(&process("srv")), 1);
    assert_eq!(close_wait.processes.shares(9).unknown, 0);
    assert_eq!(close_wait.peers.of(&[10, 0, 0, 1].into()), 1);
}

#[test]
fn a_time_that_is_not_exact_has_no_part_in_the_quantiles() {
    let (report, _) = summed_up(
        "
        A row 1 inode
        dump 1
        +5s
        A 1>4 own cli shut=3 inode
        +2ms
        A 4>5 dead
        ",
    );
    let established = dwells(&report, TcpState::Established);
    assert_eq!((established.exact.count(), established.exact.at(0.5)), (0, None));
    assert_eq!(established.others(), 1);
    assert_eq!(dwells(&report, TcpState::FinWait1).exact.count(), 1);
}

#[test]
fn what_began_before_the_trace_has_no_lifetime_and_no_role() {
    let (report, _) = summed_up("R 1>7 err=104 done inode\n R destroyed");
    assert_eq!((report.opened, report.finished), (0, 1));
    assert_eq!((report.lifetimes.exact.count(), report.lifetimes.unknown), (0, 1));
    assert_eq!(report.roles.shares(9).unknown, 1);
    assert_eq!(report.services.shares(9).unknown, 1);
}

/// Three that nobody closes, one every ten seconds, seen after half a minute.
const LEAK: &str = "
    R 1>8 done inode
    +10s
    S 1>8 done inode
    +10s
    T 1>8 done inode
    +10s
    R row 8 inode
    S row 8 inode
    T row 8 inode
    dump 1
    R holder srv fd=9
    S holder srv fd=10
    T holder srv fd=11
    end
";

#[test]
fn a_leak_has_a_beginning_a_rate_and_somebody_who_holds_it() {
    let (report, summary) = summed_up(&format!("{LEAK}\n+2s\ntick"));
    let groups = report.findings.groups();
    let counts: u64 = groups.iter().map(|group| group.found).sum();
    assert_eq!((counts, report.findings.now(), report.findings.others()), (3, 3, 0));
    let end = summary.span.last.expect("there were events").at;
    assert_eq!(end, Timestamp(START + 32 * SECOND));
    let first = groups.iter().find(|group| group.since == Since::Exact(Timestamp(START)));
    let first = first.expect("the one that began first");
    assert_eq!(first.told.news[0].owners[0].process, process("srv"));
    assert_eq!(first.oldest(end), Dwell::Exact(32 * SECOND));
    // A service for each, as the other end is of a port of its own: each grew by one in 30 s, 20 s
    // and 10 s.
    let rates: Vec<_> = groups.iter().map(|group| group.per_minute(end)).collect();
    assert_eq!(rates, [Some(2.0), Some(3.0), Some(6.0)]);
    let stuck: Vec<u64> =
        report.timeline.buckets().iter().map(|bucket| bucket.stuck).filter(|n| *n > 0).collect();
    assert_eq!(stuck, [1, 1, 1]);
}

#[test]
fn who_is_found_holding_a_connection_has_entered_its_state() {
    let (report, _) = summed_up(&format!("{LEAK}\nU 1>8 done inode"));
    let [_, close_wait] = &report.entered;
    assert_eq!(close_wait.processes.of(&process("srv")), 3);
    assert_eq!(close_wait.processes.shares(9).unknown, 1);
}

#[test]
fn what_is_over_counts_no_more() {
    let (report, summary) = summed_up(&format!("{LEAK}\n+2s\nR 8>9 own srv shut=3 done inode"));
    assert_eq!(report.findings.now(), 2);
    let end = summary.span.last.expect("there were events").at;
    let over: Vec<_> = report
        .findings
        .groups()
        .iter()
        .filter(|group| group.now() == 0)
        .copied()
        .cloned()
        .collect();
    let [over] = over.as_slice() else {
        unreachable!("one was closed: {over:?}");
    };
    assert_eq!((over.found, over.resolved, over.per_minute(end)), (1, 1, Some(0.0)));
    let resolved: u64 = report.timeline.buckets().iter().map(|bucket| bucket.resolved).sum();
    assert_eq!(resolved, 1);
}

#[test]
fn over_less_than_ten_seconds_no_rate_is_told() {
    let (report, summary) = summed_up(
        "
        R 1>8 done inode
        +4s
        R row 8 inode
        dump 1
        end
        +7s
        tick
        ",
    );
    let end = summary.span.last.expect("there were events").at;
    let groups = report.findings.groups();
    assert_eq!(groups[0].per_minute(end), None);
    assert_eq!(groups[0].per_minute(Timestamp(end.0 + SECOND)), Some(6.0));
}

#[test]
fn the_timeline_reaches_over_all_of_the_trace() {
    let (report, _) = summed_up("A 7>2 own cli inode\n+60s\ntick");
    let buckets = report.timeline.buckets();
    assert_eq!(buckets.iter().map(|bucket| bucket.opened).sum::<u64>(), 1);
    assert_eq!(buckets.last(), Some(&Bucket::default()));
    let covered = buckets.len() as u64 * report.timeline.width_ns();
    assert!((60 * SECOND..=62 * SECOND).contains(&covered), "{covered}");
}
