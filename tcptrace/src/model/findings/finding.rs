//! A finding: one connection that is stuck, and all that is known about why.

use std::{rc::Rc, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::{advice::Advice, kind::Kind};
use crate::{
    event::{Process, ProcessDetails, Timer, Tuple},
    model::{
        change::{ConnectionId, Dwell},
        socket_list::AgeSource,
    },
    time::Timestamp,
};

/// One stuck connection; for time-wait pressure one destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// When it was looked at.
    pub at: Timestamp,
    /// It has been told before, when it was half as old.
    pub again: bool,
    /// Which connection; none for time-wait pressure, which is about many.
    pub conn: Option<ConnectionId>,
    /// Its ends; of time-wait pressure without the local port.
    pub tuple: Tuple,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// What is wrong, which tells the state too.
    pub kind: Kind,
    /// How long it has been in the state.
    pub age: Dwell,
    /// What the age rests on; none if it is unknown.
    pub age_source: Option<AgeSource>,
    /// The limit that the age has passed; none for time-wait pressure, which has no time.
    pub limit: Option<Duration>,
    /// In whose hands it is.
    pub held_by: HeldBy,
    /// Every process with a descriptor of it; of one in an accept queue, of the listener.
    pub owners: Vec<FindingOwner>,
    /// Who closed an orphan, or last used what has no holder, if that was seen.
    pub closed_by: Option<Process>,
    /// The other end, if it is on this host.
    pub peer: Option<Peer>,
    /// Unread bytes.
    pub recv_q: u32,
    /// Unacknowledged and unsent bytes.
    pub send_q: u32,
    /// Its timer, if known.
    pub timer: Option<Timer>,
    /// When the kernel will end it by itself, if it will and that is known.
    pub expires: Option<Timestamp>,
    /// Of time-wait pressure, the numbers.
    pub pressure: Option<Pressure>,
    /// Why, and what helps; shared by all findings of which the same is true.
    pub advice: Rc<Advice>,
}

/// In whose hands a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeldBy {
    /// Processes with a descriptor of it.
    Processes,
    /// A descriptor refers to it, but no process that we can see has one: it may be on its way over a
    /// Unix socket, or with a process that may not be looked at.
    Unseen,
    /// The kernel itself.
    Kernel,
    /// The accept queue of a listener.
    AcceptQueue,
    /// Nobody any more.
    Nobody,
}

impl HeldBy {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Unseen => "unseen",
            Self::Kernel => "kernel",
            Self::AcceptQueue => "accept_queue",
            Self::Nobody => "nobody",
        }
    }
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingOwner {
    /// Who.
    pub process: Process,
    /// Its descriptors of the socket, ascending.
    pub fds: Vec<u32>,
    /// What it is; none if it was gone, or another, when it was asked.
    pub details: Option<Rc<ProcessDetails>>,
}

/// The other end of a connection, on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its state.
    pub state: TcpState,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// In whose hands it is.
    pub held_by: HeldBy,
    /// Who holds it; of one in an accept queue, the listener's holders.
    pub owners: Vec<FindingOwner>,
}

/// How far the local ports for one destination are used up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Local ports to this destination in TIME_WAIT.
    pub time_wait: u32,
    /// Local ports to this destination in other states.
    pub in_use: u32,
    /// Local ports there are to choose from.
    pub ports: u32,
    /// Ports that entered TIME_WAIT per second, lately.
    pub per_second: f64,
    /// When they will have run out at this rate; none if they will not.
    pub runs_out_in: Option<Duration>,
}

impl Pressure {
    /// Used ports in hundredths of those there are; 100 if there are none.
    #[must_use]
    pub fn percent(&self) -> u32 {
        let used = u64::from(self.time_wait) + u64::from(self.in_use);
        let percent = (used * 100).checked_div(self.ports.into()).unwrap_or(100);
        u32::try_from(percent).unwrap_or(u32::MAX)
    }
}

/// Findings that have process, kind and service in common, of which some are news.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// When it was looked at.
    pub at: Timestamp,
    /// The service at one end: a local port that somebody listens on, else the remote end.
    pub service: Service,
    /// How many are stuck now, news or not.
    pub count: u64,
    /// The age of the oldest, news or not.
    pub oldest: Dwell,
    /// How many more there are per minute, over the last minute; none if that is not known.
    pub growth: Option<f64>,
    /// Nothing of it has been told before.
    pub first: bool,
    /// What is to be told: found now, or twice as old as when it was told; the oldest first, never
    /// empty.
    pub news: Vec<Finding>,
}

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// A port that a process of its namespace listens on.
    Local(u16),
    /// An address and port elsewhere.
    Remote(Option<std::net::IpAddr>, Option<u16>),
}

/// A finding that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// Which connection; none for time-wait pressure.
    pub conn: Option<ConnectionId>,
    /// Its ends.
    pub tuple: Tuple,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// What was wrong.
    pub kind: Kind,
    /// Who was named first as holding it, or as having closed it.
    pub process: Option<Process>,
    /// How long it was in its state in all.
    pub age: Dwell,
    /// The state it went to; none if it is gone.
    pub now: Option<TcpState>,
}
