//! Records: what the kernel programs write and userspace decodes.
//!
//! All are `repr(C)` without padding. Times are nanoseconds of `CLOCK_BOOTTIME`. Addresses are in
//! network order, an IPv4 address in the first four of its sixteen bytes; ports are in host order.
//! A 0 where the kernel could not know a port, a cookie or an inode means unknown.

use bytemuck::{Pod, Zeroable};

/// Value of [`TransitionRecord::kind`].
pub const KIND_TRANSITION: u8 = 1;
/// Value of [`HookRecord::kind`]: `tcp_destroy_sock`.
pub const KIND_DESTROYED: u8 = 2;
/// Value of [`HookRecord::kind`]: `tcp_receive_reset`.
pub const KIND_RESET_RECEIVED: u8 = 3;
/// Value of [`HookRecord::kind`]: `tcp_send_reset`.
pub const KIND_RESET_SENT: u8 = 4;
/// [`ForkRecord`]: a process began another.
pub const KIND_FORK: u8 = 5;
/// [`AcceptRecord`]: a task accepted a connection.
pub const KIND_ACCEPTED: u8 = 6;
/// Value of [`HookRecord::kind`]: `inet_twsk_alloc`; the state is that of the minisock that was made in the
/// socket's place, CLOSE if none was.
pub const KIND_MINISOCK: u8 = 7;
/// Value of [`MinisockRecord::kind`]: the peer's FIN has reached a minisock, which is in TIME_WAIT now.
pub const KIND_TIME_WAIT: u8 = 8;
/// Value of [`MinisockRecord::kind`]: a segment came that is answered with a reset.
pub const KIND_MINISOCK_RESET: u8 = 9;
/// Value of [`MinisockRecord::kind`]: the minisock is gone.
pub const KIND_MINISOCK_ENDED: u8 = 10;
/// One more than the highest kind: the length of an array indexed by kind.
pub const KINDS: usize = 11;

/// [`TransitionRecord::flags`]: a task owned the socket's lock, so pid and comm are of a user of it.
pub const FLAG_OWNED: u8 = 1;
/// [`TransitionRecord::flags`]: the kernel itself created the socket.
pub const FLAG_KERNEL: u8 = 1 << 1;
/// [`TransitionRecord::flags`]: from the classic tracepoint; socket fields were not read.
pub const FLAG_CLASSIC: u8 = 1 << 2;
/// [`TransitionRecord::flags`]: the socket is in repair mode; read at CLOSE only.
pub const FLAG_REPAIR: u8 = 1 << 3;
/// [`SocketRecord::flags`]: the socket's timestamps count microseconds.
pub const FLAG_USEC: u8 = 1 << 4;
/// [`TransitionRecord::flags`]: `sk_shutdown` begins at this bit: 1 receive, 2 send.
pub const SHUTDOWN_SHIFT: u8 = 5;

/// [`TransitionRecord::parts`]: both addresses, [`AddressPart`]; else they are IPv4.
pub const PART_ADDRESSES: u8 = 1;
/// [`TransitionRecord::parts`]: the command name of the task on the CPU, sixteen bytes, zero-padded; and
/// its [`TransitionRecord::pid`] is filled in.
pub const PART_COMM: u8 = 1 << 1;
/// [`TransitionRecord::parts`]: id of the cgroup that the socket was created in, a `u64`; 0 unknown.
pub const PART_CGROUP: u8 = 1 << 2;
/// [`TransitionRecord::parts`]: what the connection came to, [`CounterPart`].
pub const PART_COUNTERS: u8 = 1 << 3;

/// `SOCK_DEAD`: no descriptor refers to the socket (`enum sock_flags`, the same in 5.8 to 7.2).
pub const SOCK_DEAD: u8 = 1;
/// `SOCK_DONE`: the peer's FIN was received.
pub const SOCK_DONE: u8 = 1 << 1;

/// One state change. Behind it lie the parts that it names, in the order of their bits: most records are
/// short, for what a record costs in the kernel are its bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct TransitionRecord {
    /// [`KIND_TRANSITION`]. First, so that a reader knows what it holds.
    pub kind: u8,
    /// State left.
    pub old: u8,
    /// State entered.
    pub new: u8,
    /// `FLAG_*` bits, and `sk_shutdown` ([`SHUTDOWN_SHIFT`]).
    pub flags: u8,
    /// `PART_*` bits.
    pub parts: u8,
    /// Low byte of `skc_flags`: `SOCK_*` bits.
    pub sk_flags: u8,
    /// `sk_err`, a positive errno.
    pub sk_err: u16,
    /// When.
    pub boot_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown. Never taken at LISTEN to SYN_RECV, where older kernels show the listener's.
    pub cookie: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the socket; 0 if no descriptor refers to it.
    pub inode: u32,
    /// Local port.
    pub lport: u16,
    /// Remote port.
    pub rport: u16,
    /// Local address, without [`PART_ADDRESSES`].
    pub laddr: [u8; 4],
    /// Remote address, without [`PART_ADDRESSES`].
    pub raddr: [u8; 4],
    /// With [`PART_COMM`]: thread group of the task on the CPU; its owner only with [`FLAG_OWNED`].
    pub pid: u32,
}

