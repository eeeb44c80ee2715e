//! Scripts for findings: the language of `script.rs`, seen by a pipeline that looks for what is stuck.
//!
//! Options come first: `option for=2s`, `CLOSE_WAIT=5s`, `min=3`, `kind=closed_fd_leaked`, `state=8`,
//! `pid=srv`; without `for` all limits are two seconds, but for half-open requests ten. A snapshot is written as rows, `dump 1`, holders, settings, `end`; `wants` tells whether
//! one is wanted and when the next will be.

#![expect(clippy::panic, reason = "a script with a mistake is a failed test, with a message")]

use std::time::Duration;

use tcptrace::{
    event::{DumpEnd, Event},
    model::{
        change::Change,
        findings::{detector, kind::Kind, limits::Limits},
        tracker::Options,
    },
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};
use tcptrace_common::tcp_state::TcpState;

use crate::{
    render::{Renderer, duration},
    script::{START, event, number, process, shifted, state},
};

/// Runs `script` and compares the lines that come of it with `expected`.
pub(crate) fn check(script: &str, expected: &str) {
    let lines = run(script);
    let expected: Vec<_> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(
        lines == expected,
        "\n{script}\ngives\n  {}\ninstead of\n  {}",
        lines.join("\n  "),
        expected.join("\n  ")
    );
}

fn run(script: &str) -> Vec<String> {
    let mut now = Timestamp(START);
    let mut options = detector::Options { limits: usual_limits(), ..detector::Options::default() };
    let mut pipeline = None;
    let mut renderer = Renderer::default();
    let mut lines = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["option", words @ ..] = words.as_slice() {
            words.iter().for_each(|word| option(&mut options, word));
            continue;
        }
        let pipeline = pipeline.get_or_insert_with(|| start(&options));
        match words.as_slice() {
            ["tick"] => pipeline.feed(&Event::Tick(now)),
            ["wants"] => {
                let wants = if pipeline.wants_snapshot(now, true) { "wants" } else { "waits" };
                let next = pipeline.next_deadline().and_then(|at| at.since(now));
                lines.push(format!("{wants} next {}", next.map_or("-".to_owned(), duration)));
            }
            [time] if time.starts_with('+') => now = shifted(now, time),
            words => pipeline.feed(&event(words, now)),
        }
        for change in pipeline.shown() {
            lines.extend(renderer.change(&change).lines().map(|line| line.trim().to_owned()));
        }
    }
    lines
}

fn start(options: &detector::Options) -> Pipeline {
    let clock = ClockSample { boot: Timestamp(START), wall_ns: 0 };
    let mut pipeline = Pipeline::stuck(Options::default(), options.clone(), clock);
    // No socket is older than the trace.
    let end = DumpEnd { started: Timestamp(0), netns: Vec::new() };
    pipeline.feed(&Event::DumpEnd(end));
    pipeline.feed(&Event::SnapshotEnd(Timestamp(START)));
    let told: Vec<Change> = pipeline.shown().collect();
    assert!(told.is_empty(), "{told:?}");
    pipeline
}

fn option(options: &mut detector::Options, word: &str) {
    match word.split_once('=') {
        Some(("for", time)) => options.limits = limit(time),
        Some(("min", count)) => options.min_count = number(count),
        Some(("kind", kind)) => options.kinds.push(Kind::parse(kind).expect("a kind")),
        Some(("state", number)) => options.filter.states.push(state(number)),
        Some(("pid", name)) => options.filter.pids.push(process(name).pid),
        _ => panic!("no such option: {word}"),
    }
}

/// Half-open requests are looked for twice within their limit, which would blur what is due when.
fn usual_limits() -> Limits {
    let mut limits = limit("2s");
    limits.set(TcpState::SynRecv, Duration::from_secs(10));
    limits
}

fn limit(time: &str) -> Limits {
    let since_zero = shifted(Timestamp(0), &format!("+{time}"));
    Limits::all(Duration::from_nanos(since_zero.0))
}

/// Cases as tests: the name says what is expected, then come the script and its lines.
macro_rules! findings {
    ($($name:ident: $script:literal => $lines:literal)+) => {
        $(#[test]
        fn $name() {
            $crate::findings_script::check($script, $lines);
        })+
    };
}
pub(crate) use findings;
