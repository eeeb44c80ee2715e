//! `tcp_destroy_sock`: the full socket is in CLOSE and its last descriptor is gone.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcptrace_common::record::KIND_DESTROYED;

use crate::{
    emit,
    fields::{load, offset},
    reset::emit_hook,
};

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: argument 0 of this tracepoint is a full TCP socket.
    unsafe {
        if !was_told(sk) {
            emit_hook(KIND_DESTROYED, sk, 0);
        }
    }
    0
}

/// Whether the end of this socket was told on this CPU just now, and that nobody held it. The kernel
/// goes from the one to the other (`tcp_done` calls `inet_csk_destroy_sock` of a dead socket, 5.10 to
/// 7.2), and of ten sockets nine end so. A cookie is never given twice.
///
/// # Safety
/// `sk` must be a BTF pointer to a socket.
#[inline(always)]
unsafe fn was_told(sk: *const u8) -> bool {
    let Some(counters) = emit::counters() else { return false };
    // SAFETY: the cookie is of `sock_common`, with which every shape begins; the pointer is to this
    // CPU's value.
    unsafe {
        let cookie = load::<u64>(sk, offset!(cookie));
        cookie != 0 && (*counters).ended == cookie
    }
}
