//! What becomes of a connection after its full socket: TIME_WAIT and the orphan in FIN_WAIT2.

use crate::cases;

cases! {
    time_wait_ends_by_timer_arithmetic_when_nobody_looks: "
        A row 5
        +1s
        A 5>7 dead done
        wants
        +65999ms
        tick
        +1ms
        tick
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        A over: ? time_wait ?
        wants nothing next 60300ms
        A TIME_WAIT -> CLOSE 60s estimated derived none fin
        wants nothing next never
    "

    time_wait_ends_confirmed_when_a_dump_no_longer_has_it: "
        A row 5
        +1s
        A 5>7 dead done
        +60300ms
        wants
        dump 1
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        A over: ? time_wait ?
        wants [1] next 0ns
        A TIME_WAIT -> CLOSE 60s estimated confirmed none fin
        wants nothing next never
    "

    a_time_wait_that_outlasts_its_deadline_is_looked_at_again: "
        A row 5
        +1s
        A 5>7 dead done
        +60300ms
        A mini 6 timer=-200ms
        dump 1
        wants
        +300ms
        wants
        dump 1
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        A over: ? time_wait ?
        wants nothing next 300ms
        wants [1] next 0ns
        A TIME_WAIT -> CLOSE 60300ms estimated confirmed none fin
        wants nothing next never
    "

    a_time_wait_that_is_gone_early_ends_without_a_reason: "
        A row 5
        +1s
        A 5>7 dead done
        +10s
        dump 1
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE unknown confirmed none
    "

    a_dump_of_another_namespace_says_nothing_of_a_minisock: "
        A row 5
        +1s
        A 5>7 dead done
        +10s
        dump 2,3
        state
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        A over: ? time_wait ?
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    an_orphan_ends_by_its_own_timer_which_a_dump_told: "
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A 1>4 own cli shut=3 inode
        A 4>5 dead
        +20us
        A 5>7 dead
        wants
        +1s
        wants
        A mini 5 timer=+1s
        dump 1
        wants
        +1300ms
        wants
        dump 1
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        A ESTABLISHED -> FIN_WAIT1 1s exact event task cli
        A FIN_WAIT1 -> FIN_WAIT2 0ns exact event opener cli
        wants nothing next 1s
        wants [1] next 0ns
        wants nothing next 1s
        wants [1] next overdue
        A FIN_WAIT2 -> CLOSE 2000020us estimated confirmed opener cli timeout
        A over: active timeout 3000020us SYN_SENT=0ns ESTABLISHED=1s FIN_WAIT1=0ns
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    an_orphan_that_nobody_looks_at_ends_nobody_knows_when: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +66s
        tick
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> CLOSE unknown derived none
        A over: ? ? ?
    "

    an_orphan_that_the_dump_after_its_limit_does_not_show_has_timed_out: "
        A 4>5 dead
        A 5>7 dead limit=2
        +3s
        dump 1
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 unknown event none
        A FIN_WAIT2 -> CLOSE 2s estimated confirmed none timeout
        A over: ? timeout ?
    "

    an_orphan_gone_before_its_limit_ended_nobody_knows_why: "
        A 4>5 dead
        +1ms
        A 5>7 dead limit=20
        +3s
        dump 1
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 unknown event none
        A FIN_WAIT2 -> CLOSE 1ms at_least confirmed none
        A over: ? ? ?
    "

    the_peer_on_this_host_tells_when_its_fin_reached_the_orphan: "
        A 4>5 dead lo=10.0.0.1/4000 re=10.0.0.1/80
        A 5>7 dead limit=60 lo=10.0.0.1/4000 re=10.0.0.1/80
        B row 8 lo=10.0.0.1/80 re=10.0.0.1/4000
        +3s
        B 8>9 own srv shut=3 done inode lo=10.0.0.1/80 re=10.0.0.1/4000
        B 9>7 dead done lo=10.0.0.1/80 re=10.0.0.1/4000
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 unknown event none
        B CLOSE_WAIT -> LAST_ACK 3s at_least event task srv
        A FIN_WAIT2 -> TIME_WAIT 3s estimated confirmed none
        A over: ? time_wait ?
        B LAST_ACK -> CLOSE 0ns exact event opener srv fin
        B over: ? last_ack ? LAST_ACK=0ns
    "

    an_orphan_whose_peer_closes_at_last_goes_to_time_wait_when_its_timer_says: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +1s
        A mini 5 timer=+59s
        dump 1
        +1s
        A mini 6 timer=+59800ms
        dump 1
        wants
        +60100ms
        wants
        dump 1
        wants
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> TIME_WAIT 1800ms estimated confirmed none
        A over: ? time_wait ?
        wants nothing next 60100ms
        wants [1] next 0ns
        A TIME_WAIT -> CLOSE 60s estimated confirmed none fin
        wants nothing next never
    "

    an_orphan_was_in_fin_wait2_at_least_until_it_was_last_seen_there: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +1s
        A mini 5 timer=+59s
        dump 1
        +1s
        A mini 6 timer=+58996ms
        dump 1
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> TIME_WAIT 1s estimated confirmed none
        A over: ? time_wait ?
    "

    a_timeout_above_sixty_keeps_a_full_socket_first_and_a_minisock_for_as_long_again: "
        A row 4
        +1s
        A 4>5 dead
        +41s
        A 5>7 dead swapper
        +1s
        A mini 5 timer=+40s
        dump 1
        +40300ms
        dump 1
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 1s at_least event none
        A FIN_WAIT2 -> CLOSE 82s estimated confirmed none timeout
        A over: ? timeout ?
    "

    data_or_a_reset_for_an_orphan_kills_it_and_the_reset_we_send_tells_when: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +10s
        Q reset-sent cookie=65
        wants
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> CLOSE 10s exact confirmed none reset_by_us
        A over: ? reset_by_us ? FIN_WAIT2=10s
        wants nothing next never
    "

    a_reset_that_time_wait_answers_ends_nothing: "
        A row 5
        A 5>7 dead done
        +10s
        A reset-sent
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        wants nothing next 50300ms
    "

    a_minisock_seen_in_a_dump_just_before_its_event_is_the_same: "
        A row 5
        +1s
        A mini 6 timer=+60s
        +20us
        A 5>7 dead done
        dump 1 began=-1ms
        +60300ms
        dump 1
        state
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1000020us at_least classified none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE 59999980us estimated confirmed none fin
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    an_orphan_seen_in_a_dump_just_before_its_event_is_the_same: "
        A row 4
        A 4>5 dead
        A mini 5 timer=+2s
        +20us
        A 5>7 dead
        +2300ms
        dump 1
        state
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> CLOSE 2s estimated confirmed none timeout
        A over: ? timeout ?
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    minisocks_from_before_the_trace_are_followed_to_their_end: "
        A mini 6 timer=+20s
        B mini 5 timer=+30s
        dump 1
        wants
        +1s
        A mini 6 timer=+19s
        B mini 5 timer=+29s
        dump 1
        +25s
        tick
        +10s
        tick
        wants
        state
    " => "
        wants nothing next 1s
        A TIME_WAIT -> CLOSE 60s estimated derived none fin
        B FIN_WAIT2 -> CLOSE 30s at_least derived none timeout
        B over: ? timeout ?
        wants nothing next never
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    a_timer_that_is_overdue_does_not_end_a_minisock_before_it_was_seen: "
        A mini 5 timer=-5s
        +7s
        tick
    " => "
        A FIN_WAIT2 -> CLOSE 0ns at_least derived none timeout
        A over: ? timeout ?
    "

    when_all_minisocks_are_taken_the_one_that_ends_first_is_given_up: "
        option minisocks=2
        A row 5
        B row 5
        C row 5
        A 5>7 dead done
        +1s
        B 5>7 dead done
        +1s
        C 5>7 dead done
        state
        +66s
        tick
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        B FIN_WAIT2 -> TIME_WAIT 1s at_least classified none
        B over: ? time_wait ?
        C FIN_WAIT2 -> TIME_WAIT 2s at_least classified none
        C over: ? time_wait ?
        A forgotten
        followed 0 ended 3 uncertain 0 evicted 1 lost 0
        B TIME_WAIT -> CLOSE 60s estimated derived none fin
        C TIME_WAIT -> CLOSE 60s estimated derived none fin
        wants nothing next never
    "

    a_namespace_that_cannot_be_dumped_is_not_asked_for_without_pause: "
        A row 5
        A 5>7 dead done
        +60300ms
        wants
        dump -
        wants
        +6s
        tick
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        wants [1] next 0ns
        wants nothing next 1s
        A TIME_WAIT -> CLOSE 60s estimated derived none fin
        wants nothing next never
    "

    lines_that_became_due_come_in_the_order_of_their_time: "
        A row 5
        A 5>7 dead done
        +60s
        B row 4
        +5970ms
        B 4>7 dead err=104
        +10s
        tick
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE 60s estimated derived none fin
        B FIN_WAIT1 -> CLOSE 5970ms at_least event none reset_by_peer
        B over: ? reset_by_peer ?
    "
}
