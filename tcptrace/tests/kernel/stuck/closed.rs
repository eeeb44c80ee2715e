//! Findings about connections of which one end has closed, or both have.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "an orphan that expires as a full socket and a minisock",
        "sysctl net.ipv4.tcp_fin_timeout 75
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S",
        // 75 s mean twice 15: half of them as a full socket, in which the age goes by the last ACK.
        // On a busy machine the look may come after that.
        "fin_wait2_orphan C
           closed by cli
           since cli close C
           once at_least last_ack | at_least last_segment
           peer CLOSE_WAIT srv:S
           timer keepalive | timewait
           lasts 30s
           says 2 x (75 - 60) = 30 s
           sysctl net.ipv4.tcp_fin_timeout 75
           ends CLOSE estimated
         close_wait_not_closed S
           held srv:S
           since cli close C .. srv eof S
           once at_least last_ack
           peer FIN_WAIT2 nobody
           ends CLOSE exact",
        // Nobody answers for the orphan any more, so this is reset.
        "wait 31s
         srv send S 1
         srv until S CLOSE
         srv close S",
    ),
    row(
        "an orphan that expires by tcp_fin_timeout",
        "sysctl net.ipv4.tcp_fin_timeout 20
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S",
        "fin_wait2_orphan C
           closed by cli
           since cli close C
           once estimated timer | at_least last_segment
           peer CLOSE_WAIT srv:S
           timer timewait
           lasts 20s
           says tcp_fin_timeout (20 here)
           sysctl net.ipv4.tcp_fin_timeout 20
           ends CLOSE estimated
         close_wait_not_closed S
           held srv:S
           since cli close C .. srv eof S
           once at_least last_ack
           peer FIN_WAIT2 nobody
           ends LAST_ACK exact",
        "wait 21s
         srv close S",
    ),
    row(
        "an orphan that expires by TCP_LINGER2",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli linger2 C 40
         cli close C",
        // Its timer did not begin with the setting, so its age goes by the last segment.
        "fin_wait2_orphan C
           closed by cli
           since cli close C
           once at_least last_segment
           peer CLOSE_WAIT srv:S
           timer timewait
           lasts 40s
           ends TIME_WAIT estimated
         close_wait_not_closed S
           held srv:S
           since cli close C
           once at_least last_ack
           peer FIN_WAIT2 nobody
           says so it may not know
           ends LAST_ACK exact",
        "srv close S",
    ),
    row(
        "never closed, by two processes and three descriptors",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         srv dup T S
         srv fork kid
         kid dup U S
         cli close C
         srv eof S",
        "close_wait_not_closed S
           held srv:S,T kid:S,T,U
           since cli close C .. srv eof S
           once at_least last_ack
           peer FIN_WAIT2 nobody
           says so it knows
           says close() the descriptor as soon as read() returns 0
           says tcp_fin_timeout, tcp_tw_reuse and TCP_USER_TIMEOUT do not touch CLOSE_WAIT
           sysctl net.ipv4.tcp_keepalive_time 7200
           ends LAST_ACK exact
         fin_wait2_orphan C
           closed by cli
           since cli close C
           once estimated timer | at_least last_segment
           peer CLOSE_WAIT srv:S,T kid:S,T,U
           timer timewait
           lasts 60s
           says the process at the other end, named here, does not close
           ends TIME_WAIT estimated",
        "srv close T
         kid close S
         kid close T
         kid close U
         srv close S",
    ),
    row(
        "never closed, over IPv6, with data unread",
        "srv listen L [::1]:80
         cli connect C [::1]:80
         srv accept S L
         cli send C 100
         cli shutdown C",
        "close_wait_not_closed S
           held srv:S
           since cli shutdown C
           once at_least last_ack
           peer FIN_WAIT2 cli:C
           says It has not even read all that came before
           ends LAST_ACK exact
         fin_wait2_half_closed C
           held cli:C
           since cli shutdown C
           once at_least last_ack
           peer CLOSE_WAIT srv:S
           timer off
           ends TIME_WAIT exact",
        "srv drain S
         srv close S
         cli close C",
    ),
    row(
        "never accepted",
        "srv listen L :80
         cli connect C :80
         cli keepalive C
         cli shutdown C
         cli until C FIN_WAIT2",
        "close_wait_not_accepted ~C
           held accept_queue srv:L
           since cli shutdown C .. cli until C FIN_WAIT2
           once at_least last_ack
           peer FIN_WAIT2 cli:C
           says no process has accepted the connection
           says what keeps the listener's process from accept()
           sysctl net.core.somaxconn 4096
           ends LAST_ACK exact
         fin_wait2_half_closed C
           held cli:C
           since cli shutdown C .. cli until C FIN_WAIT2
           once at_least last_ack
           peer CLOSE_WAIT accept_queue srv:L
           timer keepalive
           ends TIME_WAIT exact",
        "srv accept S L
         srv close S
         cli close C",
    ),
    row(
        "half-closed, the other end in another namespace",
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         cli connect C 10.0.0.2:80
         cli fork kid
         srv accept S L
         cli shutdown C
         srv eof S
         cli until C FIN_WAIT2",
        "fin_wait2_half_closed C
           held cli:C kid:C
           since cli shutdown C .. cli until C FIN_WAIT2
           once at_least last_ack
           peer CLOSE_WAIT srv:S
           says a time limit for the answer, then close()
           says tcp_fin_timeout (60 here) does not apply while a descriptor is open
           ends TIME_WAIT exact
         close_wait_not_closed S
           there
           held srv:S
           since cli shutdown C .. srv eof S
           once at_least last_ack
           peer FIN_WAIT2 cli:C kid:C
           ends LAST_ACK exact",
        "srv close S
         cli eof C
         cli close C
         kid close C",
    ),
    row(
        "a reset connection whose descriptors stay open",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli fork kid
         srv linger S
         srv close S
         cli until C CLOSE",
        "closed_fd_leaked C
           held cli:C kid:C
           since srv close S .. cli until C CLOSE
           once estimated last_packet
           timer off
           says The connection is over
           says ss and netstat cannot see such sockets
           says close() the descriptor when read(), write() or poll() reports an error
           ends - exact",
        "cli close C
         kid close C",
    ),
    row(
        "a connection closed by both whose descriptor stays open",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         srv eof S
         srv close S
         cli until C CLOSE",
        "closed_fd_leaked C
           held cli:C
           since srv close S .. cli until C CLOSE
           live estimated last_packet
           once estimated last_packet
           timer off
           ends - unknown",
        "cli close C",
    ),
    row(
        "a descriptor still open after CLOSE_WAIT and a reset",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S
         srv send S 1
         srv until S CLOSE",
        "closed_fd_leaked S
           held srv:S
           since srv send S 1 .. srv until S CLOSE
           once estimated last_packet
           timer off
           ends - exact",
        "srv close S",
    ),
];