/// The addresses of an IPv6 socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct AddressPart {
    /// Local address.
    pub laddr: [u8; 16],
    /// Remote address.
    pub raddr: [u8; 16],
}

/// What the socket had counted at CLOSE.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct CounterPart {
    /// Payload bytes sent, without retransmissions.
    pub tx_bytes: u64,
    /// Bytes received in order; the peer's FIN counts as one.
    pub rx_bytes: u64,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time in eighths of a microsecond; 0 never measured.
    pub srtt_us8: u32,
    /// At FIN_WAIT2 to CLOSE the socket's FIN_WAIT2 limit in jiffies (`tcp_fin_time`); 0 unknown.
    pub fin_time: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// Bytes of a transition with all its parts.
pub const LONGEST_TRANSITION: usize =
    size_of::<TransitionRecord>() + size_of::<AddressPart>() + 16 + 8 + size_of::<CounterPart>();

/// What a helper hook saw of a socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct HookRecord {
    /// [`KIND_DESTROYED`], [`KIND_RESET_RECEIVED`], [`KIND_RESET_SENT`] or [`KIND_MINISOCK`].
    pub kind: u8,
    /// State of the socket at that time, or of its minisock.
    pub state: u8,
    /// Keeps the fields aligned.
    pub reserved: u16,
    /// The kernel's `enum sk_rst_reason`, 0 where the kernel gives none.
    pub reason: u32,
    /// When.
    pub boot_ns: u64,
    /// Address of the `struct sock`, full socket or minisock.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown.
    pub cookie: u64,
}

/// A connection got its owner.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct AcceptRecord {
    /// [`KIND_ACCEPTED`].
    pub kind: u8,
    /// Keeps the fields aligned.
    pub reserved: [u8; 3],
    /// Thread group of the task that accepted.
    pub pid: u32,
    /// When.
    pub boot_ns: u64,
    /// Address of the `struct sock` that was accepted.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown.
    pub cookie: u64,
    /// Command name of the task, zero-padded, any bytes.
    pub comm: [u8; 16],
}

/// What happened to a minisock. It carries both ends, because nothing else may name the connection: kernels
/// before 5.12 have no cookie for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct MinisockRecord {
    /// [`KIND_TIME_WAIT`], [`KIND_MINISOCK_RESET`] or [`KIND_MINISOCK_ENDED`].
    pub kind: u8,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// Local port.
    pub lport: u16,
    /// Remote port.
    pub rport: u16,
    /// Keeps the fields aligned.
    pub reserved: u16,
    /// When.
    pub boot_ns: u64,
    /// Address of the minisock.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown.
    pub cookie: u64,
    /// Local address.
    pub laddr: [u8; 16],
    /// Remote address.
    pub raddr: [u8; 16],
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Keeps the size a multiple of eight.
    pub reserved2: u32,
}

/// A process began another.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ForkRecord {
    /// [`KIND_FORK`].
    pub kind: u8,
    /// Keeps the fields aligned.
    pub reserved: [u8; 7],
    /// When.
    pub boot_ns: u64,
    /// Thread group of the process that forked.
    pub parent: u32,
    /// Thread group of the new process.
    pub child: u32,
}

/// [`SocketRecord::shape`]: a full socket.
pub const SHAPE_FULL: u8 = 0;
/// [`SocketRecord::shape`]: a minisock (TIME_WAIT or orphan FIN_WAIT2).
pub const SHAPE_MINISOCK: u8 = 1;
/// [`SocketRecord::shape`]: a half-open request.
pub const SHAPE_REQUEST: u8 = 2;

/// [`SocketRecord::timer`]: no timer is armed.
pub const TIMER_NONE: u8 = 0;
/// [`SocketRecord::timer`]: retransmission.
pub const TIMER_RETRANSMIT: u8 = 1;
/// [`SocketRecord::timer`]: keepalive, or the FIN_WAIT2 limit of an orphan.
pub const TIMER_KEEPALIVE: u8 = 2;
/// [`SocketRecord::timer`]: end of a minisock.
pub const TIMER_TIMEWAIT: u8 = 3;
/// [`SocketRecord::timer`]: zero-window probe.
pub const TIMER_PROBE: u8 = 4;
/// [`SocketRecord::timer`]: the kernel does not tell.
pub const TIMER_UNKNOWN: u8 = 255;

