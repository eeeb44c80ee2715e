//! The tracepoint's own view, where nothing is told from an event.

use tcptrace::{
    model::{change::Change, filter::Filter},
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};

use crate::{render::Renderer, script};

/// The lines of events a millisecond apart.
fn lines(events: &str) -> Vec<String> {
    let mut pipeline = Pipeline::raw(Filter::default(), ClockSample::default());
    for (number, mut event) in script::events(events).into_iter().enumerate() {
        if let tcptrace::event::Event::Transition(transition) = &mut event {
            transition.at = Timestamp(transition.at.0 + number as u64 * 1_000_000);
        }
        pipeline.feed(&event);
    }
    assert_eq!(pipeline.next_deadline(), None);
    assert_eq!(pipeline.wanted_dump(Timestamp(u64::MAX)), Some(vec![]));
    let mut renderer = Renderer::default();
    let told = pipeline.shown().filter(|change| !matches!(change, Change::Forgotten(_)));
    told.map(|change| renderer.change(&change)).collect()
}

#[test]
fn an_orphan_goes_to_close_and_has_no_reason() {
    assert_eq!(
        lines("A 7>2 own cli\nA 2>1 swapper\nA 1>4 own cli\nA 4>5 dead\nA 5>7 dead\nA 5>7"),
        [
            "A CLOSE -> SYN_SENT unknown event task cli",
            "A SYN_SENT -> ESTABLISHED 1ms exact event -",
            "A ESTABLISHED -> FIN_WAIT1 1ms exact event task cli",
            "A FIN_WAIT1 -> FIN_WAIT2 1ms exact event -",
            "A FIN_WAIT2 -> CLOSE 1ms exact event -",
            "A2 FIN_WAIT2 -> CLOSE unknown event -",
        ]
    );
}

#[test]
fn a_listener_is_one_connection_from_listen_to_close() {
    assert_eq!(
        lines("L 7>10 own srv\nL 10>7 own srv shut=3"),
        ["L CLOSE -> LISTEN unknown event task srv", "L LISTEN -> CLOSE 1ms exact event task srv"]
    );
}

#[test]
fn no_duration_spans_two_sockets_at_one_address_or_a_gap() {
    assert_eq!(
        lines("A 2>1\nA 1>8 cookie=66\nB 2>1\nB 8>9"),
        [
            "A SYN_SENT -> ESTABLISHED unknown event -",
            "A2 ESTABLISHED -> CLOSE_WAIT unknown event -",
            "B SYN_SENT -> ESTABLISHED unknown event -",
            "B CLOSE_WAIT -> LAST_ACK unknown event -",
        ]
    );
}

#[test]
fn whoever_destroys_a_socket_and_the_kernel_are_no_owners_here_either() {
    assert_eq!(
        lines("A 1>7 own ss err=103\nB 7>2 own kworker kernel"),
        ["A ESTABLISHED -> CLOSE unknown event -", "B CLOSE -> SYN_SENT unknown event -"]
    );
}

#[test]
fn dumps_hooks_and_time_add_nothing() {
    let told = lines("A row 1\nA mini 6 timer=+1s\ndump 1\nA destroyed\nA reset-sent\nlost 2");
    assert_eq!(told, ["2 lost"]);
}
