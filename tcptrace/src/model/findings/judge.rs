//! Judging one socket: whether it waits for somebody, and for whom.

use std::time::Duration;

use tcptrace_common::tcp_state::TcpState;

use super::kind::Kind;
use crate::{
    event::{Shape, Socket, TimerKind},
    time::Timestamp,
};

/// What would be wrong with the socket if it stayed like this for long.
pub(super) fn kind_of(socket: &Socket) -> Option<Kind> {
    let timer = socket.timer.map(|timer| timer.kind);
    // The kernel's own sockets have no descriptor and are nobody's orphans.
    let held = socket.inode.is_some() || socket.kernel == Some(true);
    Some(match socket.state {
        TcpState::CloseWait if held => Kind::CloseWaitNotClosed,
        TcpState::CloseWait => Kind::CloseWaitNotAccepted,
        TcpState::FinWait2 if held && socket.shape == Shape::Full => Kind::FinWait2HalfClosed,
        TcpState::FinWait2 => Kind::FinWait2Orphan,
        TcpState::FinWait1 if timer == Some(TimerKind::Probe) => Kind::FinWait1ZeroWindow,
        TcpState::FinWait1 => Kind::FinWait1Unacked,
        TcpState::LastAck => Kind::LastAckUnacked,
        TcpState::Closing => Kind::ClosingUnacked,
        // With TCP_FASTOPEN_CONNECT the SYN waits for the first write; nobody can have answered it.
        TcpState::SynSent if timer == Some(TimerKind::Off) => return None,
        TcpState::SynSent => Kind::SynSentUnanswered,
        TcpState::SynRecv => Kind::SynRecvUnacked,
        TcpState::Close => Kind::ClosedFdLeaked,
        _ => return None,
    })
}

/// Whether a finding may be about the socket.
pub(super) fn may_be_found(socket: &Socket) -> bool {
    socket.state == TcpState::TimeWait || kind_of(socket).is_some()
}

/// Until when the open half of a half-closed connection counts as in use: `limit` after data last
/// came, or went out and was acknowledged. A long download is not stuck.
pub(super) fn in_use_until(socket: &Socket, kind: Kind, limit: Duration) -> Option<Timestamp> {
    let last = match kind {
        Kind::FinWait2HalfClosed => socket.last_data?,
        Kind::CloseWaitNotClosed => socket.last_sent?.min(socket.last_ack?),
        _ => return None,
    };
    Some(last + limit)
}
