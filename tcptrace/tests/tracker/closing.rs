//! How connections close, row by row as kernel.md has them.

use crate::cases;

cases! {
    an_active_close_ends_in_time_wait_and_then_by_the_timer: "
        A 7>2 own cli inode
        +1ms
        A 2>1 inode
        +200ms
        A 1>4 own cli shut=3 inode
        +2ms
        A 4>5 dead
        +50us
        A 5>7 dead done
        +66s
        tick
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event opener cli
        A ESTABLISHED -> FIN_WAIT1 200ms exact event task cli
        A FIN_WAIT1 -> FIN_WAIT2 2ms exact event opener cli
        A FIN_WAIT2 -> TIME_WAIT 50us exact classified opener cli
        A over: active time_wait 203050us SYN_SENT=1ms ESTABLISHED=200ms FIN_WAIT1=2ms FIN_WAIT2=50us
        A TIME_WAIT -> CLOSE 60s estimated derived opener cli fin
    "

    a_passive_close_ends_out_of_last_ack: "
        Q 10>3
        Q 3>1
        +1s
        Q 1>8 done inode
        +2s
        Q 8>9 own srv shut=3 done inode
        +1ms
        Q 9>7 dead done
        Q destroyed
        state
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 0ns exact event none
        Q ESTABLISHED -> CLOSE_WAIT 1s exact event -
        Q CLOSE_WAIT -> LAST_ACK 2s exact event task srv
        Q LAST_ACK -> CLOSE 1ms exact event opener srv fin
        Q over: passive last_ack 3001ms SYN_RECV=0ns ESTABLISHED=1s CLOSE_WAIT=2s LAST_ACK=1ms
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    a_half_close_waits_with_its_owner_until_the_peer_closes: "
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A 1>4 own cli shut=2 inode
        +1ms
        A 4>5 inode
        +7200s
        A 5>7 done shut=3 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        A ESTABLISHED -> FIN_WAIT1 1s exact event task cli
        A FIN_WAIT1 -> FIN_WAIT2 1ms exact event opener cli
        A FIN_WAIT2 -> TIME_WAIT 7200s exact classified opener cli
        A over: active time_wait 7201001ms SYN_SENT=0ns ESTABLISHED=1s FIN_WAIT1=1ms FIN_WAIT2=7200s
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    closing_after_a_half_close_leaves_an_orphan_that_says_nothing_yet: "
        A 1>4 own cli shut=2 inode
        +1ms
        A 4>5 inode
        +30s
        A 5>5 own other inode
        A 5>7 own other dead
        state
    " => "
        A ESTABLISHED -> FIN_WAIT1 unknown event task cli
        A FIN_WAIT1 -> FIN_WAIT2 1ms exact event opener cli
        followed 0 ended 0 uncertain 1 evicted 0 lost 0
    "

    the_same_state_again_is_no_line_and_no_boundary: "
        A 1>4 own cli shut=2 inode
        +1s
        A 4>4 own other shut=3 inode
        +1s
        A 4>5 dead
        Q 8>9 own srv shut=2 done inode
        +1s
        Q 9>9 own srv shut=3 done inode
        +1s
        Q 9>7 dead done
        B 4>11 own cli done inode
        +1s
        B 11>11 own cli done inode
        +1s
        B 11>7 dead done
    " => "
        A ESTABLISHED -> FIN_WAIT1 unknown event task cli
        A FIN_WAIT1 -> FIN_WAIT2 2s exact event opener other
        Q CLOSE_WAIT -> LAST_ACK unknown event task srv
        Q LAST_ACK -> CLOSE 2s exact event opener srv fin
        Q over: ? last_ack ? LAST_ACK=2s
        B FIN_WAIT1 -> CLOSING unknown event task cli
        B CLOSING -> TIME_WAIT 2s exact classified opener cli
        B over: ? time_wait ? CLOSING=2s
    "

    a_simultaneous_close_goes_through_closing: "
        A 1>4 own cli shut=3 inode
        +1ms
        A 4>11 dead done
        +1ms
        A 11>7 dead done
    " => "
        A ESTABLISHED -> FIN_WAIT1 unknown event task cli
        A FIN_WAIT1 -> CLOSING 1ms exact event opener cli
        A CLOSING -> TIME_WAIT 1ms exact classified opener cli
        A over: ? time_wait ? FIN_WAIT1=1ms CLOSING=1ms
    "

    a_reset_ends_a_connection_in_whatever_state: "
        A row 1 inode
        B row 8 inode
        C row 9
        D row 11
        E row 5 inode
        F row 4 inode
        +1s
        A 1>7 err=104 inode
        B 8>7 err=32 done inode
        C 9>7 err=104 dead done
        D 11>7 err=104 dead done
        E 5>7 err=104 inode
        F 4>7 err=104 inode
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event - reset_by_peer
        A over: ? reset_by_peer ?
        B CLOSE_WAIT -> CLOSE 1s at_least event - reset_by_peer
        B over: ? reset_by_peer ?
        C LAST_ACK -> CLOSE 1s at_least event none reset_by_peer
        C over: ? reset_by_peer ?
        D CLOSING -> CLOSE 1s at_least event none reset_by_peer
        D over: ? reset_by_peer ?
        E FIN_WAIT2 -> CLOSE 1s at_least event - reset_by_peer
        E over: ? reset_by_peer ?
        F FIN_WAIT1 -> CLOSE 1s at_least event - reset_by_peer
        F over: ? reset_by_peer ?
    "

    a_reset_that_a_hook_saw_arrive_is_confirmed: "
        A row 1 inode
        +1s
        A reset-received
        A 1>7 err=104 inode
    " => "
        A ESTABLISHED -> CLOSE 1s at_least confirmed - reset_by_peer
        A over: ? reset_by_peer ?
    "

    an_open_descriptor_keeps_a_reset_socket_until_it_is_destroyed: "
        A row 1 inode
        +1s
        A 1>7 err=104 inode
        state
        +3600s
        A destroyed
        state
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event - reset_by_peer
        A over: ? reset_by_peer ?
        followed 1 ended 1 uncertain 0 evicted 0 lost 0
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    without_the_destroy_hook_a_closed_socket_is_not_kept: "
        option no-destroy-hook
        A row 1 inode
        +1s
        A 1>7 err=104 inode
        state
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event - reset_by_peer
        A over: ? reset_by_peer ?
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    closing_with_linger_zero_or_unread_data_resets: "
        A row 1 inode
        B row 8 inode
        +1s
        A 1>7 own cli inode
        A reset-sent
        B 8>7 own cli done inode
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event task cli reset_by_us
        A over: ? reset_by_us ?
        B CLOSE_WAIT -> CLOSE 1s at_least event task cli reset_by_us
        B over: ? reset_by_us ?
    "

    a_negative_linger2_looks_like_an_orphan_until_its_reset_is_seen: "
        A row 4 inode
        +1ms
        A 4>5 dead
        +40us
        A 5>7 dead
        +10us
        A reset-sent
        state
        +100s
        tick
    " => "
        A FIN_WAIT1 -> FIN_WAIT2 1ms at_least event none
        A FIN_WAIT2 -> CLOSE 50us exact confirmed none reset_by_us
        A over: ? reset_by_us ? FIN_WAIT2=50us
        followed 0 ended 1 uncertain 0 evicted 0 lost 0
    "

    data_after_close_is_answered_by_a_reset_of_ours_though_it_looks_received: "
        A row 4 inode
        +5ms
        A reset-received
        A 4>7 dead err=104
        wants
        +20us
        A reset-sent
        wants
    " => "
        wants nothing next 50ms
        A FIN_WAIT1 -> CLOSE 5ms at_least confirmed none reset_by_us
        A over: ? reset_by_us ?
        wants nothing next never
    "

    a_line_that_waited_for_a_reset_of_ours_in_vain_keeps_its_own_time: "
        A row 4 inode
        +5ms
        A 4>7 dead err=104
        +49ms
        tick
        B 7>2 own cli inode
        +1ms
        tick
    " => "
        B CLOSE -> SYN_SENT unknown event task cli
        A FIN_WAIT1 -> CLOSE 5ms at_least event none reset_by_peer
        A over: ? reset_by_peer ?
    "

    without_the_reset_hook_nobody_knows_who_reset_an_orphan: "
        option no-reset-hook
        A row 4 inode
        +5ms
        A 4>7 dead err=104
        B row 1 inode
        +5ms
        B 1>7 err=104
    " => "
        A FIN_WAIT1 -> CLOSE 5ms at_least event none
        A over: ? ? ?
        B ESTABLISHED -> CLOSE 5ms at_least event none reset_by_peer
        B over: ? reset_by_peer ?
    "

    an_orphan_whose_peer_is_dead_times_out: "
        A row 1 inode
        A 1>4 own cli shut=3 inode
        +107600ms
        A 4>7 dead err=110 swapper
        Q 8>9 own srv shut=3 done inode
        +107600ms
        Q 9>7 dead done err=110
    " => "
        A ESTABLISHED -> FIN_WAIT1 0ns at_least event task cli
        A FIN_WAIT1 -> CLOSE 107600ms exact event opener cli timeout
        A over: ? timeout ? FIN_WAIT1=107600ms
        Q CLOSE_WAIT -> LAST_ACK unknown event task srv
        Q LAST_ACK -> CLOSE 107600ms exact event opener srv timeout
        Q over: ? timeout ? LAST_ACK=107600ms
    "

    a_half_close_whose_peer_is_dead_times_out_with_its_owner: "
        A row 1 inode
        A 1>4 own cli shut=2 inode
        +939s
        A 4>7 err=110 swapper inode
        state
    " => "
        A ESTABLISHED -> FIN_WAIT1 0ns at_least event task cli
        A FIN_WAIT1 -> CLOSE 939s exact event opener cli timeout
        A over: ? timeout ? FIN_WAIT1=939s
        followed 1 ended 1 uncertain 0 evicted 0 lost 0
    "

    a_peer_that_keeps_its_window_shut_times_an_orphan_out: "
        A row 1 inode
        A 1>4 own cli shut=3 inode
        +339s
        A 4>7 dead err=110 swapper
    " => "
        A ESTABLISHED -> FIN_WAIT1 0ns at_least event task cli
        A FIN_WAIT1 -> CLOSE 339s exact event opener cli timeout
        A over: ? timeout ? FIN_WAIT1=339s
    "

    a_task_that_is_killed_closes_like_any_other: "
        A row 1 inode
        B row 8 inode
        A 1>4 own dying shut=3 inode
        B 8>9 own dying shut=3 done inode
    " => "
        A ESTABLISHED -> FIN_WAIT1 0ns at_least event task dying
        B CLOSE_WAIT -> LAST_ACK 0ns at_least event task dying
    "

    the_peer_of_an_orphan_that_it_sent_data_to_is_reset: "
        Q row 8 inode
        +3s
        Q reset-received
        Q 8>7 done err=32 inode
    " => "
        Q CLOSE_WAIT -> CLOSE 3s at_least confirmed - reset_by_peer
        Q over: ? reset_by_peer ?
    "

    running_out_of_orphans_resets: "
        A row 1 inode
        A 1>4 own cli shut=3 inode
        +1s
        A 4>7 dead swapper
    " => "
        A ESTABLISHED -> FIN_WAIT1 0ns at_least event task cli
        A FIN_WAIT1 -> CLOSE 1s exact event opener cli reset_by_us
        A over: ? reset_by_us ? FIN_WAIT1=1s
    "

    whoever_destroys_a_socket_does_not_own_it: "
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A 1>7 own ss err=103 inode
        Q row 8
        +1s
        Q 8>7 own ss err=103 done
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        A ESTABLISHED -> CLOSE 1s exact event opener cli destroyed
        A over: active destroyed 1s SYN_SENT=0ns ESTABLISHED=1s
        Q CLOSE_WAIT -> CLOSE 1s at_least event none destroyed
        Q over: ? destroyed ?
    "

    an_error_that_says_nothing_about_the_end_is_no_reason: "
        Q row 9
        +1s
        Q 9>7 dead done err=71
    " => "
        Q LAST_ACK -> CLOSE 1s at_least event none
        Q over: ? ? ?
    "
}
