//! What a transition to CLOSE really was.
//!
//! The tracepoint never names TIME_WAIT, and one and the same FIN_WAIT2 to CLOSE stands for a real
//! TIME_WAIT, an orphan that waits on as a minisock, a reset or a timeout. The fields of the socket
//! in the same event tell them apart; each row was measured on 5.10 to 7.2.

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Process, SocketFields, Transition},
    model::change::Reason,
};

/// What became of a connection whose full socket goes to CLOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It rests in TIME_WAIT as a minisock.
    TimeWait,
    /// It waits for the peer's FIN in FIN_WAIT2 as a minisock without an owner.
    OrphanFinWait2,
    /// It is over.
    Closed(Option<Reason>),
}

const EPIPE: u16 = 32;
const ENETDOWN: u16 = 100;
const ENETUNREACH: u16 = 101;
const ECONNABORTED: u16 = 103;
const ECONNRESET: u16 = 104;
const ETIMEDOUT: u16 = 110;
const ECONNREFUSED: u16 = 111;
const EHOSTDOWN: u16 = 112;
const EHOSTUNREACH: u16 = 113;

/// Classifies a transition from `from` to CLOSE. Without fields (classic tracepoint) hardly anything
/// can be told.
#[must_use]
pub fn classify_close(from: TcpState, fields: Option<&SocketFields>) -> Outcome {
    if from == TcpState::Listen {
        return Outcome::Closed(Some(Reason::Local));
    }
    let Some(fields) = fields else {
        return Outcome::Closed(None);
    };
    // In FIN_WAIT2 only the peer's FIN sets SOCK_DONE, and it leads to TIME_WAIT at once (tcp_fin),
    // whatever error an IP_RECVERR socket may still have pending.
    if from == TcpState::FinWait2 && fields.done {
        return Outcome::TimeWait;
    }
    if fields.err != 0 {
        return Outcome::Closed(reason_of_error(fields.err));
    }
    match from {
        TcpState::FinWait2 if fields.dead => Outcome::OrphanFinWait2,
        TcpState::Closing if fields.done => Outcome::TimeWait,
        TcpState::LastAck => Outcome::Closed(Some(Reason::Fin)),
        TcpState::SynSent => Outcome::Closed(Some(Reason::Local)),
        _ if fields.repair => Outcome::Closed(Some(Reason::Local)),
        // A child that lost the race for its request dies here without a word.
        TcpState::SynRecv if !fields.owned => Outcome::Closed(None),
        TcpState::Established | TcpState::SynRecv | TcpState::CloseWait | TcpState::FinWait1 => {
            Outcome::Closed(Some(Reason::ResetByUs))
        }
        TcpState::FinWait2 if fields.owned => Outcome::Closed(Some(Reason::ResetByUs)),
        _ => Outcome::Closed(None),
    }
}

/// `sk_err` as it is set before the event (`tcp_reset`, `tcp_write_err`, `tcp_abort`; 5.10 to 7.2).
fn reason_of_error(err: u16) -> Option<Reason> {
    match err {
        ECONNREFUSED => Some(Reason::Refused),
        ECONNRESET | EPIPE => Some(Reason::ResetByPeer),
        ETIMEDOUT => Some(Reason::Timeout),
        ECONNABORTED => Some(Reason::Destroyed),
        ENETDOWN | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH => Some(Reason::Unreachable),
        _ => None,
    }
}

/// Whether a reset that the socket seems to have received may have been one that it sent: data that
/// arrives after `close()` goes through `tcp_reset` as well, and only the reset sent right after tells.
#[must_use]
pub fn may_have_sent_reset(from: TcpState, fields: Option<&SocketFields>) -> bool {
    matches!(from, TcpState::FinWait1 | TcpState::FinWait2)
        && fields.is_some_and(|fields| fields.dead && fields.err == ECONNRESET)
}

