//! Changes: what an event did to a connection.

use std::fmt;

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Counters, Lost, Process, Tuple},
    model::{
        findings::finding::{Group, Resolved},
        hex::Hex,
    },
    time::Timestamp,
};

/// Something a sink may want to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A connection moved from one state to another.
    Moved(Moved),
    /// A connection is over: its full socket is gone, and no orphan waits for a FIN in its place.
    Finished(Box<Finished>),
    /// Nothing more will be told of this connection, although its end was not seen.
    Forgotten(ConnectionId),
    /// The last descriptor of a socket whose connection was over is closed.
    Released(Released),
    /// Connections are stuck.
    Stuck(Box<Group>),
    /// A connection that was stuck no longer is.
    Resolved(Box<Resolved>),
    /// Records were lost; what they would have told is missing from here on.
    Lost(Lost),
}

/// The end of a socket that only descriptors have kept since its connection was over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Released {
    /// When.
    pub at: Timestamp,
    /// The connection that it last carried.
    pub id: ConnectionId,
    /// How long it was in CLOSE.
    pub dwell: Dwell,
}

/// Names one connection through the whole trace; never reused.
///
/// One socket can carry several connections in turn, and the kernel reuses the addresses of sockets
/// within a millisecond, but no two connections begin at the same nanosecond on the same socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Address of its `struct sock`, else its cookie.
    pub socket: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The upper half of a kernel address is the same for all sockets.
        Hex(self.first_seen.0).fmt(f)?;
        f.write_str("-")?;
        Hex(self.socket & 0xffff_ffff_ffff).fmt(f)
    }
}

/// A connection's identity, as every line about it carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity {
    /// Which connection.
    pub id: ConnectionId,
    /// Its ends, as far as known by now.
    pub tuple: Tuple,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    /// Its socket cookie.
    pub cookie: Option<u64>,
    /// Address of its `struct sock`.
    pub skaddr: Option<u64>,
    /// The kernel created the socket for itself.
    pub kernel: bool,
}

/// One line of a watch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// When.
    pub at: Timestamp,
    /// Which connection.
    pub identity: Identity,
    /// State left.
    pub from: TcpState,
    /// State entered.
    pub to: TcpState,
    /// Time spent in the state left.
    pub dwell: Dwell,
    /// How it is known.
    pub evidence: Evidence,
    /// Why it ended or failed, where it did.
    pub reason: Option<Reason>,
    /// Who owns the connection.
    pub owner: Owner,
    /// The task that happened to be on the CPU, where the record carries it.
    pub on_cpu: Option<Process>,
}

/// A connection that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finished {
    /// When it ended.
    pub closed: Timestamp,
    /// Which connection.
    pub identity: Identity,
    /// When it began, if we saw it begin.
    pub opened: Option<Timestamp>,
    /// When it became ESTABLISHED, if we saw that.
    pub established: Option<Timestamp>,
    /// Who opened it.
    pub role: Option<Role>,
    /// Time in each state, by [`state_slot`]; `None` where unknown or never entered.
    pub states: [Option<u64>; STATE_SLOTS],
    /// Bytes, retransmits, round-trip time.
    pub counters: Option<Counters>,
    /// How it ended.
    pub end: End,
    /// Who owned it.
    pub owner: Owner,
    /// The task that happened to be on the CPU at the end, where the record carries it.
    pub on_cpu: Option<Process>,
}

/// States in which a full connection can dwell.
pub const DWELL_STATES: [TcpState; STATE_SLOTS] = [
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::Closing,
    TcpState::CloseWait,
    TcpState::LastAck,
];
/// Length of [`DWELL_STATES`].
pub const STATE_SLOTS: usize = 8;

/// Position of `state` in [`DWELL_STATES`].
#[must_use]
pub fn state_slot(state: TcpState) -> Option<usize> {
    DWELL_STATES.iter().position(|&other| other == state)
}

/// Time spent in a state, and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dwell {
    /// We saw the connection enter and leave, in nanoseconds.
    Exact(u64),
    /// It was already there when tracing began; nanoseconds since then.
    AtLeast(u64),
    /// From the socket's own timers, in nanoseconds.
    Estimated(u64),
    /// Not known.
    Unknown,
}

