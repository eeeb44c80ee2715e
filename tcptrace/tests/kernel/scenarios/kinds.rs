//! Families, namespaces and protocols.

use socket2::{Domain, Protocol, Socket, Type};

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "IPv6",
        "srv listen L [::1]:80
         cli connect C [::1]:80
         srv accept S L
         wait 100ms
         cli shutdown C
         cli until C FIN_WAIT2
         srv eof S
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task ~100ms
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli classified
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?
           CLOSE_WAIT  -> LAST_ACK   srv task
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "IPv4 client of an IPv6 listener",
        "srv listen L [::]:80
         cli connect C :80
         srv accept S L
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> CLOSE_WAIT cli
         S arrived v4mapped
           ESTABLISHED -> FIN_WAIT1  srv task v4mapped
           FIN_WAIT1   -> FIN_WAIT2  srv v4mapped",
    ),
    row(
        "IPv6 socket connected to a v4-mapped address",
        "srv listen L :80
         cli connect C [::ffff:127.0.0.1]:80
         srv accept S L
         cli close C
         srv eof S",
        "C opened cli v4mapped
           ESTABLISHED -> FIN_WAIT1  cli task v4mapped
           FIN_WAIT1   -> FIN_WAIT2  cli v4mapped
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv?",
    ),
    row(
        "two namespaces joined by a pair of links",
        "veth
         place srv there
         srv listen L 10.0.0.2:80
         cli connect C 10.0.0.2:80
         srv accept S L
         wait 100ms
         cli shutdown C
         srv eof S
         cli until C FIN_WAIT2
         wait 150ms
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> FIN_WAIT1  cli task ~100ms
           FIN_WAIT1   -> FIN_WAIT2  cli
           FIN_WAIT2   -> TIME_WAIT  cli classified ~150ms
         S arrived
           ESTABLISHED -> CLOSE_WAIT srv? ~100ms
           CLOSE_WAIT  -> LAST_ACK   srv task ~150ms
           LAST_ACK    -> CLOSE      srv fin",
    ),
    row(
        "TCP Fast Open: data with the SYN",
        // 1 client, 2 server, 4 and 0x200 without a cookie, 0x400 without a socket option.
        "sysctl net.ipv4.tcp_fastopen 1543
         srv listen L :80
         cli connect C :80 fastopen
         srv accept S L
         srv recv S 5
         srv close S
         cli eof C",
        "C opened cli
           ESTABLISHED -> CLOSE_WAIT cli
         S arrived
           ESTABLISHED -> FIN_WAIT1  srv task
           FIN_WAIT1   -> FIN_WAIT2  srv",
    ),
    // The MPTCP sockets themselves have another protocol number and are not shown; their subflows
    // are TCP connections that no descriptor belongs to.
    row(
        "MPTCP: the subflows are shown, and never a kworker",
        "srv listen L :80 mptcp
         cli connect C :80 mptcp
         srv accept S L
         wait 100ms
         cli close C
         srv eof S
         srv close S",
        "C CLOSE       -> SYN_SENT    cli?
           SYN_SENT    -> ESTABLISHED cli?
           ESTABLISHED -> FIN_WAIT1   cli?
           FIN_WAIT1   -> FIN_WAIT2   cli?
           FIN_WAIT2   -> TIME_WAIT   cli? classified|confirmed|derived exact|estimated
         S arrived
           ESTABLISHED -> CLOSE_WAIT  srv?
           CLOSE_WAIT  -> LAST_ACK    srv?
           LAST_ACK    -> CLOSE       srv? fin",
    )
    .needing("MPTCP", has_mptcp),
    // SCTP would need CONFIG_IP_SCTP, which kernels rarely have built in. That its states, which
    // reuse the numbers of TCP, are not shown follows from the protocol number, as for MPTCP.
];

pub(super) fn has_mptcp() -> bool {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).is_ok()
}
