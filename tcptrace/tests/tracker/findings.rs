//! What is stuck, since when, and when that is told.

use crate::findings_script::findings;

findings! {
    the_age_is_that_of_the_event_and_counts_from_the_limit_on: "
        R 1>8 done inode
        +1999ms
        wants
        +1ms
        wants
        R row 8 inode recv=1
        B row 5
        dump 1
        R holder srv fd=9
        end
    " => "
        waits next 1ms
        wants next 0ns
        R close_wait_not_closed 2s exact event processes srv [9] | FIN_WAIT2 nobody
        = to 10.0.0.1/4001 count 1 oldest 2s exact first
    "

    what_has_left_its_state_wants_no_snapshot: "
        R 1>8 done inode
        +1s
        R 8>9 own srv shut=3 done inode
        R 9>7 done dead
        +1s
        wants
    " => "
        waits next 1s
    "

    data_sent_just_before_the_peer_closed_delays_nothing: "
        R 1>8 done inode
        +1s
        R row 8 inode ack=-1s sent=-1001ms
        dump 1
        end
        wants
        +1s
        R row 8 inode ack=-2s sent=-2001ms
        dump 1
        end
    " => "
        waits next 1s
        R close_wait_not_closed 2s exact event unseen
        = to 10.0.0.1/4001 count 1 oldest 2s exact first
    "

    below_the_limit_nothing_is_found: "
        R 1>8 done inode
        +1999ms
        R row 8 inode
        dump 1
        end
        wants
    " => "
        waits next 1ms
    "

    it_is_told_again_when_twice_as_old_and_when_it_is_over: "
        R 1>8 done inode
        +2s
        R row 8 inode
        dump 1
        end
        +1s
        R row 8 inode
        dump 1
        end
        wants
        +1s
        wants
        R row 8 inode
        dump 1
        end
        +1s
        R 8>9 own srv shut=3 done inode
    " => "
        R close_wait_not_closed 2s exact event unseen
        = to 10.0.0.1/4001 count 1 oldest 2s exact first
        waits next 1s
        wants next 0ns
        R close_wait_not_closed again 4s exact event unseen
        = to 10.0.0.1/4001 count 1 oldest 4s exact
        R resolved close_wait_not_closed 5s exact now LAST_ACK
    "

    what_a_complete_dump_does_not_show_any_more_is_over: "
        R row 8 inode ack=-3s
        dump 1
        end
        +1s
        dump -
        end
        +1s
        dump 1
        end
    " => "
        R close_wait_not_closed 3s at_least last_ack unseen
        = to 10.0.0.1/4001 count 1 oldest 3s at_least first
        R resolved close_wait_not_closed unknown now gone
    "

    a_socket_older_than_the_trace_is_as_old_as_it_has_been_seen_or_its_last_ack: "
        R row 8 inode ack=-1s
        A row 4 inode retransmit=+1s
        dump 1
        end
        +1s
        wants
        R row 8 inode ack=-100ms
        A row 4 inode retransmit=+1s
        dump 1
        end
        +1s
        R row 8 inode ack=-1100ms
        A row 4 inode retransmit=+1s
        dump 1
        end
    " => "
        wants next 0ns
        R close_wait_not_closed 2s at_least last_ack unseen
        = to 10.0.0.1/4001 count 1 oldest 2s at_least first
        A fin_wait1_unacked 2s at_least first_seen unseen
        = to 10.0.0.2/80 count 1 oldest 2s at_least first
    "

    stamps_of_the_socket_give_an_age_at_once: "
        A row 2 inode retransmit=+1s waiting=-3s
        B row 4 retransmit=+1s waiting=-4s
        C row 9 retransmit=+1s waiting=-5s
        D row 4 inode probe=+1s waiting=-6s
        E row 11 retransmit=+1s ack=-7s
        dump 1
        F row 7 inode waiting=-8s
        end
    " => "
        B fin_wait1_unacked 4s estimated first_retransmit nobody
        = to 10.0.0.2/80 count 1 oldest 4s estimated first
        D fin_wait1_zero_window 6s estimated window_closed unseen behind_data
        = to 10.0.0.2/80 count 1 oldest 6s estimated first
        C last_ack_unacked 5s estimated first_retransmit nobody
        = to 10.0.0.2/80 count 1 oldest 5s estimated first
        E closing_unacked 7s at_least last_ack nobody
        = to 10.0.0.2/80 count 1 oldest 7s at_least first
        A syn_sent_unanswered 3s estimated syn unseen
        = to 10.0.0.2/80 count 1 oldest 3s estimated first
        F closed_fd_leaked 8s estimated last_packet unseen
        = to 10.0.0.2/80 count 1 oldest 8s estimated first
    "

    a_row_without_an_address_is_found_by_its_cookie: "
        A 1>4 own cli shut=3 inode
        B 7>2 own cli inode
        +2s
        A row 4 netlink retransmit=+1s
        B row 2 netlink inode retransmit=+1s
        dump 1
        end
    " => "
        A fin_wait1_unacked 2s exact event nobody closed_by cli
        = to 10.0.0.2/80 count 1 oldest 2s exact first
        B syn_sent_unanswered 2s exact event unseen closed_by cli
        = to 10.0.0.2/80 count 1 oldest 2s exact first
    "

    one_end_may_have_passed_its_limit_before_the_other: "
        option for=10s
        Q row 8 inode ack=-9s
        A row 5 inode ack=-11s
        dump 1
        end
    " => "
        A fin_wait2_half_closed 11s at_least last_ack unseen | CLOSE_WAIT unseen
        = to 10.0.0.2/80 count 1 oldest 11s at_least first
    "

    groups_are_counted_whole_and_small_ones_are_not_told: "
        option min=2
        R 1>8 done inode
        +1s
        S 1>8 done inode
        +1s
        L row 10 inode
        R row 8 inode
        S row 8 inode
        dump 1
        end
        +1s
        L row 10 inode
        R row 8 inode
        S row 8 inode
        dump 1
        R holder srv fd=7
        S holder srv fd=8
        end
    " => "
        R close_wait_not_closed 3s exact event processes srv [7]
        S close_wait_not_closed 2s exact event processes srv [8]
        = port 80 count 2 oldest 3s exact first
    "

    new_ones_join_their_group: "
        L row 10 inode
        R row 8 inode ack=-9s
        dump 1
        end
        +1s
        L row 10 inode
        R row 8 inode ack=-9s
        S row 8 inode ack=-3s
        dump 1
        end
    " => "
        R close_wait_not_closed 9s at_least last_ack unseen
        = port 80 count 1 oldest 9s at_least first
        S close_wait_not_closed 3s at_least last_ack unseen
        = port 80 count 2 oldest 10s at_least
    "

    only_what_was_asked_for_is_found: "
        option kind=closed_fd_leaked kind=fin_wait2_half_closed pid=cli
        Q row 8 inode ack=-9s
        A row 5 inode ack=-9s
        B row 5 inode ack=-9s
        dump 1
        F row 7 inode waiting=-8s
        Q holder cli
        A holder cli
        B holder srv
        F holder cli
        end
    " => "
        A fin_wait2_half_closed 9s at_least last_ack processes cli [3] | CLOSE_WAIT processes cli [3]
        = to 10.0.0.2/80 count 1 oldest 9s at_least first
        F closed_fd_leaked 8s estimated last_packet processes cli [3]
        = to 10.0.0.2/80 count 1 oldest 8s estimated first
    "

    a_socket_that_moved_on_while_the_snapshot_was_made_is_not_found: "
        R 1>8 done inode
        +3s
        R row 8 inode
        dump 1
        R 8>9 own srv shut=3 done inode
        R holder srv
        end
    " => ""

    what_has_become_something_else_is_told_as_that: "
        A 1>4 own cli shut=2 inode
        A 4>5 inode
        +2s
        A row 5 inode
        R row 8 ack=-5s
        dump 1
        A holder cli
        end
        +1s
        A 5>5 own cli shut=3 inode
        A 5>7 dead limit=60
        A mini 5 timer=+60s
        R row 8 inode ack=-6s
        dump 1
        R holder srv
        end
    " => "
        R close_wait_not_accepted 5s at_least last_ack accept_queue
        = to 10.0.0.1/4001 count 1 oldest 5s at_least first
        A fin_wait2_half_closed 2s exact event processes cli [3]
        = to 10.0.0.2/80 count 1 oldest 2s exact first
        A resolved fin_wait2_half_closed unknown now FIN_WAIT2
        R resolved close_wait_not_accepted unknown now CLOSE_WAIT
        R close_wait_not_closed 6s at_least last_ack processes srv [3]
        = to 10.0.0.1/4001 count 1 oldest 6s at_least first
        A fin_wait2_orphan 3s exact event nobody closed_by cli expires 60s
        = to 10.0.0.2/80 count 1 oldest 3s exact first
    "

    the_descriptor_of_a_closed_socket_is_released: "
        A 1>7 err=104 inode
        +2s
        dump 1
        A row 7 inode waiting=-2s
        A holder cli
        end
        +1s
        A destroyed
    " => "
        A closed_fd_leaked 2s exact event processes cli [3]
        = to 10.0.0.2/80 count 1 oldest 2s exact first
        A resolved closed_fd_leaked 3s exact now gone
    "
}
