//! The words of the advice.

use super::{Advice, Case, Unread};
use crate::{
    event::{Sysctl, Sysctls},
    model::findings::{finding::HeldBy, kind::Kind},
};

impl Case {
    /// Who must change something at the other end.
    fn peer(&self) -> &'static str {
        if self.peer_here { "the process at the other end, named here," } else { "the peer" }
    }

    pub(super) fn close_wait(&self, sysctls: Option<&Sysctls>) -> Advice {
        if self.held_by == HeldBy::Kernel {
            return held_by_kernel();
        }
        let mut cause = "The peer has closed, and the program that holds the descriptor has not. \
                         No timer ends this state."
            .to_owned();
        cause.push_str(match self.unread {
            Unread::Nothing => " It has read the end of the data, so it knows.",
            Unread::End => " It has not asked for more data since, so it may not know.",
            Unread::Data => " It has not even read all that came before.",
        });
        Advice {
            cause,
            remedy: lines(&[
                "In the program: close() the descriptor as soon as read() returns 0 or an error. An \
                 idle pool should look for this before it hands a connection out.",
                "Until that is done: restart it. Ending the process releases all its descriptors; \
                 `ss -K` ends the connection but leaves the descriptor open.",
            ]),
            useless: format!(
                "tcp_fin_timeout, tcp_tw_reuse and TCP_USER_TIMEOUT do not touch CLOSE_WAIT. \
                 Keepalive{} needs SO_KEEPALIVE on the socket and ends the connection only if the \
                 peer is gone; the descriptor stays leaked.",
                keepalive(sysctls)
            ),
            ..Advice::default()
        }
    }

    pub(super) fn half_closed(&self, sysctls: Option<&Sysctls>) -> Advice {
        Advice {
            cause: "This end has ended its sending (shutdown) and keeps the descriptor open to \
                    read on; the peer has acknowledged that and does not close. With the \
                    descriptor open no timer ends this state."
                .to_owned(),
            remedy: vec![
                "In this program: a time limit for the answer, then close().".to_owned(),
                format!("Find out why {} does not close.", self.peer()),
                "SO_KEEPALIVE on this socket helps if the peer's host is gone, and only then."
                    .to_owned(),
            ],
            useless: format!(
                "tcp_fin_timeout{} does not apply while a descriptor is open.",
                value(sysctls, Sysctl::TcpFinTimeout)
            ),
            ..Advice::default()
        }
    }

    pub(super) fn orphan(&self, sysctls: Option<&Sysctls>) -> Advice {
        let limit = sysctls.and_then(|sysctls| sysctls.number(Sysctl::TcpFinTimeout));
        let shorter = match limit {
            Some(limit @ 61..) => format!(
                "tcp_fin_timeout is {limit} here. Above 60 an orphan lasts 2 x ({limit} - 60) = {} \
                 s, the first half as a full socket: set it to 60 or less.",
                2 * (limit - 60)
            ),
            _ => format!(
                "For fewer of them set tcp_fin_timeout{} lower, or TCP_LINGER2 on the socket.",
                value(sysctls, Sysctl::TcpFinTimeout)
            ),
        };
        Advice {
            cause: "This end has closed, the peer has acknowledged that and does not close in its \
                    turn. No process holds the connection here any more; the kernel ends it by \
                    itself."
                .to_owned(),
            remedy: vec![
                format!("Find out why {} does not close.", self.peer()),
                "Here there is nothing to mend: an orphan expires by itself, and as a minisock takes \
                 about 256 bytes."
                    .to_owned(),
                shorter,
            ],
            useless:
                "Raising tcp_fin_timeout above 60 does what nobody expects: 61 means 2 s, 100 \
                      means 80 s. It is not the length of TIME_WAIT either."
                    .to_owned(),
            ..Advice::default()
        }
    }

    pub(super) fn unacked(&self, sysctls: Option<&Sysctls>) -> Advice {
        let what = match self.kind {
            Kind::LastAckUnacked => {
                "Both ends have closed, and our FIN, the last, is not \
                                     acknowledged"
            }
            Kind::ClosingUnacked => {
                "Both ends have closed at the same time, and our FIN is not \
                                     acknowledged"
            }
            _ => {
                "This end has ended its sending, and its FIN, or data before it, is not \
                  acknowledged"
            }
        };
        let default =
            |sysctl, default| sysctls.and_then(|sysctls| sysctls.number(sysctl)) == Some(default);
        let orphan = self.held_by == HeldBy::Nobody;
        let end = match orphan {
            true if default(Sysctl::TcpOrphanRetries, 0) => {
                "The kernel gives an orphan up after about 107 s (tcp_orphan_retries 0 means 8)."
            }
            true => "The kernel gives an orphan up after tcp_orphan_retries.",
            false if default(Sysctl::TcpRetries2, 15) => {
                "With the descriptor open the kernel gives up after tcp_retries2 = 15, a quarter of \
                 an hour."
            }
            false => "With the descriptor open the kernel gives up after tcp_retries2.",
        };
        let bound = if orphan {
            "To be rid of them earlier: TCP_USER_TIMEOUT on the socket before close(), or a lower \
             tcp_orphan_retries (1 or more)."
        } else {
            "In the program: TCP_USER_TIMEOUT bounds the wait; close() makes it an orphan, which \
             ends earlier."
        };
        Advice {
            cause: format!(
                "{what}: the peer's host is gone, or a firewall or NAT on the way has forgotten \
                 the connection and drops the packets. {end}"
            ),
            remedy: lines(&[
                "Look at the way to the peer: is its host up, do firewall and NAT keep connections \
                 longer than the programs do?",
                bound,
            ]),
            useless: "tcp_fin_timeout counts only in FIN_WAIT2, keepalive only on an idle \
                      connection."
                .to_owned(),
            ..Advice::default()
        }
    }

    pub(super) fn zero_window(&self) -> Advice {
        let end = if self.held_by == HeldBy::Nobody {
            "With the default settings the kernel gives an orphan up after 339 s; until then it keeps \
             the unsent data in memory."
        } else {
            "As long as the peer's host answers, no timer ends this."
        };
        Advice {
            cause: format!(
                "This end has closed, but its FIN waits behind data for which the peer has no \
                 room: the peer's host answers, its program does not read. {end}"
            ),
            remedy: vec![
                format!("Find out why {} does not read.", self.peer()),
                "In this program: TCP_USER_TIMEOUT before close() bounds the wait; SO_LINGER with 0 \
                 throws the data away at once."
                    .to_owned(),
            ],
            useless: "tcp_fin_timeout counts only in FIN_WAIT2. The network is not at fault: every \
                      probe is answered."
                .to_owned(),
            ..Advice::default()
        }
    }

    pub(super) fn syn_sent(&self) -> Advice {
        let cause = if self.queue_full {
            "The accept queue of the listener at the other end, on this host, is full: the kernel \
             drops our SYN until its program accepts."
        } else {
            "Nothing answers our SYN, not even a refusal: a firewall drops it, the host is down, or \
             the accept queue of the server is full."
        };
        Advice {
            cause: cause.to_owned(),
            remedy: lines(&[
                "On the server look at `nstat -az TcpExtListenOverflows` and at Recv-Q of the \
                 listener (`ss -ltn`): if that is full, its program is slow to accept().",
                "Otherwise look at the way: routes, firewall, security groups.",
                "In the program: a time limit for connect(); the kernel's own is tcp_syn_retries.",
            ]),
            useless: "tcp_tw_reuse, tcp_fin_timeout and keepalive have no part in opening a \
                      connection."
                .to_owned(),
            ..Advice::default()
        }
    }

    pub(super) fn syn_recv(&self) -> Advice {
        let cause = if self.queue_full {
            "The accept queue of the listener is full, so that the kernel drops the last packet of \
             the handshake: the program is slow to accept()."
        } else {
            "Our SYN-ACK is not answered: it, or the answer, is lost on the way, or the SYNs have \
             false senders (a SYN flood)."
        };
        Advice {
            cause: cause.to_owned(),
            remedy: lines(&[
                "If few peers are concerned: look at the way back to them (routes, firewall).",
                "If very many are: keep tcp_syncookies at 1, and give listen() a longer backlog \
                 (with net.core.somaxconn and tcp_max_syn_backlog).",
                "If the accept queue is full: more workers, or find out what keeps them from \
                 accept().",
            ]),
            useless: "tcp_abort_on_overflow only turns waiting into resets.".to_owned(),
            ..Advice::default()
        }
    }

    pub(super) fn leaked(&self) -> Advice {
        Advice {
            cause: "The connection is over (reset, refused, timed out, or closed by both ends), and the \
                    program still holds its descriptor. ss and netstat cannot see such sockets; \
                    lsof calls them \"can't identify protocol\"."
                .to_owned(),
            remedy: lines(&[
                "In the program: close() the descriptor when read(), write() or poll() reports an \
                 error or a hang-up.",
                "Until that is done: restart it before it runs out of descriptors.",
            ]),
            useless: "No setting and no `ss -K` reaches it: there is no connection left to end."
                .to_owned(),
            ..Advice::default()
        }
    }
}

