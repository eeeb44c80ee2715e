//! `tcp_receive_reset` and `tcp_send_reset`: who reset a connection.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tcptrace_common::{
    record::{HookRecord, KIND_RESET_RECEIVED, KIND_RESET_SENT},
    tcp_state::TcpState,
};

use crate::{
    emit,
    fields::{load, netns, offset, setting},
    filter,
};

const CLOSE: u8 = TcpState::Close.number();

#[btf_tracepoint(function = "tcp_receive_reset")]
fn receive_reset(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 of this tracepoint is a full TCP socket.
    unsafe { emit_hook(KIND_RESET_RECEIVED, ctx.arg(0), 0) };
    0
}

/// For kernels whose tracepoint has a third argument, `enum sk_rst_reason` (6.10+).
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 is null, a full socket, a minisock or a request; all begin with sock_common.
    unsafe { emit_hook(KIND_RESET_SENT, ctx.arg(0), ctx.arg(2)) };
    0
}

/// For kernels whose tracepoint ends after (sk, skb).
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset_no_reason(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: as in `send_reset`.
    unsafe { emit_hook(KIND_RESET_SENT, ctx.arg(0), 0) };
    0
}

/// Writes a [`HookRecord`] of the socket `sk`, unless it is null or no filter can want it.
///
/// # Safety
/// `sk` must be null or a BTF pointer to a socket of any shape.
#[inline(always)]
pub(crate) unsafe fn emit_hook(kind: u8, sk: *const u8, reason: u32) {
    if sk.is_null() {
        return;
    }
    // SAFETY: the state is of `sock_common`, with which every shape begins.
    unsafe { emit_hook_in(load(sk, offset!(state)), kind, sk, reason) };
}

/// [`emit_hook`] of a socket that is to be called in this state.
///
/// # Safety
/// `sk` must be a BTF pointer to a socket of any shape.
#[inline(always)]
pub(crate) unsafe fn emit_hook_in(state: u8, kind: u8, sk: *const u8, reason: u32) {
    // SAFETY: as the caller promises.
    if !unsafe { is_wanted(sk) } {
        return;
    }
    let Some(mut entry) = emit::reserve::<HookRecord>(kind) else {
        return;
    };
    // SAFETY: the cookie is of `sock_common`, with which every shape begins.
    unsafe {
        entry.write(HookRecord {
            kind,
            state,
            reserved: 0,
            reason,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: sk as u64,
            cookie: load(sk, offset!(cookie)),
        });
    }
    emit::submit(entry);
}

/// Whether a filter can want what a hook has to say of this socket.
///
/// # Safety
/// `sk` must be a BTF pointer to a socket of any shape.
#[inline(always)]
pub(crate) unsafe fn is_wanted(sk: *const u8) -> bool {
    // SAFETY: the remote port is of `sock_common`. The local port may be given back already.
    unsafe {
        is_in_namespace(sk)
            && filter::wants_ports(CLOSE, 0, u16::from_be(load::<u16>(sk, offset!(dport))))
    }
}

/// Whether the socket is in the network namespace that is asked for, if one is.
///
/// # Safety
/// `sk` must be a BTF pointer to a socket of any shape.
#[inline(always)]
pub(crate) unsafe fn is_in_namespace(sk: *const u8) -> bool {
    // SAFETY: the namespace is of `sock_common`, with which every shape begins.
    setting!(netns) == 0 || unsafe { netns(sk) } == setting!(netns)
}
