//! Merging what dumps and events say of the same sockets.

use crate::cases;

cases! {
    a_socket_from_before_the_trace_has_been_there_at_least_since_then: "
        A row 1 inode
        +5s
        A 1>8 done inode
        +1s
        A 8>9 own cli shut=3 done inode
        state
    " => "
        A ESTABLISHED -> CLOSE_WAIT 5s at_least event -
        A CLOSE_WAIT -> LAST_ACK 1s exact event task cli
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    the_last_ack_of_a_socket_makes_its_age_longer: "
        A row 1 inode ack=-7s
        B row 4 inode ack=-7s
        +5s
        A 1>8 done inode
        B 4>5 inode
    " => "
        A ESTABLISHED -> CLOSE_WAIT 12s at_least event -
        B FIN_WAIT1 -> FIN_WAIT2 5s at_least event -
    "

    a_row_older_than_the_events_changes_nothing: "
        A 7>2 own cli inode
        +1s
        A 2>1 inode
        +1s
        A row 2 inode at=-1500ms
        +1s
        A 1>8 done inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        A ESTABLISHED -> CLOSE_WAIT 2s exact event opener cli
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_row_within_a_millisecond_of_an_event_contradicts_nothing: "
        A 7>2 own cli inode
        +1s
        A 2>1 inode
        +900us
        A row 2 inode
        +1s
        A 1>8 done inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        A ESTABLISHED -> CLOSE_WAIT 1000900us exact event opener cli
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_row_of_a_state_already_left_is_a_row_that_came_late: "
        A 7>2 own cli inode
        +1s
        A 2>1 inode
        +5ms
        A row 2 inode
        +1s
        A 1>8 done inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        A ESTABLISHED -> CLOSE_WAIT 1005ms exact event opener cli
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_row_that_agrees_leaves_the_time_of_the_event: "
        A 7>2 own cli inode
        +1s
        A 2>1 inode
        +5s
        A row 1 inode ack=-1s
        +1s
        A 1>8 done inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        A ESTABLISHED -> CLOSE_WAIT 6s exact event opener cli
    "

    a_row_that_is_further_on_resynchronises_after_a_loss: "
        A 7>2 own cli inode
        +1s
        A 2>1 inode
        +1s
        lost 1
        +1s
        A row 8 inode
        dump 1
        +2s
        A 8>9 own cli done shut=3 inode
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 1s exact event opener cli
        1 lost
        A CLOSE_WAIT -> LAST_ACK 2s at_least event task cli
        followed 1 ended 0 uncertain 1 evicted 0 lost 1
    "

    a_row_with_another_cookie_replaces_what_was_there: "
        A row 1 inode
        +1s
        A row 8 inode cookie=66
        +1s
        A 8>9 own cli done shut=3 inode cookie=66
        state
    " => "
        A forgotten
        A2 CLOSE_WAIT -> LAST_ACK 1s at_least event task cli
        followed 1 ended 0 uncertain 1 evicted 0 lost 0
    "

    a_row_of_a_socket_whose_connection_ended_is_a_new_connection: "
        A row 1 inode
        +1s
        A 1>7 err=104 inode
        +1s
        A row 2 inode
        +1s
        A 2>7 err=111 inode
        state
    " => "
        A ESTABLISHED -> CLOSE 1s at_least event - reset_by_peer
        A over: ? reset_by_peer ?
        A2 SYN_SENT -> CLOSE 1s at_least event - refused
        A2 over: ? refused ?
        followed 1 ended 2 uncertain 1 evicted 0 lost 0
    "

    a_row_of_a_closed_socket_is_no_connection: "
        A row 7 inode
        state
    " => "
        followed 0 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_request_is_no_connection_yet: "
        Q request 3
        state
    " => "
        followed 0 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_netlink_row_without_an_address_is_found_by_its_cookie: "
        A row 1 inode netlink
        dump 1
        state
        +2s
        A 1>8 done inode
        state
    " => "
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
        A ESTABLISHED -> CLOSE_WAIT 2s at_least event -
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_netlink_row_of_a_known_socket_is_not_another: "
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A row 1 inode netlink
        dump 1
        state
        +1s
        A 1>8 done inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
        A ESTABLISHED -> CLOSE_WAIT 2s exact event opener cli
    "

    a_connection_that_begins_while_a_netlink_dump_is_read_is_not_counted_twice: "
        B row 1 inode netlink
        +2ms
        A 7>2 own cli inode
        A 2>1 inode
        +2ms
        A row 1 inode netlink
        dump 1 began=-5ms
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        followed 2 ended 0 uncertain 0 evicted 0 lost 0
    "

    the_classic_tracepoint_finds_a_netlink_row_by_its_ends: "
        A row 1 inode netlink
        dump 1
        +1s
        A 1>8 classic
        +1s
        A row 8 inode netlink
        dump 1
        state
    " => "
        A ESTABLISHED -> CLOSE_WAIT 1s at_least event -
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    ends_that_two_namespaces_share_tell_the_classic_tracepoint_nothing: "
        A row 1 inode netlink
        A row 8 inode netlink cookie=66 ns=2
        dump 1,2
        +1s
        A 1>8 classic
    " => "
        A ESTABLISHED -> CLOSE_WAIT unknown event -
    "

    a_netlink_row_that_no_later_dump_has_is_gone_too: "
        A row 1 inode netlink
        dump 1
        +10s
        dump 1
        +1s
        dump 1
        state
    " => "
        A ESTABLISHED -> CLOSE unknown confirmed -
        A over: ? ? ?
        followed 0 ended 1 uncertain 1 evicted 0 lost 0
    "

    a_netlink_dump_fills_no_more_than_the_table: "
        option sockets=2
        A row 1 inode netlink
        B row 1 inode netlink
        C row 1 inode netlink
        D 7>2 own cli inode
        state
    " => "
        D CLOSE -> SYN_SENT unknown event task cli
        D forgotten
        followed 2 ended 0 uncertain 0 evicted 2 lost 0
    "
}