fn held_by_kernel() -> Advice {
    Advice {
        cause: "The peer has closed, and the part of the kernel that opened the connection (NFS, \
                iSCSI, SMC and the like) has not."
            .to_owned(),
        remedy: lines(&[
            "Look at the kernel's log, then unmount, log out of or restart what uses this \
             connection.",
            "Report it to whoever maintains your kernel: no program can close this socket.",
        ]),
        useless: "tcp_fin_timeout, tcp_tw_reuse and TCP_USER_TIMEOUT do not touch CLOSE_WAIT."
            .to_owned(),
        ..Advice::default()
    }
}

pub(super) fn not_accepted() -> Advice {
    Advice {
        cause: "The peer has connected and closed again, and no process has accepted the \
                connection: it waits in the accept queue of the listener."
            .to_owned(),
        remedy: lines(&[
            "Find out what keeps the listener's process from accept(): a blocked loop, no free \
             worker, no free descriptor.",
            "`ss -ltn` shows how full the queue is (Recv-Q) and its limit (Send-Q).",
        ]),
        useless: "A longer backlog only lets more of them wait; keepalive and tcp_fin_timeout do \
                  not touch CLOSE_WAIT."
            .to_owned(),
        ..Advice::default()
    }
}

pub(super) fn time_wait(sysctls: Option<&Sysctls>) -> Advice {
    Advice {
        cause: "This end closes its connections to one destination first and so keeps each local \
                port for a minute; without a free port connect() fails with EADDRNOTAVAIL."
            .to_owned(),
        remedy: vec![
            "Use connections again instead of opening new ones (keep-alive, a pool), or let the \
             other end close first."
                .to_owned(),
            format!(
                "More ports: a wider ip_local_port_range{}, more addresses at either end.",
                value(sysctls, Sysctl::IpLocalPortRange)
            ),
            format!(
                "tcp_tw_reuse=1{} lets connect() take a port again after a second, where both \
                 ends use timestamps.",
                value(sysctls, Sysctl::TcpTwReuse)
            ),
        ],
        useless: "tcp_fin_timeout does not shorten TIME_WAIT, which lasts 60 s whatever is set; a \
                  lower tcp_max_tw_buckets breaks connections; tcp_tw_recycle went with Linux 4.12."
            .to_owned(),
        ..Advice::default()
    }
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// ` (60 here)`, or nothing if it is not known.
fn value(sysctls: Option<&Sysctls>, sysctl: Sysctl) -> String {
    let text = sysctls.and_then(|sysctls| sysctls.text(sysctl));
    text.map(|text| format!(" ({text} here)")).unwrap_or_default()
}

/// ` (after 7200 s here)`, or nothing if it is not known.
fn keepalive(sysctls: Option<&Sysctls>) -> String {
    let idle = sysctls.and_then(|sysctls| sysctls.text(Sysctl::TcpKeepaliveTime));
    idle.map(|idle| format!(" (after {idle} s here)")).unwrap_or_default()
}
