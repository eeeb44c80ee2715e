//! Connections that fail, or end by a reset.

use super::{Lacking, Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "refused",
        "cli connect C :81 => ECONNREFUSED",
        "C CLOSE    -> SYN_SENT cli task
           SYN_SENT -> CLOSE    cli refused",
    ),
    row(
        "refused, then again on the same socket",
        "cli connect C :80 => ECONNREFUSED
         srv listen L :80
         wait 100ms
         cli connect C :80
         srv accept S L",
        "C   CLOSE    -> SYN_SENT    cli task
             SYN_SENT -> CLOSE       cli refused
         C.2 CLOSE    -> SYN_SENT    cli task exact|unknown
             SYN_SENT -> ESTABLISHED cli
         S arrived",
    ),
    row(
        "connect timeout: nobody answers",
        "veth
         sysctl net.ipv4.tcp_syn_retries 1
         sysctl net.ipv4.tcp_syn_linear_timeouts 0 if present
         run ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli connect C 10.0.0.9:80 => ETIMEDOUT",
        "C CLOSE    -> SYN_SENT cli task
           SYN_SENT -> CLOSE    cli timeout 2.5s..8s",
    ),
    row(
        "unreachable: a router says so",
        "veth
         sysctl net.ipv4.tcp_syn_linear_timeouts 0 if present
         run ip route add 10.7.0.0/16 via 10.0.0.2
         sysctl there net.ipv4.ip_forward 1
         run there ip route add unreachable 10.7.0.0/16
         cli connect C 10.7.0.1:80 => EHOSTUNREACH",
        "C CLOSE    -> SYN_SENT cli task
           SYN_SENT -> CLOSE    cli unreachable",
    ),
    row(
        "close while connecting",
        "veth
         run ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
         cli start C 10.0.0.9:80
         wait 100ms
         cli close C",
        "C CLOSE    -> SYN_SENT cli task
           SYN_SENT -> CLOSE    cli task local ~100ms",
    ),
    row(
        "connect(AF_UNSPEC) on a connected socket, then again on the same socket",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 100ms
         cli disconnect C
         cli connect C :80
         srv accept S2 L",
        "C opened cli
             ESTABLISHED -> CLOSE       cli task reset_by_us ~100ms
         C.2 CLOSE       -> SYN_SENT    cli task exact|unknown
             SYN_SENT    -> ESTABLISHED cli
         S arrived
             ESTABLISHED -> CLOSE       srv? reset_by_peer ~100ms
         S2 arrived",
    ),
    row(
        "linger 0: close resets",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 100ms
         cli linger C
         cli close C
         srv until S CLOSE",
        "C opened cli
           ESTABLISHED -> CLOSE cli task reset_by_us
         S arrived
           ESTABLISHED -> CLOSE srv? reset_by_peer",
    ),
    row(
        "close with unread data resets",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         srv send S 10
         cli recv C 1
         wait 100ms
         cli close C
         srv until S CLOSE",
        "C opened cli
           ESTABLISHED -> CLOSE cli task reset_by_us
         S arrived
           ESTABLISHED -> CLOSE srv? reset_by_peer",
    ),
    row(
        "reset in ESTABLISHED",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         srv linger S
         wait 100ms
         srv close S
         cli until C CLOSE",
        "C opened cli
           ESTABLISHED -> CLOSE cli reset_by_peer
         S arrived
           ESTABLISHED -> CLOSE srv task reset_by_us",
    ),
    row(
        "reset in CLOSE_WAIT",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         srv shutdown S
         srv until S FIN_WAIT2
         cli eof C
         wait 100ms
         srv linger S
         srv close S
         cli until C CLOSE",
        "C opened cli
           ESTABLISHED -> CLOSE_WAIT cli
           CLOSE_WAIT  -> CLOSE      cli reset_by_peer
         S arrived
           ESTABLISHED -> FIN_WAIT1  srv task
           FIN_WAIT1   -> FIN_WAIT2  srv
           FIN_WAIT2   -> CLOSE      srv task reset_by_us event|classified",
    ),
    row(
        "reset in FIN_WAIT2",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         srv linger S
         wait 100ms
         srv close S
         cli until C CLOSE",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli reset_by_peer event|classified|confirmed
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> CLOSE      srv task reset_by_us",
    ),
    row(
        "reset by data that comes after the close",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         cli close C
         srv eof S
         wait 100ms
         srv send S 1
         srv until S CLOSE",
        // C is a minisock then, which answers with a reset.
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli confirmed reset_by_us exact|estimated 50ms..2s
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> CLOSE      srv reset_by_peer ~100ms",
    )
    .or(Lacking {
        // The tracepoint with two arguments is left out for all but full sockets.
        is_there: |btf| btf.tracepoint_arguments("tcp_send_reset") != Some(2),
        limit: "reset by a minisock",
        expected: "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> CLOSE      cli confirmed null at_least
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> CLOSE      srv reset_by_peer ~100ms",
    }),
    row(
        "listener closed over a connection that nobody accepted",
        "srv listen L :80
         cli connect C :80
         wait 100ms
         srv close L
         cli until C CLOSE",
        // The close runs in srv, but does not lock the child as a task does, and srv never held it.
        "L CLOSE       -> LISTEN srv task
           LISTEN      -> CLOSE  srv task local
         C opened cli
           ESTABLISHED -> CLOSE  cli reset_by_peer
         C' arrived
           ESTABLISHED -> CLOSE  - reset_by_us",
    ),
    row(
        "destroyed by ss -K",
        "srv listen L :80
         cli connect C :80
         srv accept S L
         wait 100ms
         run ss -K dst 127.0.0.1 dport = 80
         srv until S CLOSE",
        // ss is not the owner. It has the other end reset.
        "C opened cli
           ESTABLISHED -> CLOSE cli opener|fd destroyed
         S arrived
           ESTABLISHED -> CLOSE srv? reset_by_peer",
    ),
];
