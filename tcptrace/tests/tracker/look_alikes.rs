//! Kinds that are told apart by evidence, and what only looks stuck.

use crate::findings_script::findings;

findings! {
    a_descriptor_tells_half_closed_from_orphan: "
        A row 5 inode ack=-3s off
        B row 5 ack=-3s keepalive=+20s
        C row 5 kernel ack=-3s
        dump 1
        A holder cli
        A holder kids fd=4
        A holder cli fd=5
        sysctl fin_timeout=90
        end
    " => "
        A fin_wait2_half_closed 3s at_least last_ack processes cli [3, 5] kids [4]
        = to 10.0.0.2/80 count 1 oldest 3s at_least first
        C fin_wait2_half_closed 3s at_least last_ack kernel
        = to 10.0.0.2/80 count 1 oldest 3s at_least first
        B fin_wait2_orphan 3s at_least last_ack nobody expires 50s
        = to 10.0.0.2/80 count 1 oldest 3s at_least first
    "

    an_orphan_remembers_who_closed_it_and_when: "
        A 1>4 own cli shut=3 inode
        A 4>5 dead
        A 5>7 dead limit=60
        +2s
        A mini 5 timer=+58s
        Q row 8 inode
        dump 1
        Q holder srv
        sysctl fin_timeout=60
        end
    " => "
        A fin_wait2_orphan 2s exact event nobody closed_by cli | CLOSE_WAIT processes srv [3] expires 58s
        = to 10.0.0.2/80 count 1 oldest 2s exact first
    "

    a_minisock_is_dated_by_its_timer_only_if_the_last_segment_agrees: "
        A mini 5 timer=+57s waiting=-2500ms
        B mini 5 timer=+7s waiting=-2500ms
        C mini 5 timer=+57s
        dump 1
        sysctl fin_timeout=60
        end
    " => "
        A fin_wait2_orphan 3s estimated timer nobody expires 57s
        B fin_wait2_orphan 2500ms at_least last_segment nobody expires 7s
        = to 10.0.0.2/80 count 2 oldest 3s estimated first
    "

    without_a_descriptor_close_wait_is_in_the_accept_queue: "
        L row 10 inode recv=1
        M row 10 inode lo=0.0.0.0/81
        R row 8 ack=-3s recv=1
        dump 1
        L holder srv
        M holder other
        end
    " => "
        R close_wait_not_accepted 3s at_least last_ack accept_queue srv [3]
        = port 80 count 1 oldest 3s at_least first
    "

    the_window_tells_why_a_fin_is_not_acknowledged: "
        A 1>4 own cli shut=3 inode
        B 1>4 own cli shut=3 inode
        +2s
        A row 4 probe=+1s
        B row 4 retransmit=+1s
        C row 9 probe=+1s waiting=-3s
        D row 9 retransmit=+1s waiting=-4s
        dump 1
        end
    " => "
        B fin_wait1_unacked 2s exact event nobody closed_by cli
        = to 10.0.0.2/80 count 1 oldest 2s exact first
        A fin_wait1_zero_window 2s exact event nobody closed_by cli behind_data
        = to 10.0.0.2/80 count 1 oldest 2s exact first
        D last_ack_unacked 4s estimated first_retransmit nobody
        = to 10.0.0.2/80 count 1 oldest 4s estimated first
        C last_ack_unacked 3s estimated window_closed nobody behind_data
        = to 10.0.0.2/80 count 1 oldest 3s estimated first
    "

    the_open_half_of_a_connection_in_use_is_not_stuck: "
        A row 5 inode ack=-3s data=-500ms
        Q row 8 inode ack=-1s sent=-500ms
        B row 5 inode ack=-3s data=-5s
        R row 8 inode ack=-3s sent=-500ms
        S row 8 inode ack=-1s sent=-5s
        dump 1
        end
        wants
    " => "
        R close_wait_not_closed 3s at_least last_ack unseen | FIN_WAIT2 unseen
        = to 10.0.0.1/4001 count 1 oldest 3s at_least first
        B fin_wait2_half_closed 3s at_least last_ack unseen | CLOSE_WAIT unseen
        = to 10.0.0.2/80 count 1 oldest 3s at_least first
        waits next 1s
    "

    states_in_which_one_may_stay_are_never_stuck: "
        L row 10 inode
        A row 1 inode ack=-999s
        B mini 6 timer=+1s
        C row 2 inode off
        dump 1
        end
        +1000s
        L row 10 inode
        A row 1 inode ack=-1999s
        B mini 6 timer=+1s
        C row 2 inode off
        dump 1
        end
    " => ""

    loopback_ends_belong_to_one_namespace: "
        A row 5 inode ack=-3s lo=127.0.0.1/4000 re=127.0.0.1/80
        R row 8 inode ns=2 lo=127.0.0.1/80 re=127.0.0.1/4000
        S row 1 inode lo=127.0.0.1/80 re=127.0.0.1/4001
        dump 1,2
        end
    " => "
        A fin_wait2_half_closed 3s at_least last_ack unseen
        = to 127.0.0.1/80 count 1 oldest 3s at_least first
    "

    ends_that_two_other_namespaces_share_name_no_peer: "
        A row 5 inode ack=-3s
        Q row 8 inode ns=2
        R row 8 inode ns=3 lo=10.0.0.2/80 re=10.0.0.1/4000
        B row 5 inode ack=-3s
        S row 8 inode ns=2 lo=10.0.0.2/80 re=10.0.0.1/4001
        dump 1
        end
    " => "
        A fin_wait2_half_closed 3s at_least last_ack unseen
        B fin_wait2_half_closed 3s at_least last_ack unseen | CLOSE_WAIT unseen
        = to 10.0.0.2/80 count 2 oldest 3s at_least first
    "

    half_open_requests_are_told_by_their_listener: "
        option for=2s
        L row 10 inode
        R request 3 retransmit=+1s waiting=-3s
        dump 1
        L holder srv
        end
        +1s
        L row 10 inode
        R request 3 retransmit=+1s waiting=-4s
        dump 1
        end
        +1s
        dump 1
        end
    " => "
        R syn_recv_unacked 3s estimated syn accept_queue srv [3]
        = port 80 count 1 oldest 3s estimated first
        R resolved syn_recv_unacked unknown now gone
    "

    a_request_without_a_stamp_is_as_old_as_it_has_been_seen: "
        option for=2s
        R request 3 retransmit=+1s
        dump 1
        end
        +1s
        R request 3 retransmit=+1s
        dump 1
        end
        +1s
        R request 3 retransmit=+1s
        dump 1
        end
    " => "
        R syn_recv_unacked 2s at_least first_seen accept_queue
        = to 10.0.0.1/4001 count 1 oldest 2s at_least first
    "

    only_a_queue_that_holds_something_holds_the_connection: "
        L row 10 inode
        M row 10 inode recv=1
        N row 10 inode recv=1 v4mapped
        R row 8 ack=-3s recv=1
        S row 8 ack=-3s recv=1 v4mapped
        dump 1
        L holder idle
        M holder busy
        N holder mapped
        end
    " => "
        R close_wait_not_accepted 3s at_least last_ack accept_queue busy [3]
        = port 80 count 1 oldest 3s at_least first
        S close_wait_not_accepted 3s at_least last_ack accept_queue mapped [3]
        = port 80 count 1 oldest 3s at_least first
    "

    a_full_queue_here_has_no_part_in_a_call_to_another_host: "
        L row 10 inode recv=2 send=1
        A row 2 inode retransmit=+1s waiting=-3s
        B row 2 inode retransmit=+1s waiting=-3s lo=10.0.0.2/4001
        C row 2 inode retransmit=+1s waiting=-3s lo=127.0.0.1/4002 re=127.0.0.1/80
        M row 10 inode recv=2 send=1 lo=10.0.0.3/80
        D row 2 inode retransmit=+1s waiting=-3s re=10.0.0.3/80
        dump 1
        end
    " => "
        A syn_sent_unanswered 3s estimated syn unseen
        = to 10.0.0.2/80 count 1 oldest 3s estimated first
        B syn_sent_unanswered 3s estimated syn unseen queue_full
        = to 10.0.0.2/80 count 1 oldest 3s estimated first
        D syn_sent_unanswered 3s estimated syn unseen queue_full
        = to 10.0.0.3/80 count 1 oldest 3s estimated first
        C syn_sent_unanswered 3s estimated syn unseen queue_full
        = to 127.0.0.1/80 count 1 oldest 3s estimated first
    "

    time_wait_counts_where_ports_run_out: "
        A mini 6 timer=+50s lo=10.0.0.1/40000
        B mini 6 timer=+50s lo=10.0.0.1/40001
        C mini 6 timer=+50s lo=10.0.0.1/40002
        D row 1 inode lo=10.0.0.1/40003
        E mini 6 timer=+50s lo=10.0.0.1/50000
        F mini 6 timer=+50s lo=10.0.0.1/40000 re=10.0.0.3/80
        dump 1
        sysctl ip_local_port_range=40000-40004
        end
    " => "
        - time_wait_pressure unknown - nobody 3+1/5
        = to 10.0.0.2/80 count 1 oldest unknown first
    "

    ports_that_connect_may_take_again_do_not_run_out: "
        A mini 6 timer=+50s lo=127.0.0.1/40000 re=127.0.0.1/80
        B mini 6 timer=+50s lo=127.0.0.1/40001 re=127.0.0.1/80
        C mini 6 timer=+50s lo=10.0.0.1/40000
        D mini 6 timer=+50s lo=10.0.0.1/40001
        dump 1
        sysctl ip_local_port_range=40000-40001 tw_reuse=2 timestamps=1
        end
        +1s
        A mini 6 timer=+49s lo=127.0.0.1/40000 re=127.0.0.1/80
        B mini 6 timer=+49s lo=127.0.0.1/40001 re=127.0.0.1/80
        C mini 6 timer=+49s lo=10.0.0.1/40000
        D mini 6 timer=+49s lo=10.0.0.1/40001
        dump 1
        sysctl ip_local_port_range=40000-40001 tw_reuse=1 timestamps=1
        end
    " => "
        - time_wait_pressure unknown - nobody 2+0/2
        = to 10.0.0.2/80 count 1 oldest unknown first
        - resolved time_wait_pressure unknown now gone
    "

    one_local_port_for_many_peers_is_no_pressure: "
        A mini 6 timer=+50s lo=10.0.0.1/80 re=10.0.0.2/40000
        B mini 6 timer=+50s lo=10.0.0.1/80 re=10.0.0.2/40001
        dump 1
        sysctl ip_local_port_range=40000-40001
        end
    " => ""
}
