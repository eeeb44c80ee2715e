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
    // SAFETY: namespace and remote port are of `sock_common`, with which every shape begins.
    unsafe {
        if setting!(netns) != 0 && netns(sk) != setting!(netns) {
            return;
        }
        // The local port may be given back already.
        if !filter::wants_ports(CLOSE, 0, u16::from_be(load::<u16>(sk, offset!(dport)))) {
            return;
        }
    }
    let Some(mut entry) = emit::reserve::<HookRecord>(kind) else {
        return;
    };
    // SAFETY: the fields are of `sock_common`, with which every shape begins.
    unsafe {
        entry.write(HookRecord {
            kind,
            state: load(sk, offset!(state)),
            reserved: 0,
            reason,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: sk as u64,
            cookie: load(sk, offset!(cookie)),
        });
    }
    emit::submit(entry);
}