/// One existing socket, as the iterator `iter/tcp` sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct SocketRecord {
    /// `SHAPE_*`.
    pub shape: u8,
    /// State; a minisock's own (FIN_WAIT2 or TIME_WAIT), SYN_RECV for a request.
    pub state: u8,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// Low byte of `skc_flags`; 0 for minisocks and requests.
    pub sk_flags: u8,
    /// `sk_shutdown`.
    pub shutdown: u8,
    /// `FLAG_KERNEL` and [`FLAG_USEC`].
    pub flags: u8,
    /// `TIMER_*`.
    pub timer: u8,
    /// Retransmissions or probes without an answer.
    pub retransmits: u8,
    /// When it was looked at.
    pub boot_ns: u64,
    /// Address of the `struct sock`, minisock or request.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown.
    pub cookie: u64,
    /// Local address.
    pub laddr: [u8; 16],
    /// Remote address.
    pub raddr: [u8; 16],
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the socket; 0 if no descriptor refers to it.
    pub inode: u32,
    /// Local port.
    pub lport: u16,
    /// Remote port.
    pub rport: u16,
    /// `sk_err`.
    pub sk_err: u16,
    /// Keeps the fields aligned.
    pub reserved: u16,
    /// Unread bytes; for a listener the connections in its accept queue.
    pub recv_q: u32,
    /// Unacknowledged and unsent bytes; for a listener the limit of its accept queue.
    pub send_q: u32,
    /// Jiffies when it was looked at.
    pub jiffies: u64,
    /// Expiry of the timer in jiffies.
    pub expires: u64,
    /// When the last ACK arrived, low 32 bits of jiffies; 0 unknown.
    pub last_ack: u32,
    /// When data last arrived, low 32 bits of jiffies; 0 unknown.
    pub last_data: u32,
    /// When data was last sent, low 32 bits of jiffies; 0 unknown.
    pub last_sent: u32,
    /// Keeps the fields aligned.
    pub reserved2: u32,
    /// Id of the cgroup the socket was created in; 0 unknown.
    pub cgroup: u64,
    /// The monotonic clock when it was looked at, ns.
    pub mono_ns: u64,
    /// Since when the socket has waited; 0 unknown. SYN_SENT: when the SYN was sent, FIN_WAIT1, CLOSING
    /// and LAST_ACK: when the oldest segment was first sent again ([`FLAG_USEC`]: in us, else in ms;
    /// low 32 bits of the monotonic clock), with [`TIMER_PROBE`]: when the peer's window closed
    /// (low 32 bits of jiffies). CLOSE: last packet or timer, request: first SYN-ACK (us of the
    /// monotonic clock). Minisock: last segment with a timestamp (s of the monotonic clock).
    pub waiting: u64,
}

/// One descriptor that is a TCP socket, as the iterator `iter/task_file` sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct OwnerRecord {
    /// Thread group.
    pub pid: u32,
    /// Descriptor number.
    pub fd: u32,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 unknown.
    pub cookie: u64,
    /// Inode number of the socket.
    pub inode: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Command name, zero-padded, any bytes.
    pub comm: [u8; 16],
    /// 1 if the socket's own [`SocketRecord`] follows this record: one whose connection is over, which
    /// `iter/tcp` cannot see. Else 0.
    pub socket_follows: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

const _: () = assert!(size_of::<TransitionRecord>() == 56);
const _: () = assert!(LONGEST_TRANSITION == 144);
const _: () = assert!(size_of::<HookRecord>() == 32);
const _: () = assert!(size_of::<ForkRecord>() == 24);
const _: () = assert!(size_of::<AcceptRecord>() == 48);
const _: () = assert!(size_of::<MinisockRecord>() == 72);
const _: () = assert!(size_of::<SocketRecord>() == 144);
const _: () = assert!(size_of::<OwnerRecord>() == 56);

/// What the programs count on each CPU. All count from the start of the trace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct CpuCounters {
    /// Records handed over by the ring buffer, and those by the queue while much of it is not read: once in
    /// so many of them a fill mark is looked at.
    pub submitted: u64,
    /// Records that found no room, by kind; at 0 those of `set_state_nested`. A program
    /// may interrupt another on its CPU, but never one that counts in the same place.
    pub lost: [u64; KINDS],
    /// Transitions told by `set_state_nested`, because `set_state_btf` was running.
    pub nested: u64,
    /// Whether `set_state_btf` is running: 1 or 0.
    pub running: u64,
    /// Cookie of the socket whose end was told last, if no descriptor referred to it then; else 0. Its
    /// destruction follows at once, and tells nothing more.
    pub ended: u64,
    /// Position of the next entry in the queue of this CPU.
    pub position: u64,
}
