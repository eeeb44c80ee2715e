//! Findings about connections of which one end waits for an answer of the other's host.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "a FIN that nobody acknowledges",
        // The other end has a wrong idea of where we are, so that its answers are lost. It acknowledges
        // each of our FINs, so its own stamp tells no more than when the last of them came. The first
        // SYN over a new link may be lost, and then the first retransmission comes seconds later.
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         cli connect FIRST 10.0.0.2:80
         srv accept ITS L
         cli connect C 10.0.0.2:80
         srv accept S L
         cli connect D 10.0.0.2:80
         srv accept T L
         run there ip neighbour replace 10.0.0.1 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli shutdown C
         cli close D
         srv eof S
         srv eof T",
        "fin_wait1_unacked C
           held cli:C
           since cli shutdown C
           once estimated first_retransmit
           peer CLOSE_WAIT srv:S
           timer retransmit
           says tcp_retries2 = 15, a quarter of an hour
           says close() makes it an orphan, which ends earlier
           sysctl net.ipv4.tcp_retries2 15
           ends FIN_WAIT2 exact
         fin_wait1_unacked D
           closed by cli
           since cli close D
           once estimated first_retransmit
           peer CLOSE_WAIT srv:T
           timer retransmit
           says after about 107 s
           says TCP_USER_TIMEOUT on the socket before close()
           sysctl net.ipv4.tcp_orphan_retries 0
           ends FIN_WAIT2 exact
         close_wait_not_closed S
           there
           held srv:S
           since cli shutdown C .. srv eof S
           once perhaps at_least last_ack
           peer FIN_WAIT1 cli:C
           ends LAST_ACK exact
         close_wait_not_closed T
           there
           held srv:T
           since cli close D .. srv eof T
           once perhaps at_least last_ack
           peer FIN_WAIT1 nobody
           ends LAST_ACK exact",
        "run there ip neighbour del 10.0.0.1 dev veth0
         cli until C FIN_WAIT2
         srv close S
         srv close T
         cli close C",
    ),
    row(
        "a FIN behind data for which there is no room",
        "srv listen L :80
         srv rcvbuf L 4096
         cli connect C :80
         srv accept S L
         cli connect D :80
         srv accept T L
         cli fill C
         cli shutdown C
         cli fill D
         cli close D",
        "fin_wait1_zero_window C
           held cli:C
           since cli shutdown C
           once estimated window_closed
           peer ESTABLISHED srv:S
           timer probe
           says no timer ends this
           says Find out why the process at the other end, named here, does not read
           ends FIN_WAIT2 exact
         fin_wait1_zero_window D
           closed by cli
           since cli close D
           once estimated window_closed
           peer ESTABLISHED srv:T
           timer probe
           says gives an orphan up after 339 s
           ends FIN_WAIT2 exact",
        "srv drain S
         srv drain T
         srv close S
         srv close T
         cli close C",
    ),
    row(
        "a last FIN that nobody acknowledges",
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         cli connect FIRST 10.0.0.2:80
         srv accept ITS L
         cli connect C 10.0.0.2:80
         srv accept S L
         cli connect D 10.0.0.2:80
         srv accept T L
         cli shutdown C
         cli shutdown D
         srv eof S
         srv eof T
         cli until C FIN_WAIT2
         cli until D FIN_WAIT2
         run ip neighbour replace 10.0.0.2 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         srv shutdown S
         srv close T
         cli eof C
         cli close C
         cli eof D
         cli close D",
        "last_ack_unacked S
           there
           held srv:S
           since srv shutdown S
           once estimated first_retransmit
           peer TIME_WAIT nobody
           timer retransmit
           says our FIN, the last, is not acknowledged
           ends CLOSE exact
         last_ack_unacked T
           there
           closed by srv
           since srv close T
           once estimated first_retransmit
           peer TIME_WAIT nobody
           timer retransmit
           says after about 107 s
           ends CLOSE exact",
        "run ip neighbour del 10.0.0.2 dev veth0
         srv until S CLOSE
         srv close S",
    ),
    row(
        "both ends closed, and neither FIN is acknowledged",
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         cli connect FIRST 10.0.0.2:80
         srv accept ITS L
         cli connect C 10.0.0.2:80
         srv accept S L
         run ip neighbour replace 10.0.0.2 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli shutdown C
         srv shutdown S
         cli until C CLOSING",
        "closing_unacked C
           held cli:C
           since srv shutdown S .. cli until C CLOSING
           once perhaps at_least last_ack
           peer FIN_WAIT1 srv:S
           timer retransmit
           says Both ends have closed at the same time
           ends TIME_WAIT exact
         fin_wait1_unacked S
           there
           held srv:S
           since srv shutdown S
           once estimated first_retransmit
           peer CLOSING cli:C
           timer retransmit
           ends * exact",
        "run ip neighbour del 10.0.0.2 dev veth0
         cli until C CLOSE
         cli close C
         srv until S CLOSE
         srv close S",
    ),
    row(
        "a SYN that nobody answers",
        "veth
         run ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli start C 10.0.0.9:80",
        "syn_sent_unanswered C
           held cli:C
           since cli start C 10.0.0.9:80
           once estimated syn
           timer retransmit
           says Nothing answers our SYN, not even a refusal
           says a time limit for connect()
           sysctl net.ipv4.tcp_syn_retries 6
           ends CLOSE exact",
        "cli close C",
    ),
    row(
        "a SYN for which the accept queue has no room",
        "srv listen L :80 backlog=0
         cli connect A :80
         cli start C :80",
        "syn_sent_unanswered C
           held cli:C
           since cli start C :80
           once estimated syn
           timer retransmit
           says The accept queue of the listener at the other end, on this host, is full
           says TcpExtListenOverflows
           ends ESTABLISHED exact",
        "srv accept S L",
    ),
    row(
        "a SYN-ACK that nobody answers",
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         run there ip neighbour replace 10.0.0.1 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli start C 10.0.0.2:80",
        "syn_recv_unacked ~C
           there
           held accept_queue srv:L
           since cli start C 10.0.0.2:80
           live estimated syn
           once estimated syn
           peer SYN_SENT cli:C
           timer retransmit
           says Our SYN-ACK is not answered
           says tcp_syncookies
           sysctl net.ipv4.tcp_synack_retries 5
           ends - unknown
         syn_sent_unanswered C
           held cli:C
           since cli start C 10.0.0.2:80
           once estimated syn
           peer SYN_RECV accept_queue srv:L
           timer retransmit
           ends ESTABLISHED exact",
        "run there ip neighbour del 10.0.0.1 dev veth0
         srv accept S L",
    ),
];