impl Dwell {
    /// Nanoseconds, `None` if unknown.
    #[must_use]
    pub const fn ns(self) -> Option<u64> {
        match self {
            Self::Exact(ns) | Self::AtLeast(ns) | Self::Estimated(ns) => Some(ns),
            Self::Unknown => None,
        }
    }

    /// The same time, but told from a timer: no better than an estimate.
    #[must_use]
    pub const fn estimated(self) -> Self {
        match self {
            Self::Exact(ns) => Self::Estimated(ns),
            other => other,
        }
    }

    /// The same time, but the state may have lasted longer: at least no time at all says nothing.
    #[must_use]
    pub const fn at_least(self) -> Self {
        match self {
            Self::Exact(0) | Self::Estimated(_) => Self::Unknown,
            Self::Exact(ns) => Self::AtLeast(ns),
            other => other,
        }
    }

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::AtLeast(_) => "at_least",
            Self::Estimated(_) => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

/// How a line is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The tracepoint said it.
    Event,
    /// Told from the socket's fields in the same event.
    Classified,
    /// Seen again in a socket dump or by another hook.
    Confirmed,
    /// Timer arithmetic only.
    Derived,
}

impl Evidence {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Classified => "classified",
            Self::Confirmed => "confirmed",
            Self::Derived => "derived",
        }
    }
}

/// Why a connection ended or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Both sides closed.
    Fin,
    /// Nobody listens there.
    Refused,
    /// The peer sent a reset.
    ResetByPeer,
    /// This host sent a reset.
    ResetByUs,
    /// No answer in time.
    Timeout,
    /// An administrator destroyed it (`ss -K`).
    Destroyed,
    /// No way to the peer.
    Unreachable,
    /// This host gave up without a word on the wire.
    Local,
}

impl Reason {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Refused => "refused",
            Self::ResetByPeer => "reset_by_peer",
            Self::ResetByUs => "reset_by_us",
            Self::Timeout => "timeout",
            Self::Destroyed => "destroyed",
            Self::Unreachable => "unreachable",
            Self::Local => "local",
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In TIME_WAIT: we closed first.
    TimeWait,
    /// Out of LAST_ACK: the peer closed first.
    LastAck,
    /// Otherwise.
    Because(Reason),
    /// Not known.
    Unknown,
}

impl End {
    /// All of them, the unknown last.
    pub const ALL: [Self; 11] = [
        Self::TimeWait,
        Self::LastAck,
        Self::Because(Reason::Fin),
        Self::Because(Reason::Refused),
        Self::Because(Reason::ResetByPeer),
        Self::Because(Reason::ResetByUs),
        Self::Because(Reason::Timeout),
        Self::Because(Reason::Destroyed),
        Self::Because(Reason::Unreachable),
        Self::Because(Reason::Local),
        Self::Unknown,
    ];

    /// The name in JSON, `None` if unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::TimeWait => Some("time_wait"),
            Self::LastAck => Some("last_ack"),
            Self::Because(reason) => Some(reason.name()),
            Self::Unknown => None,
        }
    }
}

/// Which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// This end called `connect()`.
    Active,
    /// This end was listening.
    Passive,
}

impl Role {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

/// Who owns a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The task in the event owned the socket's lock.
    Task(Process),
    /// Found holding the descriptor.
    Fd(Process),
    /// Remembered from an earlier event of the same connection.
    Opener(Process),
    /// Nobody: not accepted yet, an orphan whose closer was not seen, or the kernel itself.
    Nobody,
    /// Not known.
    Unknown,
}

impl Owner {
    /// The process, if there is one and it is known.
    #[must_use]
    pub const fn process(&self) -> Option<&Process> {
        match self {
            Self::Task(process) | Self::Fd(process) | Self::Opener(process) => Some(process),
            Self::Nobody | Self::Unknown => None,
        }
    }

    /// The name in JSON, `None` if unknown.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Task(_) => Some("task"),
            Self::Fd(_) => Some("fd"),
            Self::Opener(_) => Some("opener"),
            Self::Nobody => Some("none"),
            Self::Unknown => None,
        }
    }
}
