//! What only programs on functions of the kernel can tell.

use super::{Row, kinds::has_mptcp, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "fentry: no room for TIME_WAIT",
        "sysctl net.ipv4.tcp_max_tw_buckets 0
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         srv eof S
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli confirmed fin
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> LAST_ACK   srv task
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "fentry: no room for an orphan",
        "sysctl net.ipv4.tcp_max_tw_buckets 0
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli confirmed local
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "fentry: a reset ends an orphan",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S
         wait 100ms
         srv linger S
         srv close S",
        // The kernel tells that it ended, and not why.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli confirmed null exact ~100ms
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> CLOSE      srv task reset_by_us",
    ),
    row(
        "fentry: who accepts is named before he does anything",
        "srv listen L :80
         srv fork kid
         cli connect C :80
         kid accept S L
         cli close C
         kid eof S",
        "L CLOSE       -> LISTEN     srv task
         C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
         S arrived
           ESTABLISHED -> CLOSE_WAIT kid opener",
    ),
    row(
        "fentry: who accepts a plain connection from a listener for MPTCP is named",
        "srv listen L :80 mptcp
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv opener",
    )
    .needing("MPTCP", has_mptcp),
];
