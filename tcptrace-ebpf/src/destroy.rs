//! `tcp_destroy_sock`: the full socket is in CLOSE and its last descriptor is gone.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcptrace_common::record::KIND_DESTROYED;

use crate::reset::emit_hook;

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 of this tracepoint is a full TCP socket.
    unsafe { emit_hook(KIND_DESTROYED, ctx.arg(0), 0) };
    0
}
