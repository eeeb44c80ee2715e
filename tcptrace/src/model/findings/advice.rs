//! What each kind of finding means: cause, what helps, and what is popular and does not.
//!
//! Facts and numbers are those measured on 5.10 to 7.2; a number of seconds is named only where the
//! setting it follows from has its default.

mod texts;

use std::{collections::HashMap, rc::Rc};

use super::{finding::HeldBy, kind::Kind};
use crate::event::{Sysctl, Sysctls};

/// Why a connection is stuck, and what helps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Why, in a few sentences.
    pub cause: String,
    /// What helps, the best first.
    pub remedy: Vec<String>,
    /// What many try, and why it does not help.
    pub useless: String,
    /// The settings that matter, with their values in the connection's namespace.
    pub sysctls: Vec<(Sysctl, String)>,
}

/// How far a program has read what came before the peer's FIN, and the FIN itself, which the kernel
/// counts as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unread {
    /// Everything: it has been told of the end.
    Nothing,
    /// All but the end itself.
    End,
    /// Data.
    Data,
}

impl Unread {
    /// By the unread bytes of a connection whose peer has closed.
    #[must_use]
    pub const fn of(recv_q: u32) -> Self {
        match recv_q {
            0 => Self::Nothing,
            1 => Self::End,
            _ => Self::Data,
        }
    }
}

/// What the advice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Case {
    /// What is wrong.
    pub kind: Kind,
    /// In whose hands it is.
    pub held_by: HeldBy,
    /// Inode number of the namespace, whose settings count.
    pub netns: u32,
    /// How far the program has read, after the peer has closed.
    pub unread: Unread,
    /// The accept queue that the connection should pass, ours or the other end's on this host, is
    /// full.
    pub queue_full: bool,
    /// Our FIN waits behind data for which the peer has no room.
    pub window_closed: bool,
    /// The other end is on this host, and its process is known.
    pub peer_here: bool,
}

impl Case {
    /// The plain case of a kind.
    #[must_use]
    pub const fn new(kind: Kind, held_by: HeldBy, netns: u32) -> Self {
        Self {
            kind,
            held_by,
            netns,
            unread: Unread::Nothing,
            queue_full: false,
            window_closed: false,
            peer_here: false,
        }
    }

    /// What is to be said in this case.
    #[must_use]
    pub fn advice(&self, sysctls: Option<&Sysctls>) -> Advice {
        let mut advice = match self.kind {
            Kind::CloseWaitNotClosed => self.close_wait(sysctls),
            Kind::CloseWaitNotAccepted => texts::not_accepted(),
            Kind::FinWait2HalfClosed => self.half_closed(sysctls),
            Kind::FinWait2Orphan => self.orphan(sysctls),
            Kind::LastAckUnacked if self.window_closed => self.zero_window(),
            Kind::FinWait1Unacked | Kind::LastAckUnacked | Kind::ClosingUnacked => {
                self.unacked(sysctls)
            }
            Kind::FinWait1ZeroWindow => self.zero_window(),
            Kind::SynSentUnanswered => self.syn_sent(),
            Kind::SynRecvUnacked => self.syn_recv(),
            Kind::ClosedFdLeaked => self.leaked(),
            Kind::TimeWaitPressure => texts::time_wait(sysctls),
        };
        advice.sysctls = settings(self.kind)
            .iter()
            .filter_map(|&sysctl| Some((sysctl, sysctls?.text(sysctl)?.to_owned())))
            .collect();
        advice
    }
}

/// The settings that matter for a kind, by name.
fn settings(kind: Kind) -> &'static [Sysctl] {
    match kind {
        Kind::CloseWaitNotClosed => {
            &[Sysctl::TcpKeepaliveIntvl, Sysctl::TcpKeepaliveProbes, Sysctl::TcpKeepaliveTime]
        }
        Kind::CloseWaitNotAccepted => &[Sysctl::Somaxconn],
        Kind::FinWait2HalfClosed | Kind::FinWait2Orphan => &[Sysctl::TcpFinTimeout],
        Kind::FinWait1Unacked
        | Kind::FinWait1ZeroWindow
        | Kind::LastAckUnacked
        | Kind::ClosingUnacked => &[Sysctl::TcpOrphanRetries, Sysctl::TcpRetries2],
        Kind::SynSentUnanswered => &[Sysctl::TcpSynRetries],
        Kind::SynRecvUnacked => &[
            Sysctl::Somaxconn,
            Sysctl::TcpMaxSynBacklog,
            Sysctl::TcpSynackRetries,
            Sysctl::TcpSyncookies,
        ],
        Kind::ClosedFdLeaked => &[],
        Kind::TimeWaitPressure => &[Sysctl::IpLocalPortRange, Sysctl::TcpTwReuse],
    }
}

/// The advice for many findings: the same is said once.
#[derive(Debug, Default)]
pub(super) struct Advices(HashMap<Case, Rc<Advice>>);

impl Advices {
    pub(super) fn of(&mut self, case: Case, sysctls: Option<&Sysctls>) -> Rc<Advice> {
        Rc::clone(self.0.entry(case).or_insert_with(|| Rc::new(case.advice(sysctls))))
    }
}
