//! The state diagram of Linux, as data: which arrows there are and what makes a connection go along
//! them.

use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
    SynSent, TimeWait,
};

/// A way from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// Where it begins.
    pub from: TcpState,
    /// Where it leads.
    pub to: TcpState,
    /// Who moves a connection along it.
    pub mover: Mover,
    /// What moves it, in a few words.
    pub cause: &'static str,
}

/// Who moves a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// The application on this host, by a system call.
    Call,
    /// The peer, by a packet.
    Packet,
    /// A timer of this host.
    Timer,
    /// Now one, now another of these.
    Any,
}

impl Mover {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Packet => "packet",
            Self::Timer => "timer",
            Self::Any => "any",
        }
    }
}

/// A part of the life of a connection and its arrows.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What happens in it.
    pub name: &'static str,
    /// Its arrows, in the order in which a connection goes along them.
    pub arrows: &'static [Arrow],
}

const fn arrow(from: TcpState, to: TcpState, mover: Mover, cause: &'static str) -> Arrow {
    Arrow { from, to, mover, cause }
}

/// The whole diagram.
///
/// LISTEN leads to SYN_RECV because the kernel copies the new socket from the listener; the listener
/// itself stays. FIN_WAIT1 never leads to TIME_WAIT: if one packet brings both ACK and FIN, the
/// kernel still passes through FIN_WAIT2 (`tcp_rcv_state_process`, 5.10 to 7.2).
pub const PARTS: [Part; 5] = [
    Part {
        name: "Opening",
        arrows: &[
            arrow(Close, Listen, Mover::Call, "listen()"),
            arrow(Close, SynSent, Mover::Call, "connect(): our SYN goes"),
            arrow(SynSent, Established, Mover::Packet, "SYN+ACK arrives; we send ACK"),
            arrow(SynSent, SynRecv, Mover::Packet, "a bare SYN arrives: both connect"),
            arrow(Listen, SynRecv, Mover::Packet, "the last ACK makes a new socket"),
            arrow(SynRecv, Established, Mover::Packet, "our SYN is acknowledged"),
        ],
    },
    Part {
        name: "Closing, the end that closes first",
        arrows: &[
            arrow(Established, FinWait1, Mover::Call, "close() or shutdown(): FIN goes"),
            arrow(FinWait1, FinWait2, Mover::Packet, "our FIN is acknowledged"),
            arrow(FinWait2, TimeWait, Mover::Packet, "FIN arrives; we send ACK"),
            arrow(FinWait1, Closing, Mover::Packet, "FIN arrives, ours unacknowledged"),
            arrow(Closing, TimeWait, Mover::Packet, "our FIN is acknowledged"),
            arrow(TimeWait, Close, Mover::Timer, "60 s have passed"),
        ],
    },
    Part {
        name: "Closing, the end that closes second",
        arrows: &[
            arrow(Established, CloseWait, Mover::Packet, "FIN arrives; we send ACK"),
            arrow(CloseWait, LastAck, Mover::Call, "close() or shutdown(): FIN goes"),
            arrow(LastAck, Close, Mover::Packet, "our FIN is acknowledged"),
        ],
    },
    Part {
        name: "Rare: closing before the handshake is over (not drawn)",
        arrows: &[
            arrow(SynRecv, FinWait1, Mover::Call, "close() or shutdown(): FIN goes"),
            arrow(SynRecv, CloseWait, Mover::Packet, "FIN arrives; we send ACK"),
        ],
    },
    Part {
        name: "Short ways to CLOSE (not drawn)",
        arrows: &[
            arrow(Listen, Close, Mover::Call, "close()"),
            arrow(SynSent, Close, Mover::Any, "refused, no answer, or close()"),
            arrow(SynRecv, Close, Mover::Any, "reset, or no answer in time"),
            arrow(Established, Close, Mover::Any, "reset by either end, no answer"),
            arrow(FinWait1, Close, Mover::Any, "no ACK in time, or reset"),
            arrow(FinWait2, Close, Mover::Any, "orphan's time is over, or reset"),
            arrow(Closing, Close, Mover::Any, "no ACK in time, or reset"),
            arrow(CloseWait, Close, Mover::Any, "reset by either end, no answer"),
        ],
    },
];

/// All arrows, part by part.
pub fn arrows() -> impl Iterator<Item = &'static Arrow> {
    PARTS.iter().flat_map(|part| part.arrows)
}

/// Whether the diagram allows this transition.
#[must_use]
pub fn allows(from: TcpState, to: TcpState) -> bool {
    arrows().any(|arrow| (arrow.from, arrow.to) == (from, to))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{TcpState, allows, arrows};

    #[test]
    fn every_arrow_is_there_once() {
        let ends: BTreeSet<_> = arrows().map(|arrow| (arrow.from, arrow.to)).collect();
        assert_eq!(ends.len(), arrows().count());
        assert!(ends.iter().all(|(from, to)| from != to));
    }

    #[test]
    fn every_state_that_sockets_have_is_entered_and_left() {
        for state in TcpState::ALL {
            let is_socket = state != TcpState::NewSynRecv;
            assert_eq!(arrows().any(|arrow| arrow.from == state), is_socket, "{state}");
            assert_eq!(arrows().any(|arrow| arrow.to == state), is_socket, "{state}");
        }
    }

    #[test]
    fn what_only_textbooks_draw_is_not_allowed() {
        assert!(allows(TcpState::FinWait1, TcpState::FinWait2));
        assert!(!allows(TcpState::FinWait1, TcpState::TimeWait));
        assert!(!allows(TcpState::Listen, TcpState::SynSent));
    }
}
