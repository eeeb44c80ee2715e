//! What programs on functions of the kernel tell of minisocks, and of who accepts.

use crate::cases;

cases! {
    a_time_wait_ends_when_the_kernel_says_so: "
        A row 5
        +1s
        A time-wait-made
        A 5>7 dead done
        +60270ms
        A mini-ended
        wants
    " => "
        A FIN_WAIT2 -> TIME_WAIT 1s at_least confirmed none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE 60270ms exact confirmed none fin
        wants nothing next never
    "

    a_timer_may_fire_a_tick_early: "
        A row 5
        A 5>7 dead done
        +59991ms
        A mini-ended
        B row 5
        B 5>7 dead done
        +59989ms
        B mini-ended
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE 59991ms exact confirmed none fin
        B FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        B over: ? time_wait ?
        B TIME_WAIT -> CLOSE 59989ms exact confirmed none
    "

    an_orphan_gets_its_fin_and_ends: "
        A row 4
        A 4>5 dead
        A orphan-made
        A 5>7 dead
        +100ms
        A mini-fin
        +1s
        A mini-fin
        +60s
        A mini-ended
        tick
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> TIME_WAIT 100ms exact confirmed none
        A over: ? time_wait ? FIN_WAIT2=100ms
        A TIME_WAIT -> CLOSE 61s exact confirmed none fin
    "

    an_orphan_that_is_told_ends_as_one_whatever_error_is_pending: "
        A row 4
        A 4>5 dead
        A orphan-made
        A 5>7 dead err=113
        +100ms
        A mini-ended
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> CLOSE 100ms exact confirmed none
        A over: ? ? ? FIN_WAIT2=100ms
    "

    an_orphan_answers_with_a_reset: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +100ms
        A mini-reset
        A reset-sent
        A mini-ended
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        A FIN_WAIT2 -> CLOSE 100ms exact confirmed none reset_by_us
        A over: ? reset_by_us ? FIN_WAIT2=100ms
    "

    a_fin_that_comes_again_begins_the_minute_again: "
        A row 5
        A 5>7 dead done
        +59s
        A mini-fin
        +10s
        tick
        +50s
        A mini-ended
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        A TIME_WAIT -> CLOSE 119s exact confirmed none fin
    "

    after_a_loss_a_fin_may_be_one_that_came_again: "
        A row 4
        A 4>5 dead
        A 5>7 dead
        +1s
        lost 1
        +1s
        A mini-fin
        B row 4
        B 4>5 dead
        B 5>7 dead
        +1s
        lost 1
        +1s
        B mini 5 timer=58s
        +1s
        B mini-fin
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        1 lost
        A FIN_WAIT2 -> TIME_WAIT 2s estimated confirmed none
        A over: ? time_wait ?
        B FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        1 lost
        B FIN_WAIT2 -> TIME_WAIT 3s exact confirmed none
        B over: ? time_wait ? FIN_WAIT2=3s
    "

    what_is_told_late_of_a_socket_that_is_gone_is_not_of_the_next: "
        A 7>2 own cli
        A 2>1 inode
        +1s
        A destroyed cookie=99
        A reset-received cookie=99
        A 1>4 own cli
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        A ESTABLISHED -> FIN_WAIT1 1s exact event task cli
    "

    a_reset_out_of_time_wait_ends_nothing: "
        A row 5
        A 5>7 dead done
        +1s
        A mini-reset
        state
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    without_room_for_a_minisock_there_is_none: "
        A row 5
        +1s
        A no-minisock
        A 5>7 dead done
        B row 4
        B 4>5 dead
        B no-minisock
        B 5>7 dead
        wants
    " => "
        A FIN_WAIT2 -> CLOSE 1s at_least confirmed none fin
        A over: ? fin ?
        B FIN_WAIT1 -> FIN_WAIT2 0ns at_least event none
        B FIN_WAIT2 -> CLOSE 0ns exact confirmed none local
        B over: ? local ? FIN_WAIT2=0ns
        wants nothing next never
    "

    a_minisock_of_another_socket_at_the_same_ends_is_another: "
        A row 5
        A 5>7 dead done
        +1s
        A mini-ended cookie=99
        state
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    who_accepts_is_the_owner_until_another_acts: "
        A 10>3
        A 3>1
        A accepted srv
        +1s
        A 1>8 inode
        A 8>9 own kid inode
    " => "
        A LISTEN -> SYN_RECV unknown event none
        A SYN_RECV -> ESTABLISHED 0ns exact event none
        A ESTABLISHED -> CLOSE_WAIT 1s exact event opener srv
        A CLOSE_WAIT -> LAST_ACK 0ns exact event task kid
    "

    what_a_process_accepts_from_a_listener_of_the_kernel_is_its_own: "
        A 10>3 kernel
        A 3>1 kernel
        A accepted srv
        +1s
        A 1>8 inode
    " => "
        A LISTEN -> SYN_RECV unknown event none
        A SYN_RECV -> ESTABLISHED 0ns exact event none
        A ESTABLISHED -> CLOSE_WAIT 1s exact event opener srv
    "

    who_accepted_a_socket_that_is_gone_owns_nothing: "
        A 10>3
        A 3>1
        A accepted srv cookie=99
        A 1>8 inode
    " => "
        A LISTEN -> SYN_RECV unknown event none
        A SYN_RECV -> ESTABLISHED 0ns exact event none
        A ESTABLISHED -> CLOSE_WAIT 0ns exact event -
    "
}
