//! What becomes of a connection after its last descriptor is closed, and before the tracer came.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    // The one scenario that waits for the full minute of TIME_WAIT, which no setting shortens.
    row(
        "TIME_WAIT: lasts a minute",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         srv eof S
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli classified
           TIME_WAIT   -> CLOSE      cli derived|confirmed fin|null estimated 59.5s..63s
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> LAST_ACK   srv task
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "orphan FIN_WAIT2: ends after tcp_fin_timeout",
        "sysctl net.ipv4.tcp_fin_timeout 2
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli derived|confirmed timeout estimated 1.9s..4s
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "orphan FIN_WAIT2: the peer closes later",
        "sysctl net.ipv4.tcp_fin_timeout 2
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S
         wait 300ms
         srv close S",
        // The minisock becomes TIME_WAIT, which only a look at it shows.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli confirmed|derived estimated|at_least|exact|unknown
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> LAST_ACK   srv task ~300ms
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "shutdown, then close: ends after tcp_fin_timeout",
        "sysctl net.ipv4.tcp_fin_timeout 2
         srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         wait 500ms
         cli close C",
        // The time counts from the close, not from the shutdown.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli derived|confirmed timeout estimated 2.4s..5s
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "TIME_WAIT: the client's port is used again",
        // The kernel waits a second, or to the next, before it takes the port from a minisock.
        "srv listen L :80
         cli bind C :7000
         cli connect C :80
         srv accept S L
         cli shutdown C
         srv eof S
         srv close S
         cli until C CLOSE
         wait 1.2s
         cli bind D :7000
         cli connect D :80
         srv accept T L",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli classified
           TIME_WAIT   -> CLOSE      cli derived|confirmed fin|null estimated|exact
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> LAST_ACK   srv task
           LAST_ACK    -> CLOSE      srv fin
         D opened cli
         T arrived",
    ),
    row(
        "TIME_WAIT: a new SYN ends that of the server",
        "srv listen L :80
         cli bind C :7000
         cli connect C :80
         srv accept S L
         srv shutdown S
         cli eof C
         cli close C
         srv until S CLOSE
         wait 200ms
         cli bind D :7000
         cli connect D :80
         srv accept T L",
        "C opened cli
           ESTABLISHED -> CLOSE_WAIT cli
           CLOSE_WAIT  -> LAST_ACK   cli task
           LAST_ACK    -> CLOSE      cli fin
         S arrived
           ESTABLISHED -> FIN_WAIT1  srv task
           FIN_WAIT1   -> FIN_WAIT2  srv
           FIN_WAIT2   -> TIME_WAIT  srv classified
           TIME_WAIT   -> CLOSE      srv derived|confirmed fin|null estimated|exact
         D opened cli
         T arrived",
    ),
    row(
        "older than the tracer: the age is at least what it saw",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli connect D :80
         srv accept T L
         cli shutdown D
         cli until D FIN_WAIT2
         srv eof T
         trace
         wait 200ms
         cli close C
         srv eof S
         srv close T
         cli eof D",
        "C ESTABLISHED -> FIN_WAIT1  cli task at_least 200ms..90s
           FIN_WAIT1   -> FIN_WAIT2  cli
         S ESTABLISHED -> CLOSE_WAIT srv? at_least 200ms..90s
         D FIN_WAIT2   -> TIME_WAIT  cli classified at_least 200ms..90s
         T CLOSE_WAIT  -> LAST_ACK   srv task at_least 200ms..90s
           LAST_ACK    -> CLOSE      srv fin",
    ),
];
