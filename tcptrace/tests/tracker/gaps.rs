//! Losses: no duration across a gap, no connection mistaken for another, everything counted.

use tcptrace::{
    event::{DumpEnd, Event, Lost, LostWhy},
    model::{filter::Filter, findings::limits::Limits, tracker::Options},
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};

use crate::{cases, random_events::START};

/// Whoever reads the recording learns from the second dump whose end was missed.
#[test]
fn after_a_loss_a_recorder_looks_twice() {
    let clock = ClockSample { boot: START, wall_ns: 0 };
    let (options, limits) = (Options::default(), Limits::default());
    let mut pipeline = Pipeline::recorded(options, Filter::default(), limits, clock, false);
    let at = |milliseconds: u64| Timestamp(START.0 + milliseconds * 1_000_000);
    let dump = |started| Event::DumpEnd(DumpEnd { started, netns: vec![1] });
    let mut wants_all_after = |event: Event| {
        pipeline.feed(&event);
        pipeline.wanted_dump(at(20)).is_none()
    };
    assert!(!wants_all_after(dump(at(1))));
    assert!(wants_all_after(Event::Lost(Lost { at: at(3), count: 1, why: LostWhy::RingFull })));
    assert!(wants_all_after(dump(at(2))), "it began before the loss was noticed");
    assert!(wants_all_after(dump(at(4))), "it is the first");
    assert!(!wants_all_after(dump(at(5))));
}