/// The task in the event, if it is surely a user of the socket: it owned the lock, and neither is
/// the socket the kernel's own nor may the task be whoever destroys it (`ss -K`).
///
/// The destroyer of a listener leaves no error yet (`tcp_abort`, 5.10 to 7.2), only no sign of
/// `close()` either, which sets both directions' shutdown first. `shutdown()` looks the same, so
/// then the task is not believed.
#[must_use]
pub fn owning_task(transition: &Transition) -> Option<Process> {
    let fields = transition.socket.as_ref()?;
    let destroyed = transition.to == TcpState::Close
        && (fields.err == ECONNABORTED
            || (transition.from == TcpState::Listen && fields.shutdown == 0));
    let used = fields.owned && !fields.kernel && !destroyed;
    transition.on_cpu.filter(|_| used)
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState::{
        self, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
        SynSent,
    };

    use super::{
        Outcome::{self, Closed, OrphanFinWait2, TimeWait},
        classify_close, may_have_sent_reset,
    };
    use crate::{
        event::SocketFields,
        model::change::Reason::{
            Destroyed, Fin, Local, Refused, ResetByPeer, ResetByUs, Timeout, Unreachable,
        },
    };

    /// `own dead done repair err=N` as fields.
    fn fields(words: &str) -> SocketFields {
        let has = |word| words.split(' ').any(|other| other == word);
        let err = words.split(' ').find_map(|word| word.strip_prefix("err="));
        SocketFields {
            owned: has("own"),
            dead: has("dead"),
            done: has("done"),
            repair: has("repair"),
            err: err.map_or(0, |err| err.parse().expect("a number")),
            ..SocketFields::default()
        }
    }

    #[test]
    fn each_way_to_close_is_told_from_the_fields_of_the_socket() {
        let rows: &[(TcpState, &str, Outcome)] = &[
            (FinWait2, "dead", OrphanFinWait2),
            (FinWait2, "dead own", OrphanFinWait2),
            (FinWait2, "dead done", TimeWait),
            (FinWait2, "done", TimeWait),
            (FinWait2, "dead done err=71", TimeWait),
            (FinWait2, "own", Closed(Some(ResetByUs))),
            (FinWait2, "", Closed(None)),
            (FinWait2, "err=104", Closed(Some(ResetByPeer))),
            (FinWait2, "dead err=103 own", Closed(Some(Destroyed))),
            (Closing, "dead done", TimeWait),
            (Closing, "dead done err=104", Closed(Some(ResetByPeer))),
            (LastAck, "dead done", Closed(Some(Fin))),
            (LastAck, "dead done err=110", Closed(Some(Timeout))),
            (LastAck, "dead done err=71", Closed(None)),
            (SynSent, "err=111", Closed(Some(Refused))),
            (SynSent, "err=110", Closed(Some(Timeout))),
            (SynSent, "err=101", Closed(Some(Unreachable))),
            (SynSent, "own", Closed(Some(Local))),
            (SynRecv, "", Closed(None)),
            (SynRecv, "own", Closed(Some(ResetByUs))),
            (Established, "own", Closed(Some(ResetByUs))),
            (Established, "own repair", Closed(Some(Local))),
            (Established, "err=104", Closed(Some(ResetByPeer))),
            (Established, "err=110", Closed(Some(Timeout))),
            (Established, "err=113", Closed(Some(Unreachable))),
            (CloseWait, "done err=32", Closed(Some(ResetByPeer))),
            (CloseWait, "done own", Closed(Some(ResetByUs))),
            (FinWait1, "dead", Closed(Some(ResetByUs))),
            (FinWait1, "dead err=110", Closed(Some(Timeout))),
            (Listen, "own", Closed(Some(Local))),
        ];
        for (from, words, outcome) in rows {
            assert_eq!(classify_close(*from, Some(&fields(words))), *outcome, "{from} {words}");
        }
    }

    #[test]
    fn without_fields_only_the_end_of_a_listener_is_clear() {
        for from in TcpState::ALL {
            let expected = if from == Listen { Some(Local) } else { None };
            assert_eq!(classify_close(from, None), Closed(expected), "{from}");
        }
    }

    #[test]
    fn only_an_orphan_that_seems_reset_may_have_sent_the_reset() {
        for (from, words, expected) in [
            (FinWait1, "dead err=104", true),
            (FinWait2, "dead err=104", true),
            (FinWait1, "err=104", false),
            (FinWait1, "dead err=110", false),
            (Established, "dead err=104", false),
        ] {
            assert_eq!(may_have_sent_reset(from, Some(&fields(words))), expected, "{from} {words}");
        }
        assert!(!may_have_sent_reset(FinWait1, None));
    }
}
