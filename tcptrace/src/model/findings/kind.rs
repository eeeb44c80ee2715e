//! The kinds of findings.

use std::fmt;

use tcptrace_common::tcp_state::TcpState;

/// What is wrong with a connection. The names are a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The peer closed, and the process that holds the descriptor has not.
    CloseWaitNotClosed,
    /// The peer closed a connection that nobody has accepted yet.
    CloseWaitNotAccepted,
    /// This end has shut down sending and waits, with the descriptor open, for the peer to close.
    FinWait2HalfClosed,
    /// This end has closed, and the peer has not.
    FinWait2Orphan,
    /// Our FIN, or data before it, is not acknowledged.
    FinWait1Unacked,
    /// Our FIN waits behind data for which the peer has no room.
    FinWait1ZeroWindow,
    /// Our FIN, the second of the two, is not acknowledged.
    LastAckUnacked,
    /// Both ends closed at once, and our FIN is not acknowledged.
    ClosingUnacked,
    /// Nobody answers our SYN.
    SynSentUnanswered,
    /// Nobody answers our SYN-ACK.
    SynRecvUnacked,
    /// The connection is over, and the descriptor is still open.
    ClosedFdLeaked,
    /// TIME_WAIT takes up the local ports for one destination.
    TimeWaitPressure,
}

/// A part of a name that is shorter could be anything.
const SHORTEST_PART: usize = 4;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::CloseWaitNotClosed,
        Self::CloseWaitNotAccepted,
        Self::FinWait2HalfClosed,
        Self::FinWait2Orphan,
        Self::FinWait1Unacked,
        Self::FinWait1ZeroWindow,
        Self::LastAckUnacked,
        Self::ClosingUnacked,
        Self::SynSentUnanswered,
        Self::SynRecvUnacked,
        Self::ClosedFdLeaked,
        Self::TimeWaitPressure,
    ];

    /// The name, in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloseWaitNotClosed => "close_wait_not_closed",
            Self::CloseWaitNotAccepted => "close_wait_not_accepted",
            Self::FinWait2HalfClosed => "fin_wait2_half_closed",
            Self::FinWait2Orphan => "fin_wait2_orphan",
            Self::FinWait1Unacked => "fin_wait1_unacked",
            Self::FinWait1ZeroWindow => "fin_wait1_zero_window",
            Self::LastAckUnacked => "last_ack_unacked",
            Self::ClosingUnacked => "closing_unacked",
            Self::SynSentUnanswered => "syn_sent_unanswered",
            Self::SynRecvUnacked => "syn_recv_unacked",
            Self::ClosedFdLeaked => "closed_fd_leaked",
            Self::TimeWaitPressure => "time_wait_pressure",
        }
    }

    /// The kind of this name, in any case, with `_` or `-`.
    pub fn parse(name: &str) -> Result<Self, UnknownKind> {
        let key = name.trim().to_ascii_lowercase().replace('-', "_");
        let distances =
            Self::ALL.map(|kind| (strsim::damerau_levenshtein(kind.name(), &key), kind));
        let nearest = distances.into_iter().min_by_key(|(distance, _)| *distance);
        match nearest {
            Some((0, kind)) => Ok(kind),
            // Further away than this, a suggestion would be a guess.
            Some((distance, kind)) if distance <= 1 + key.len() / 4 => {
                Err(UnknownKind { nearest: Some(kind) })
            }
            // A part of a name is near enough.
            _ => Err(UnknownKind {
                nearest: Self::ALL
                    .into_iter()
                    .find(|kind| key.len() >= SHORTEST_PART && kind.name().contains(&key)),
            }),
        }
    }

    /// Whether a connection that goes from one to the other is still stuck for the same reason: a
    /// peer that reads a little now and then opens its window and shuts it again.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        let of_window = |kind| matches!(kind, Self::FinWait1Unacked | Self::FinWait1ZeroWindow);
        self == other || (of_window(self) && of_window(other))
    }

    /// The state in which it is found.
    #[must_use]
    pub const fn state(self) -> TcpState {
        match self {
            Self::CloseWaitNotClosed | Self::CloseWaitNotAccepted => TcpState::CloseWait,
            Self::FinWait2HalfClosed | Self::FinWait2Orphan => TcpState::FinWait2,
            Self::FinWait1Unacked | Self::FinWait1ZeroWindow => TcpState::FinWait1,
            Self::LastAckUnacked => TcpState::LastAck,
            Self::ClosingUnacked => TcpState::Closing,
            Self::SynSentUnanswered => TcpState::SynSent,
            Self::SynRecvUnacked => TcpState::SynRecv,
            Self::ClosedFdLeaked => TcpState::Close,
            Self::TimeWaitPressure => TcpState::TimeWait,
        }
    }
}

/// A name that no kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    /// The kind whose name is nearest, if one is near.
    pub nearest: Option<Kind>,
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nearest {
            Some(nearest) => write!(f, "no kind of finding: did you mean {}?", nearest.name()),
            None => f.write_str("no kind of finding: `tcptrace stuck --help` lists them"),
        }
    }
}

impl std::error::Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::{Kind, UnknownKind};

    #[test]
    fn names_are_understood_and_begin_with_their_state() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Ok(kind));
            assert_eq!(Kind::parse(&kind.name().to_uppercase().replace('_', "-")), Ok(kind));
            assert!(kind.name().starts_with(&kind.state().name().to_lowercase()));
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_if_one_is_near() {
        let nearest = |name| Kind::parse(name).expect_err(name).nearest;
        assert_eq!(nearest("close_wait_not_close"), Some(Kind::CloseWaitNotClosed));
        assert_eq!(nearest("finwait2_orphan"), Some(Kind::FinWait2Orphan));
        assert_eq!(nearest("close_wait"), Some(Kind::CloseWaitNotClosed));
        assert_eq!(nearest("Orphan"), Some(Kind::FinWait2Orphan));
        assert_eq!(nearest("leak"), Some(Kind::ClosedFdLeaked));
        assert_eq!(nearest("fin"), None);
        assert_eq!(nearest("hanging"), None);
        assert_eq!(
            UnknownKind { nearest: Some(Kind::ClosedFdLeaked) }.to_string(),
            "no kind of finding: did you mean closed_fd_leaked?"
        );
    }
}
