//! The ways in which a connection ends in order.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "close: the client first",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 200ms
         cli close C
         srv eof S
         wait 100ms
         srv close S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1   cli task ~200ms
           FIN_WAIT1   -> FIN_WAIT2   cli
           FIN_WAIT2   -> TIME_WAIT   cli confirmed|derived|classified exact|estimated
         S arrived
           ESTABLISHED -> CLOSE_WAIT  srv? ~200ms
           CLOSE_WAIT  -> LAST_ACK    srv task ~100ms
           LAST_ACK    -> CLOSE       srv fin",
    ),
    row(
        "close: the server first",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 200ms
         srv close S
         cli eof C
         wait 100ms
         cli close C",
        "C opened cli
           ESTABLISHED -> CLOSE_WAIT  cli ~200ms
           CLOSE_WAIT  -> LAST_ACK    cli task ~100ms
           LAST_ACK    -> CLOSE       cli fin
         S arrived
           ESTABLISHED -> FIN_WAIT1   srv task ~200ms
           FIN_WAIT1   -> FIN_WAIT2   srv
           FIN_WAIT2   -> TIME_WAIT   srv confirmed|derived|classified exact|estimated",
    ),
    row(
        "close: after data in both directions",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli send C 100000
         srv recv S 100000
         srv send S 100000
         cli recv C 100000
         cli shutdown C
         srv eof S
         srv close S
         cli eof C
         cli close C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1   cli task
           FIN_WAIT1   -> FIN_WAIT2   cli
           FIN_WAIT2   -> TIME_WAIT   cli classified
         S arrived
           ESTABLISHED -> CLOSE_WAIT  srv?
           CLOSE_WAIT  -> LAST_ACK    srv task
           LAST_ACK    -> CLOSE       srv fin",
    ),
    row(
        "half close: the peer closes later",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         wait 300ms
         srv close S
         cli eof C
         cli close C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1   cli task
           FIN_WAIT1   -> FIN_WAIT2   cli
           FIN_WAIT2   -> TIME_WAIT   cli classified ~300ms
         S arrived
           ESTABLISHED -> CLOSE_WAIT  srv?
           CLOSE_WAIT  -> LAST_ACK    srv task ~300ms
           LAST_ACK    -> CLOSE       srv fin",
    ),
    row(
        "shutdown, then close while the peer keeps open",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         wait 100ms
         cli close C",
        // The second FIN_WAIT2 event of the close is no state change, and the minisock that follows
        // is still FIN_WAIT2.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1   cli task
           FIN_WAIT1   -> FIN_WAIT2   cli
         S arrived
           ESTABLISHED -> CLOSE_WAIT  srv?",
    ),
    row(
        "simultaneous close: both FINs cross while the link is down",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         link lo down
         cli shutdown C
         wait 60ms
         srv shutdown S
         link lo up
         srv until S CLOSE
         cli until C CLOSE",
        // C's FIN is sent again first, and meets S in FIN_WAIT1.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1   cli task
           FIN_WAIT1   -> FIN_WAIT2   cli
           FIN_WAIT2   -> TIME_WAIT   cli classified
         S arrived
           ESTABLISHED -> FIN_WAIT1   srv task
           FIN_WAIT1   -> CLOSING     srv
           CLOSING     -> TIME_WAIT   srv classified",
    ),
    row(
        "self-connect: one socket is both ends",
        "cli bind C :7000
         cli connect C :7000
         wait 100ms
         cli close C",
        "C CLOSE       -> SYN_SENT    cli task
           SYN_SENT    -> SYN_RECV    cli
           SYN_RECV    -> ESTABLISHED cli
           ESTABLISHED -> FIN_WAIT1   cli task ~100ms
           FIN_WAIT1   -> CLOSING     cli
           CLOSING     -> TIME_WAIT   cli classified",
    ),
    row(
        "listener: opened and closed",
        "srv listen L :80
         wait 100ms
         srv close L",
        "L CLOSE  -> LISTEN srv task
           LISTEN -> CLOSE  srv task local ~100ms",
    ),
];
