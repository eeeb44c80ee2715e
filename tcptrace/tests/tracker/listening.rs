//! Listeners and the children that nobody accepts.

use crate::cases;

cases! {
    a_listener_that_closes_is_no_connection_that_ended: "
        L 7>10 own srv inode
        +60s
        L 10>7 own srv shut=3 inode
        L destroyed
        state
    " => "
        L CLOSE -> LISTEN unknown event task srv
        L LISTEN -> CLOSE 60s exact event task srv local
        followed 0 ended 0 uncertain 0 evicted 0 lost 0
    "

    a_listener_may_listen_again_and_then_connect: "
        L 7>10 own srv inode
        +1s
        L 10>7 own srv inode
        +1s
        L 7>10 own srv inode
        +1s
        L 10>7 own srv inode
        +1s
        L 7>2 own srv inode lo=10.0.0.1/80 re=10.0.0.2/80
    " => "
        L CLOSE -> LISTEN unknown event task srv
        L LISTEN -> CLOSE 1s exact event opener srv local
        L2 CLOSE -> LISTEN 1s exact event task srv
        L2 LISTEN -> CLOSE 1s exact event opener srv local
        L3 CLOSE -> SYN_SENT 1s exact event task srv
    "

    whoever_destroys_a_listener_is_not_taken_for_its_owner: "
        L 7>10 own srv inode
        +1s
        L 10>7 own ss inode
    " => "
        L CLOSE -> LISTEN unknown event task srv
        L LISTEN -> CLOSE 1s exact event opener srv local
    "

    a_listener_without_a_port_fails_at_once: "
        L 7>10 own srv inode lo=0.0.0.0/-
        +1us
        L 10>7 own srv inode lo=0.0.0.0/-
    " => "
        L CLOSE -> LISTEN unknown event task srv
        L LISTEN -> CLOSE 1us exact event opener srv local
    "

    children_that_nobody_accepted_are_reset_with_their_listener: "
        Q 10>3
        Q 3>1
        R 10>3
        R 3>1
        +1s
        R 1>8 done
        +1s
        L 10>7 own srv shut=3 inode
        L destroyed
        Q 1>7 srv
        Q destroyed
        R 8>7 srv done
        R destroyed
        state
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 0ns exact event none
        R LISTEN -> SYN_RECV unknown event none
        R SYN_RECV -> ESTABLISHED 0ns exact event none
        R ESTABLISHED -> CLOSE_WAIT 1s exact event none
        L LISTEN -> CLOSE unknown event task srv local
        Q ESTABLISHED -> CLOSE 2s exact event none reset_by_us
        Q over: passive reset_by_us 2s SYN_RECV=0ns ESTABLISHED=2s
        R CLOSE_WAIT -> CLOSE 1s exact event none reset_by_us
        R over: passive reset_by_us 2s SYN_RECV=0ns ESTABLISHED=1s CLOSE_WAIT=1s
        followed 0 ended 2 uncertain 1 evicted 0 lost 0
    "

    a_child_that_nobody_accepted_waits_in_close_wait_with_no_owner: "
        Q 10>3 rustc
        Q 3>1 rustc
        +1s
        Q 1>8 done rustc
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 0ns exact event none
        Q ESTABLISHED -> CLOSE_WAIT 1s exact event none
    "

    an_accepted_child_is_owned_by_whoever_is_found_with_its_descriptor: "
        Q 10>3
        Q 3>1
        +1s
        Q holder srv
        Q 1>8 done inode
        +1s
        Q holder other
        Q 8>9 own worker done shut=3 inode
        +1ms
        Q 9>7 dead done
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 0ns exact event none
        Q ESTABLISHED -> CLOSE_WAIT 1s exact event fd srv
        Q CLOSE_WAIT -> LAST_ACK 1s exact event task worker
        Q LAST_ACK -> CLOSE 1ms exact event opener worker fin
        Q over: passive last_ack 2001ms SYN_RECV=0ns ESTABLISHED=1s CLOSE_WAIT=1s LAST_ACK=1ms
    "

    a_holder_of_the_next_socket_at_the_address_is_not_this_ones: "
        Q 10>3
        Q 3>1
        Q holder stranger cookie=999
        Q 1>8 done
    " => "
        Q LISTEN -> SYN_RECV unknown event none
        Q SYN_RECV -> ESTABLISHED 0ns exact event none
        Q ESTABLISHED -> CLOSE_WAIT 0ns exact event none
    "

    a_holder_known_by_its_inode_alone_is_remembered_until_an_event_has_it: "
        Q holder srv proc
        Q 1>8 done inode
    " => "
        Q ESTABLISHED -> CLOSE_WAIT unknown event fd srv
    "
}
