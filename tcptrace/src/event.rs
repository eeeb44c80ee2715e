//! Events: everything the analysis is fed with, decoded and checked.
//!
//! Whatever replay needs is an event (owners, losses, socket dumps, clock samples), because the
//! machine that produced them is gone by then. Unknown is `None`.

mod process_details;
mod sysctl;

use std::{fmt, net::IpAddr, time::Duration};

use tcptrace_common::tcp_state::TcpState;

pub use process_details::ProcessDetails;
pub use sysctl::{Sysctl, Sysctls};

use crate::time::{ClockSample, Timestamp};

/// How long TIME_WAIT lasts (`TCP_TIMEWAIT_LEN`, include/net/tcp.h, a constant in every kernel).
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// One input of the analysis.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A socket is about to change its state.
    Transition(Transition),
    /// A helper hook saw something of a socket.
    Hook(Hook),
    /// A socket that existed when a dump looked.
    Socket(Socket),
    /// A dump is complete; sockets of these namespaces that it did not name do not exist.
    DumpEnd(DumpEnd),
    /// A process holds a descriptor of a socket.
    Holder(Holder),
    /// A process began another.
    Fork(Fork),
    /// What a process is that a snapshot names.
    Process(ProcessDetails),
    /// The settings of a network namespace.
    Sysctls(Sysctls),
    /// Time has passed: nothing that happened earlier is to come.
    Tick(Timestamp),
    /// A snapshot is complete: the dump that ended last was of all namespaces, and the holders,
    /// processes and settings since belong to it.
    SnapshotEnd(Timestamp),
    /// Records were dropped before we saw them.
    Lost(Lost),
    /// The clocks were compared.
    Clock(ClockSample),
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Address; a v4-mapped one is given as IPv4.
    pub addr: Option<IpAddr>,
    /// Port, never 0.
    pub port: Option<u16>,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// The addresses are IPv4 but the socket is an IPv6 one.
    pub v4mapped: bool,
    /// The socket is an IPv6 one.
    pub ipv6: bool,
}

impl Tuple {
    /// The same connection as the other end sees it.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { local: self.remote, remote: self.local, ..*self }
    }
}

/// A command name as the kernel keeps it: up to sixteen bytes, any bytes, padded with zeros.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The bytes before the padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..length]
    }
}

impl From<&[u8]> for Comm {
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name[..length]);
        Self(bytes)
    }
}

impl From<&str> for Comm {
    fn from(name: &str) -> Self {
        Self::from(name.as_bytes())
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Process id (thread group id) in the initial pid namespace.
    pub pid: u32,
    /// Command name of the thread that was seen.
    pub comm: Comm,
}

/// A state change, as the tracepoint announced it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Address of the kernel's `struct sock`.
    pub skaddr: u64,
    /// Socket cookie.
    pub cookie: Option<u64>,
    /// State left.
    pub from: TcpState,
    /// State entered.
    pub to: TcpState,
    /// Addresses and ports, as far as the event carries them.
    pub tuple: Tuple,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Fields of the socket; `None` from the classic tracepoint.
    pub socket: Option<SocketFields>,
    /// Task on the CPU, if the record carries it. Its owner only if the socket's lock was owned.
    pub on_cpu: Option<Process>,
    /// Counters at the end of the connection.
    pub counters: Option<Counters>,
    /// Id of the cgroup in which the socket was created.
    pub cgroup: Option<u64>,
    /// How long the minisock of an orphan leaving FIN_WAIT2 will wait for the peer's FIN.
    pub orphan_lifetime: Option<Duration>,
}

/// What the socket itself said in the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketFields {
    /// A task owned the socket's lock.
    pub owned: bool,
    /// No descriptor refers to it any more.
    pub dead: bool,
    /// The peer's FIN was received.
    pub done: bool,
    /// Pending error, a positive errno; 0 none.
    pub err: u16,
    /// 1 receive side shut down, 2 send side.
    pub shutdown: u8,
    /// The kernel created it for itself.
    pub kernel: bool,
    /// The socket is in repair mode (checkpoint and restore), in which a close sends nothing.
    pub repair: bool,
    /// Inode number, as in /proc/PID/fd; `None` if no descriptor refers to it.
    pub inode: Option<u32>,
}

/// Counters of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload bytes sent, retransmissions not counted.
    pub tx_bytes: u64,
    /// Payload bytes received.
    pub rx_bytes: u64,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time in microseconds, if ever measured.
    pub srtt_us: Option<u32>,
}

/// What a helper hook saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub at: Timestamp,
    /// Address of the full socket or minisock.
    pub skaddr: u64,
    /// Socket cookie.
    pub cookie: Option<u64>,
    /// What happened.
    pub kind: HookKind,
}

