//! How connections open or fail to, row by row as kernel.md has them.

use crate::cases;

cases! {
    an_active_open_has_its_opener_and_an_exact_handshake: "
        A 7>2 own cli inode
        +3ms
        A 2>1 swapper inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 3ms exact event opener cli
    "

    a_handshake_finished_from_the_backlog_names_the_task_too: "
        A 7>2 own cli inode
        +1ms
        A 2>1 own cli inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event task cli
    "

    a_passive_open_belongs_to_nobody_whatever_the_cpu_was_running: "
        L 7>10 own srv inode
        +5s
        Q 10>3 rustc
        +10us
        Q 3>1 rustc
    " => "
        L CLOSE -> LISTEN unknown event task srv
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 10us exact event none
    "

    a_refused_connection_says_so: "
        A 7>2 own cli inode
        +1ms
        A 2>7 err=111 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 1ms exact event opener cli refused
        A over: active refused 1ms SYN_SENT=1ms
        followed 1 ended 1 uncertain 0 evicted 0 lost 0
    "

    every_try_on_one_socket_is_a_connection_of_its_own: "
        A 7>2 own cli inode
        +1ms
        A 2>7 err=111 inode
        +20ms
        A 7>2 own cli inode
        +2ms
        A 2>1 inode
        A reset-received
        +1s
        A 1>7 err=104 done inode
        A destroyed
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 1ms exact event opener cli refused
        A over: active refused 1ms SYN_SENT=1ms
        A2 CLOSE -> SYN_SENT 20ms exact event task cli
        A2 SYN_SENT -> ESTABLISHED 2ms exact event opener cli
        A2 ESTABLISHED -> CLOSE 1s exact confirmed opener cli reset_by_peer
        A2 over: active reset_by_peer 1002ms SYN_SENT=2ms ESTABLISHED=1s
        followed 0 ended 2 uncertain 0 evicted 0 lost 0
    "

    a_connection_without_an_answer_times_out: "
        A 7>2 own cli inode
        +134s
        A 2>7 err=110 swapper inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 134s exact event opener cli timeout
        A over: active timeout 134s SYN_SENT=134s
    "

    a_softer_error_tells_that_there_is_no_way: "
        A 7>2 own cli inode
        +3s
        A 2>7 err=113 inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 3s exact event opener cli unreachable
        A over: active unreachable 3s SYN_SENT=3s
    "

    a_local_failure_never_reached_the_wire: "
        A 7>2 own cli inode
        +5us
        A 2>7 own cli inode lo=10.0.0.1/-
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 5us exact event task cli local
        A over: active local 5us SYN_SENT=5us
    "

    closing_while_connecting_is_local: "
        A 7>2 own cli inode
        +1s
        A 2>7 own cli shut=3
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 1s exact event task cli local
        A over: active local 1s SYN_SENT=1s
    "

    a_simultaneous_open_or_a_connection_to_itself_stays_one_connection: "
        A 7>2 own cli inode
        +1ms
        A 2>3 own cli inode lo=10.0.0.1/80 re=10.0.0.1/80
        +1ms
        A 3>1 own cli inode lo=10.0.0.1/80 re=10.0.0.1/80
        +1s
        A 1>4 own cli shut=3 inode lo=10.0.0.1/80 re=10.0.0.1/80
        +1ms
        A 4>11 own cli dead done lo=10.0.0.1/80 re=10.0.0.1/80
        +1ms
        A 11>7 own cli dead done lo=10.0.0.1/80 re=10.0.0.1/80
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> SYN_RECV 1ms exact event task cli
        A SYN_RECV -> ESTABLISHED 1ms exact event task cli
        A ESTABLISHED -> FIN_WAIT1 1s exact event task cli
        A FIN_WAIT1 -> CLOSING 1ms exact event task cli
        A CLOSING -> TIME_WAIT 1ms exact classified task cli
        A over: active time_wait 1004ms SYN_SENT=1ms SYN_RECV=1ms ESTABLISHED=1s FIN_WAIT1=1ms CLOSING=1ms
    "

    a_fast_open_child_dwells_in_syn_recv: "
        Q 10>3
        +40ms
        Q 3>1 inode
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 40ms exact event -
    "

    a_fast_open_child_may_close_before_the_handshake_ends: "
        Q 10>3
        +10ms
        Q 3>4 own srv shut=3 inode
        +1ms
        Q 4>5 dead
        +1ms
        Q 5>7 dead done
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> FIN_WAIT1 10ms exact event task srv
        Q FIN_WAIT1 -> FIN_WAIT2 1ms exact event opener srv
        Q FIN_WAIT2 -> TIME_WAIT 1ms exact classified opener srv
        Q over: passive time_wait 12ms SYN_RECV=10ms FIN_WAIT1=1ms FIN_WAIT2=1ms
    "

    a_fast_open_child_may_meet_the_fin_before_the_handshake_ends: "
        Q 10>3
        +10ms
        Q 3>8 done
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> CLOSE_WAIT 10ms exact event none
    "

    a_fast_open_client_may_sit_in_syn_sent_before_any_packet: "
        A 7>2 own cli inode
        +3600s
        A 2>1 inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 3600s exact event opener cli
    "

    a_connection_in_repair_opens_and_closes_without_a_packet: "
        A 7>2 own criu inode repair
        A 2>1 own criu inode repair
        +1s
        A 1>7 own criu inode repair
    " => "
        A CLOSE -> SYN_SENT unknown event task criu
        A SYN_SENT -> ESTABLISHED 0ns exact event task criu
        A ESTABLISHED -> CLOSE 1s exact event task criu local
        A over: active local 1s SYN_SENT=0ns ESTABLISHED=1s
    "

    disconnecting_and_connecting_again_starts_a_connection_with_the_time_between: "
        A 7>2 own cli inode
        +1ms
        A 2>1 inode
        +1s
        A 1>7 own cli inode
        +10ms
        A 7>2 own cli inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1ms exact event opener cli
        A ESTABLISHED -> CLOSE 1s exact event task cli reset_by_us
        A over: active reset_by_us 1001ms SYN_SENT=1ms ESTABLISHED=1s
        A2 CLOSE -> SYN_SENT 10ms exact event task cli
    "

    a_child_that_lost_the_race_for_its_request_ends_without_a_reason: "
        Q 10>3
        Q 3>7
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> CLOSE 0ns exact event none
        Q over: passive ? 0ns SYN_RECV=0ns
    "

    a_socket_of_the_kernel_belongs_to_nobody_even_if_a_task_owns_its_lock: "
        A 7>2 own kworker kernel
        +1ms
        A 2>1 kernel
        +1s
        A 1>4 own kworker kernel shut=3
    " => "
        A CLOSE -> SYN_SENT unknown event none
        A SYN_SENT -> ESTABLISHED 1ms exact event none
        A ESTABLISHED -> FIN_WAIT1 1s exact event none
    "
}
