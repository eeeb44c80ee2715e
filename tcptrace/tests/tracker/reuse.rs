//! Addresses used again, which proves that what rested there is gone.

use crate::cases;

cases! {
    addresses_used_again_by_an_accepted_connection_prove_that_time_wait_is_over: "
        Q row 5
        Q 5>7 dead done
        +10s
        R 10>3 lo=10.0.0.2/80 re=10.0.0.1/4000
    " => "
        Q FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        Q over: ? time_wait ?
        Q TIME_WAIT -> CLOSE 10s estimated confirmed none
        R LISTEN -> SYN_RECV unknown event none
    "

    addresses_known_only_with_the_second_event_prove_it_then: "
        Q row 5
        Q 5>7 dead done
        +10s
        R 10>3 lo=-/80 re=-/-
        +10us
        R 3>1 lo=10.0.0.2/80 re=10.0.0.1/4000
    " => "
        Q FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        Q over: ? time_wait ?
        R LISTEN -> SYN_RECV unknown event none
        Q TIME_WAIT -> CLOSE 10000010us estimated confirmed none
        R SYN_RECV -> ESTABLISHED 10us exact event none
    "

    a_mapped_socket_and_an_ipv4_socket_share_their_addresses: "
        Q row 5 v4mapped
        Q 5>7 dead done v4mapped
        +10s
        R 10>3 lo=10.0.0.2/80 re=10.0.0.1/4000
    " => "
        Q FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        Q over: ? time_wait ?
        Q TIME_WAIT -> CLOSE 10s estimated confirmed none
        R LISTEN -> SYN_RECV unknown event none
    "

    the_same_addresses_in_another_namespace_prove_nothing: "
        Q row 5
        Q 5>7 dead done
        +10s
        R 10>3 lo=10.0.0.2/80 re=10.0.0.1/4000 ns=2
        wants
    " => "
        Q FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        Q over: ? time_wait ?
        R LISTEN -> SYN_RECV unknown event none
        wants nothing next 50300ms
    "

    a_bound_port_still_in_time_wait_is_proven_free_only_when_a_syn_went_out: "
        A row 5
        A 5>7 dead done
        +10s
        B 7>2 own cli inode lo=10.0.0.1/4000
        +5us
        B 2>7 own cli inode lo=10.0.0.1/4000
        +1s
        B 7>2 own cli inode lo=10.0.0.1/4000
        +1ms
        B 2>1 inode lo=10.0.0.1/4000
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        B CLOSE -> SYN_SENT unknown event task cli
        B SYN_SENT -> CLOSE 5us exact event task cli local
        B over: active local 5us SYN_SENT=5us
        B2 CLOSE -> SYN_SENT 1s exact event task cli
        A TIME_WAIT -> CLOSE 11001005us estimated confirmed none
        B2 SYN_SENT -> ESTABLISHED 1ms exact event opener cli
    "

    a_refusal_proves_that_a_syn_went_out: "
        A row 5
        A 5>7 dead done
        +10s
        B 7>2 own cli inode lo=10.0.0.1/4000
        B 2>7 err=111 inode lo=10.0.0.1/4000
    " => "
        A FIN_WAIT2 -> TIME_WAIT 0ns at_least classified none
        A over: ? time_wait ?
        B CLOSE -> SYN_SENT unknown event task cli
        A TIME_WAIT -> CLOSE 10s estimated confirmed none
        B SYN_SENT -> CLOSE 0ns exact event opener cli refused
        B over: active refused 0ns SYN_SENT=0ns
    "
}
