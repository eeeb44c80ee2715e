//! Who is named when processes share, inherit or die.

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "fork: the last process that closes is named",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli fork kid
         cli close C
         wait 100ms
         kid close C
         srv eof S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  kid task ~100ms
           FIN_WAIT1   -> FIN_WAIT2  kid
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "accept in another process than listen",
        "srv listen L :80
         srv fork kid
         cli connect C :80
         kid accept S L
         wait 100ms
         kid shutdown S
         kid until S FIN_WAIT2
         cli eof C",
        "L CLOSE       -> LISTEN      srv task
         C opened cli
           ESTABLISHED -> CLOSE_WAIT  cli
         S arrived
           ESTABLISHED -> FIN_WAIT1   kid task ~100ms
           FIN_WAIT1   -> FIN_WAIT2   kid",
    ),
    row(
        "never accepted: the peer closes and nobody holds it",
        "srv listen L :80
         cli connect C :80
         cli shutdown C
         cli until C FIN_WAIT2",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
         C' arrived
           ESTABLISHED -> CLOSE_WAIT -",
    ),
    row(
        "killed: the dying process is named",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 100ms
         kill cli
         srv eof S
         wait 150ms
         srv close S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task ~100ms
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli confirmed|derived|classified exact|estimated
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv? ~100ms
           CLOSE_WAIT  -> LAST_ACK   srv task ~150ms
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "a forked child is killed, the parent still holds the socket",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli fork kid
         kill kid
         wait 100ms
         cli close C
         srv eof S",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "a process name of control characters and rubbish",
        r#"cli rename \x1b[31m"\x5c\x01\xff\xc3\xa9
         srv listen L :80
         cli connect C :80
         srv accept S L"#,
        "C opened cli
         S arrived",
    ),
];