cases! {
    a_loss_is_told_and_wants_a_dump_of_everything: "
        wants
        lost 3
        wants
        state
        +1ms
        dump 1
        wants
    " => "
        wants nothing next never
        3 lost
        wants all next never
        followed 0 ended 0 uncertain 0 evicted 0 lost 3
        wants nothing next never
    "

    a_dump_that_began_before_the_loss_was_noticed_does_not_settle_it: "
        lost 3
        dump 1 began=-1ms
        wants
    " => "
        3 lost
        wants all next never
    "

    no_duration_is_computed_across_a_gap: "
        A 7>2 own cli inode
        +1ms
        A 2>1 inode
        +1s
        lost 1
        A 4>5 dead
        +1ms
        A 5>7 dead done
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event opener cli
        1 lost
        A FIN_WAIT1 -> FIN_WAIT2 unknown event opener cli
        A FIN_WAIT2 -> TIME_WAIT 1ms exact classified opener cli
        A over: active time_wait 1002ms SYN_SENT=1ms FIN_WAIT2=1ms
        followed 0 ended 1 uncertain 1 evicted 0 lost 1
    "

    an_orphan_after_a_gap_has_no_known_duration: "
        A row 1 inode
        A 5>7 dead
        +66s
        tick
        state
    " => "
        A FIN_WAIT2 -> CLOSE unknown derived none
        A over: ? ? ?
        followed 0 ended 1 uncertain 1 evicted 0 lost 0
    "

    before_the_first_dump_an_unknown_socket_is_only_older_than_the_trace: "
        option not-compared
        A 1>8 done inode
        state
    " => "
        A ESTABLISHED -> CLOSE_WAIT unknown event -
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    an_unknown_socket_is_followed_from_its_first_event_on: "
        A 1>8 done inode
        +1s
        A 8>9 own srv shut=3 inode done
        state
    " => "
        A ESTABLISHED -> CLOSE_WAIT unknown event -
        A CLOSE_WAIT -> LAST_ACK 1s exact event task srv
        followed 1 ended 0 uncertain 1 evicted 0 lost 0
    "

    another_cookie_at_the_same_address_is_another_connection: "
        A row 1 inode
        +1s
        A 1>8 done inode cookie=66
        state
    " => "
        A forgotten
        A2 ESTABLISHED -> CLOSE_WAIT unknown event -
        followed 1 ended 0 uncertain 2 evicted 0 lost 0
    "

    a_beginning_where_a_connection_still_was_forgets_it: "
        A row 1 inode
        +1s
        A 7>2 own cli inode cookie=66
        state
    " => "
        A forgotten
        A2 CLOSE -> SYN_SENT unknown event task cli
        followed 1 ended 0 uncertain 1 evicted 0 lost 0
    "

    the_next_connection_of_a_closed_socket_is_not_the_one_that_ended: "
        A 7>2 own cli inode
        +1ms
        A 2>7 err=111 inode
        lost 1
        +1s
        A 2>1 inode
        +1s
        A 1>7 err=104 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 1ms exact event opener cli refused
        A over: active refused 1ms SYN_SENT=1ms
        1 lost
        A2 SYN_SENT -> ESTABLISHED unknown event -
        A2 ESTABLISHED -> CLOSE 1s exact event - reset_by_peer
        A2 over: ? reset_by_peer ? ESTABLISHED=1s
        followed 1 ended 2 uncertain 1 evicted 0 lost 1
    "

    a_state_that_cannot_follow_belongs_to_another_connection_of_the_socket: "
        A 7>2 own cli inode
        +1ms
        A 2>1 inode
        +1s
        lost 2
        A 2>1 inode
        +1s
        A 1>7 err=104 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event opener cli
        2 lost
        A forgotten
        A2 SYN_SENT -> ESTABLISHED unknown event -
        A2 ESTABLISHED -> CLOSE 1s exact event - reset_by_peer
        A2 over: ? reset_by_peer ? ESTABLISHED=1s
        followed 1 ended 1 uncertain 2 evicted 0 lost 2
    "

    another_port_on_the_same_socket_is_another_connection_though_the_state_fits: "
        A 7>2 own cli inode
        +1ms
        A 2>1 inode
        +1s
        lost 3
        A 1>4 own cli shut=3 inode lo=10.0.0.1/5555
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event opener cli
        3 lost
        A forgotten
        A2 ESTABLISHED -> FIN_WAIT1 unknown event task cli
        followed 1 ended 0 uncertain 2 evicted 0 lost 3
    "

    a_socket_that_two_dumps_in_a_row_miss_is_gone: "
        A row 1 inode
        +10s
        dump 1
        wants
        +1s
        dump 1
        wants
        state
    " => "
        wants all next never
        A ESTABLISHED -> CLOSE unknown confirmed -
        A over: ? ? ?
        wants nothing next never
        followed 0 ended 1 uncertain 1 evicted 0 lost 0
    "

    a_socket_that_one_dump_misses_and_the_next_has_stays: "
        A row 1 inode
        +10s
        dump 1
        +1s
        A row 1 inode
        dump 1
        +1s
        dump 1
        state
        +1s
        A 1>8 done inode
    " => "
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
        A ESTABLISHED -> CLOSE_WAIT 13s at_least event -
    "

    a_dump_of_another_namespace_between_two_misses_changes_nothing: "
        A row 1 inode
        +10s
        dump 1
        +1s
        dump 2
        +1s
        dump 1
        state
    " => "
        A ESTABLISHED -> CLOSE unknown confirmed -
        A over: ? ? ?
        followed 0 ended 1 uncertain 1 evicted 0 lost 0
    "

    a_listener_that_two_dumps_miss_is_no_connection_that_ended: "
        L row 10 inode
        +10s
        dump 1
        +1s
        dump 1
        state
    " => "
        L LISTEN -> CLOSE unknown confirmed -
        followed 0 ended 0 uncertain 1 evicted 0 lost 0
    "

    a_closed_socket_is_in_no_dump_and_is_kept_all_the_same: "
        A row 1 inode
        +1s
        A 1>7 err=104 inode
        +10s
        dump 1
        +1s
        dump 1
        +1s
        A 7>2 own cli inode
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event - reset_by_peer
        A over: ? reset_by_peer ?
        A2 CLOSE -> SYN_SENT 12s exact event task cli
    "

    a_socket_destroyed_without_a_close_was_missed: "
        A row 1 inode
        +1s
        A destroyed
        state
    " => "
        A forgotten
        followed 0 ended 0 uncertain 1 evicted 0 lost 0
    "

    what_does_not_fit_is_counted_and_said_to_be_forgotten: "
        option sockets=1
        A 7>2 own cli inode
        B 7>2 own cli inode
        +1s
        B 2>1 inode
        A 2>1 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        B CLOSE -> SYN_SENT unknown event task cli
        B forgotten
        B2 SYN_SENT -> ESTABLISHED unknown event -
        B2 forgotten
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        followed 1 ended 0 uncertain 1 evicted 2 lost 0
    "

    a_socket_that_ended_and_finds_no_place_is_not_forgotten_again: "
        option sockets=1
        B row 1 inode
        A row 1 inode
        +1ms
        A 1>7 err=104 inode
        state
    " => "
        A forgotten
        A2 ESTABLISHED -> CLOSE unknown event - reset_by_peer
        A2 over: ? reset_by_peer ?
        followed 1 ended 1 uncertain 1 evicted 1 lost 0
    "
}
