//! Which connection an event belongs to, and which addresses are its own.

use crate::cases;

cases! {
    the_port_of_a_connecting_socket_comes_with_the_next_event: "
        option addresses
        A 7>2 own cli inode lo=10.0.0.1/-
        A 2>1 inode
    " => "
        A CLOSE -> SYN_SENT unknown event task cli 10.0.0.1/- 10.0.0.2/80
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli 10.0.0.1/4000 10.0.0.2/80
    "

    a_child_without_addresses_gets_them_from_the_next_event: "
        option addresses
        Q 10>3 lo=-/80 re=-/-
        +10us
        Q 3>1
    " => "
        Q LISTEN -> SYN_RECV unknown event none -/80 -/-
        Q SYN_RECV -> ESTABLISHED 10us exact event none 10.0.0.2/80 10.0.0.1/4000
    "

    addresses_once_known_are_not_lost_again: "
        option addresses
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A 1>7 err=104 inode lo=10.0.0.1/4000 re=10.0.0.2/-
    " => "
        A CLOSE -> SYN_SENT unknown event task cli 10.0.0.1/- 10.0.0.2/80
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli 10.0.0.1/4000 10.0.0.2/80
        A ESTABLISHED -> CLOSE 1s exact event opener cli reset_by_peer 10.0.0.1/4000 10.0.0.2/80
        A over: active reset_by_peer 1s SYN_SENT=0ns ESTABLISHED=1s
    "

    a_v4_mapped_connection_shows_ipv4_addresses: "
        option addresses
        Q 10>3 v4mapped
        Q 3>1 v4mapped
    " => "
        Q LISTEN -> SYN_RECV unknown event none 10.0.0.2/80 10.0.0.1/4000 v4mapped
        Q SYN_RECV -> ESTABLISHED 0ns exact event none 10.0.0.2/80 10.0.0.1/4000 v4mapped
    "

    an_ipv6_child_learns_from_its_addresses_that_it_is_mapped: "
        option addresses
        Q 10>3 ipv6 lo=-/80 re=-/-
        Q 3>1 v4mapped
    " => "
        Q LISTEN -> SYN_RECV unknown event none -/80 -/-
        Q SYN_RECV -> ESTABLISHED 0ns exact event none 10.0.0.2/80 10.0.0.1/4000 v4mapped
    "

    a_cookie_that_comes_late_is_no_other_socket: "
        Q 10>3 cookie=-
        +10us
        Q 3>1 cookie=4097
        +1s
        Q 1>8 done cookie=4097
        state
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 10us exact event none
        Q ESTABLISHED -> CLOSE_WAIT 1s exact event none
        followed 1 ended 0 uncertain 0 evicted 0 lost 0
    "

    an_address_used_again_within_a_millisecond_is_another_connection: "
        A 7>2 own cli inode
        A 2>1 inode
        +1s
        A 1>4 own cli shut=3 inode
        A 4>5 dead
        A 5>7 dead done
        A destroyed
        +200us
        A 7>2 own other inode cookie=66 lo=10.0.0.1/-
        +1ms
        A 2>1 inode cookie=66 lo=10.0.0.1/5000
        state
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> ESTABLISHED 0ns exact event opener cli
        A ESTABLISHED -> FIN_WAIT1 1s exact event task cli
        A FIN_WAIT1 -> FIN_WAIT2 0ns exact event opener cli
        A FIN_WAIT2 -> TIME_WAIT 0ns exact classified opener cli
        A over: active time_wait 1s SYN_SENT=0ns ESTABLISHED=1s FIN_WAIT1=0ns FIN_WAIT2=0ns
        A2 CLOSE -> SYN_SENT unknown event task other
        A2 SYN_SENT -> ESTABLISHED 1ms exact event opener other
        followed 1 ended 1 uncertain 0 evicted 0 lost 0
    "

    the_time_in_close_of_another_socket_at_the_same_address_is_not_ours: "
        A 7>2 own cli inode
        +1ms
        A 2>7 err=111 inode
        +5ms
        A 7>2 own other inode cookie=66
    " => "
        A CLOSE -> SYN_SENT unknown event task cli
        A SYN_SENT -> CLOSE 1ms exact event opener cli refused
        A over: active refused 1ms SYN_SENT=1ms
        A2 CLOSE -> SYN_SENT unknown event task other
    "

    a_reset_of_the_next_socket_at_an_address_explains_nothing_of_the_last: "
        A row 4
        +1ms
        A 4>7 dead err=104
        +200us
        Q 10>3
        A 7>2 own other inode cookie=66
        +1ms
        A 2>1 inode cookie=66
        +1ms
        A 1>7 own other inode cookie=66
        A reset-sent cookie=66
        +1s
        tick
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        A FIN_WAIT1 -> CLOSE 1ms at_least event none reset_by_peer
        A over: ? reset_by_peer ?
        A2 CLOSE -> SYN_SENT unknown event task other
        A2 SYN_SENT -> ESTABLISHED 1ms exact event opener other
        A2 ESTABLISHED -> CLOSE 1ms exact event task other reset_by_us
        A2 over: active reset_by_us 2ms SYN_SENT=1ms ESTABLISHED=1ms
    "

    the_reset_of_another_socket_does_not_explain_a_line_that_waits: "
        A row 4
        +1ms
        A 4>7 dead err=104
        +1ms
        A reset-sent cookie=66
        +1s
        tick
    " => "
        A FIN_WAIT1 -> CLOSE 1ms at_least event none reset_by_peer
        A over: ? reset_by_peer ?
    "

    the_classic_tracepoint_claims_nothing_that_it_cannot_know: "
        A 7>2 classic cli
        +1ms
        A 2>1 classic swapper
        +1s
        A 1>4 classic cli
        +1ms
        A 4>5 classic swapper
        +1ms
        A 5>7 classic swapper
        Q 9>7 classic
        B 7>2 classic
        +1ms
        B 2>7 classic
        state
        wants
    " => "
        A CLOSE -> SYN_SENT unknown event -
        A SYN_SENT -> ESTABLISHED 1ms exact event -
        A ESTABLISHED -> FIN_WAIT1 1s exact event -
        A FIN_WAIT1 -> FIN_WAIT2 1ms exact event -
        A FIN_WAIT2 -> CLOSE 1ms at_least event -
        A over: active ? 1003ms SYN_SENT=1ms ESTABLISHED=1s FIN_WAIT1=1ms
        Q LAST_ACK -> CLOSE unknown event -
        Q over: ? ? ?
        B CLOSE -> SYN_SENT unknown event -
        B SYN_SENT -> CLOSE 1ms exact event -
        B over: active ? 1ms SYN_SENT=1ms
        followed 0 ended 3 uncertain 1 evicted 0 lost 0
        wants nothing next never
    "
}
