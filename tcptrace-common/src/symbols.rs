//! Names of programs, maps and globals, written once and used by the loader.
//!
//! The kernel side cannot name a function or a static from a constant, so its names are written there
//! again. One that differs shows at the first load: the loader names what the object lacks.

/// Program on the BTF tracepoint `inet_sock_set_state` (the fast path).
pub const SET_STATE_BTF: &str = "set_state_btf";
/// Program on the same tracepoint that does what [`SET_STATE_BTF`] was kept from by an interrupt.
pub const SET_STATE_NESTED: &str = "set_state_nested";
/// Program on the same tracepoint that logs.
pub const SET_STATE_LOG: &str = "set_state_log";
/// Program on the classic tracepoint `sock:inet_sock_set_state` (the fallback).
pub const SET_STATE_CLASSIC: &str = "set_state_classic";
/// Program on the BTF tracepoint `tcp_destroy_sock`.
pub const DESTROY_SOCK: &str = "destroy_sock";
/// Program on the BTF tracepoint `tcp_receive_reset`.
pub const RECEIVE_RESET: &str = "receive_reset";
/// Program on the BTF tracepoint `tcp_send_reset` whose prototype carries a reason (third argument).
pub const SEND_RESET: &str = "send_reset";
/// Program on the BTF tracepoint `tcp_send_reset` whose prototype carries no reason.
pub const SEND_RESET_NO_REASON: &str = "send_reset_no_reason";
/// Program on the BTF tracepoint `sched_process_fork`.
pub const PROCESS_FORK: &str = "process_fork";
/// Program on the return of `inet_csk_accept` where that has two arguments.
pub const ACCEPT: &str = "accept";
/// Program on the return of `inet_csk_accept` where that has four arguments.
pub const ACCEPT_FOUR: &str = "accept_four";
/// Program on the return of `inet_twsk_alloc`.
pub const MINISOCK_MADE: &str = "minisock_made";
/// Programs on the return of `tcp_timewait_state_process`, by its number of arguments.
pub const MINISOCK_ANSWERED: [(u32, &str); 3] =
    [(3, "minisock_answered_three"), (4, "minisock_answered_four"), (5, "minisock_answered_five")];
/// Program on a function that the kernel calls at the end of each minisock.
pub const MINISOCK_ENDED: &str = "minisock_ended";
/// Iterator `iter/tcp`: every socket of one network namespace.
pub const ITER_TCP: &str = "iter_tcp";
/// Iterator `iter/task_file`: every descriptor of the machine that is a TCP socket.
pub const ITER_TASK_FILE: &str = "iter_task_file";

/// Ring buffer that carries the records of the tracepoint programs, but for those that go by the queues.
pub const EVENTS: &str = "EVENTS";
/// Segments of the queues of all CPUs ([`crate::queue`]).
pub const SEGMENTS: &str = "SEGMENTS";
/// What userspace says of each queue ([`crate::queue::READER_WORDS`]).
pub const READERS: &str = "READERS";
/// Per-CPU [`crate::record::CpuCounters`].
pub const COUNTERS: &str = "COUNTERS";

/// Global: [`crate::layout::Layout`], the field offsets of the running kernel.
pub const LAYOUT: &str = "LAYOUT";
/// Global: [`crate::layout::Settings`], what the loader decided.
pub const SETTINGS: &str = "SETTINGS";
/// Global: bitmap of the local ports to keep, used only if the settings say so.
pub const LOCAL_PORTS: &str = "LOCAL_PORTS";
/// Global: bitmap of the remote ports to keep, used only if the settings say so.
pub const REMOTE_PORTS: &str = "REMOTE_PORTS";
/// Global of `aya-log`: the level up to which log statements are kept in the programs.
pub const AYA_LOG_LEVEL: &str = "AYA_LOG_LEVEL";
/// Length of a port bitmap in bytes: one bit for each of the 65,536 ports.
pub const PORT_BITMAP_BYTES: usize = 65_536 / 8;