/// Which helper hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// The full socket is closed and its last descriptor gone.
    Destroyed,
    /// A reset arrived.
    ResetReceived,
    /// A reset was sent on behalf of the socket or minisock.
    ResetSent,
    /// A process took the connection out of the accept queue.
    Accepted(Process),
    /// A minisock in TIME_WAIT was made, in whose favour the full socket is about to go.
    TimeWaitMade,
    /// The same, of an orphan in FIN_WAIT2.
    OrphanMade,
    /// The full socket is about to go, and there was no room for a minisock.
    NoMinisock,
    /// The peer's FIN has reached the minisock, which is in TIME_WAIT now.
    MinisockGotFin(Ends),
    /// A segment came to the minisock that is answered with a reset.
    MinisockReset(Ends),
    /// The minisock is gone.
    MinisockEnded(Ends),
}

/// What names the connection of a minisock, which is no socket that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Addresses and ports.
    pub tuple: Tuple,
}

/// One socket in a dump.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Socket {
    /// When it was looked at.
    pub at: Timestamp,
    /// Address of the kernel's structure; `None` from netlink.
    pub skaddr: Option<u64>,
    /// Socket cookie.
    pub cookie: Option<u64>,
    /// State; a minisock's own, SYN_RECV for a half-open request.
    pub state: TcpState,
    /// Full socket, minisock or request.
    pub shape: Shape,
    /// Addresses and ports.
    pub tuple: Tuple,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number; `None` if no descriptor refers to it.
    pub inode: Option<u32>,
    /// The kernel created it for itself; `None` if the dump does not tell.
    pub kernel: Option<bool>,
    /// Unread bytes; connections in the accept queue of a listener.
    pub recv_q: u32,
    /// Unacknowledged and unsent bytes; limit of the accept queue of a listener.
    pub send_q: u32,
    /// Armed timer; `None` if the dump does not tell.
    pub timer: Option<Timer>,
    /// When the last ACK arrived.
    pub last_ack: Option<Timestamp>,
    /// When data last arrived.
    pub last_data: Option<Timestamp>,
    /// When data was last sent, for the first time or again.
    pub last_sent: Option<Timestamp>,
    /// Since when it waits, as its own stamps tell it. SYN_SENT: since it sent its SYN. FIN_WAIT1,
    /// CLOSING, LAST_ACK: since the oldest segment was first sent again, or since the peer's window
    /// closed. CLOSE: since its last packet or timer. Half-open: since its first SYN-ACK. Minisock:
    /// since the last segment of its peer.
    pub waiting: Option<Timestamp>,
    /// Id of the cgroup in which the socket was created.
    pub cgroup: Option<u64>,
}

/// Which kernel structure stands for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A full socket.
    Full,
    /// A minisock: TIME_WAIT, or an orphan in FIN_WAIT2.
    Minisock,
    /// A half-open request.
    Request,
}

/// The timer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What it does.
    pub kind: TimerKind,
    /// When it fires; a timer that is due may lie in the past.
    pub expires: Timestamp,
    /// Retransmissions or probes without an answer.
    pub retransmits: u8,
}

/// What a socket's timer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// No timer runs.
    Off,
    /// Sends again what is not acknowledged.
    Retransmit,
    /// Probes an idle peer, or ends an orphan's FIN_WAIT2.
    Keepalive,
    /// Ends a minisock.
    Timewait,
    /// Probes a zero window.
    Probe,
}

impl TimerKind {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Retransmit => "retransmit",
            Self::Keepalive => "keepalive",
            Self::Timewait => "timewait",
            Self::Probe => "probe",
        }
    }
}

/// The end of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpEnd {
    /// When the dump began.
    pub started: Timestamp,
    /// The network namespaces that were walked from end to end.
    pub netns: Vec<u32>,
}

/// A descriptor of a socket in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Address of the kernel's `struct sock`; `None` from /proc.
    pub skaddr: Option<u64>,
    /// Socket cookie.
    pub cookie: Option<u64>,
    /// Inode number of the socket.
    pub inode: u32,
    /// Who.
    pub process: Process,
    /// Descriptor number.
    pub fd: u32,
}

/// A process began another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// When.
    pub at: Timestamp,
    /// The process that forked.
    pub parent: u32,
    /// The new process.
    pub child: u32,
}

/// Records dropped before we saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When it was noticed.
    pub at: Timestamp,
    /// How many.
    pub count: u64,
    /// Why.
    pub why: LostWhy,
}

/// Why records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LostWhy {
    /// There was no room for it in the ring buffer or the queue of its CPU.
    RingFull,
    /// The program was already running on that CPU.
    Recursion,
    /// A record that could not be decoded.
    Undecodable,
    /// The recorder could not write as fast as the events came.
    RecorderBehind,
}

impl LostWhy {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Recursion => "recursion",
            Self::Undecodable => "undecodable",
            Self::RecorderBehind => "recorder_behind",
        }
    }
}
