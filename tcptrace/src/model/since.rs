//! Since when a connection has been in its state, and which can come next.

use tcptrace_common::tcp_state::TcpState;

use crate::{model::change::Dwell, time::Timestamp};

/// Since when a connection has been in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// We saw it enter.
    Exact(Timestamp),
    /// It was there then, perhaps before.
    AtLeast(Timestamp),
    /// Told from a timer of the socket.
    Estimated(Timestamp),
    /// Not known.
    Unknown,
}

impl Since {
    /// Time from then to `now`; unknown if the clock stood before that.
    #[must_use]
    pub fn dwell(self, now: Timestamp) -> Dwell {
        let (entered, dwell): (_, fn(u64) -> Dwell) = match self {
            Self::Exact(entered) => (entered, Dwell::Exact),
            Self::AtLeast(entered) => (entered, Dwell::AtLeast),
            Self::Estimated(entered) => (entered, Dwell::Estimated),
            Self::Unknown => return Dwell::Unknown,
        };
        now.since(entered).map_or(Dwell::Unknown, dwell)
    }
}

/// Whether a connection that was in `before` can be in `after` later on. One that could not, on the
/// same socket, is another connection.
#[must_use]
pub fn can_become(before: TcpState, after: TcpState) -> bool {
    use TcpState::{
        CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynRecv, SynSent,
    };
    match before {
        SynSent => after == SynRecv || after == Established || can_become(Established, after),
        SynRecv => after == Established || can_become(Established, after),
        Established => matches!(after, FinWait1 | FinWait2 | Closing | CloseWait | LastAck),
        FinWait1 => matches!(after, FinWait2 | Closing),
        CloseWait => after == LastAck,
        _ => false,
    }
}
