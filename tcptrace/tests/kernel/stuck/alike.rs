//! What looks like a finding and is none. Each row has a finding that begins after all the others
//! might have, so that when it has been told twice, they would have been.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "half-closed and in use is not stuck until it is not used any more",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         srv send S 1
         wait 400ms
         srv send S 2
         wait 401ms
         srv send S 3
         wait 402ms
         srv send S 4
         wait 403ms
         srv send S 5
         wait 404ms
         srv send S 6",
        "fin_wait2_half_closed C
           held cli:C
           since cli shutdown C .. cli until C FIN_WAIT2
           not before srv send S 6
           once at_least last_ack
           peer CLOSE_WAIT srv:S
           ends TIME_WAIT exact
         close_wait_not_closed S
           held srv:S
           since cli shutdown C .. srv eof S
           not before srv send S 6
           once at_least last_ack
           peer FIN_WAIT2 cli:C
           ends LAST_ACK exact",
        "cli recv C 21
         srv close S
         cli eof C
         cli close C",
    ),
    row(
        "sockets that have not been connected, listen, or are idle",
        "sysctl net.ipv4.tcp_fastopen 5
         srv listen L :80
         cli connect IDLE :80
         srv accept IDLE2 L
         cli connect WAITING :80
         cli open FRESH
         cli bind BOUND :7000
         cli connect REFUSED :81 => ECONNREFUSED
         cli start DEFERRED :80 deferred
         cli connect C :80
         srv accept ONE L
         srv accept S L
         cli close C",
        "close_wait_not_closed S
           held srv:S
           since cli close C
           once at_least last_ack
           peer FIN_WAIT2 nobody
           ends LAST_ACK exact
         fin_wait2_orphan C
           closed by cli
           since cli close C
           once estimated timer | at_least last_segment
           peer CLOSE_WAIT srv:S
           lasts 60s
           ends TIME_WAIT estimated",
        "srv close S",
    ),
];
