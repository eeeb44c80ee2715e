//! TCP states as Linux numbers and names them.

use core::fmt;

/// A TCP state (`include/net/tcp_states.h`, unchanged from 5.8 to 7.2).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpState {
    /// Open for data in both directions.
    Established = 1,
    /// Our SYN is out, no answer yet.
    SynSent = 2,
    /// The handshake's last ACK is awaited (on a full socket: microseconds, except with Fast Open).
    SynRecv = 3,
    /// We sent our FIN, its ACK is awaited.
    FinWait1 = 4,
    /// Our FIN is acknowledged, the peer's FIN is awaited.
    FinWait2 = 5,
    /// Both FINs are through; the addresses rest for 60 s.
    TimeWait = 6,
    /// Not connected.
    Close = 7,
    /// The peer sent its FIN, we have not closed yet.
    CloseWait = 8,
    /// The peer closed first, our FIN awaits its ACK.
    LastAck = 9,
    /// Accepting connections.
    Listen = 10,
    /// Both sides closed at once, the ACK of our FIN is awaited.
    Closing = 11,
    /// A half-open request: SYN received, handshake not finished, no full socket yet.
    NewSynRecv = 12,
}

impl TcpState {
    /// All states in the kernel's order.
    pub const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynRecv,
    ];

    /// The state with this kernel number, or `None` for a number that no known kernel uses.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The Linux name, for example `FIN_WAIT2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::NewSynRecv => "NEW_SYN_RECV",
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::TcpState;

    #[test]
    fn numbers_round_trip_and_strangers_are_refused() {
        for state in TcpState::ALL {
            assert_eq!(TcpState::from_number(state.number()), Some(state));
        }
        for number in [0, 13, 255] {
            assert_eq!(TcpState::from_number(number), None);
        }
    }
}
