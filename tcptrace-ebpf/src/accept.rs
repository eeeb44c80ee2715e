//! `inet_csk_accept` at its return: who took a connection out of the accept queue.
//!
//! It returns the `struct sock` of the child, or null, in the task that accepts. It has the arguments
//! (sk, flags, err, kern), from 6.10 on (sk, arg); what is returned lies behind them.
//!
//! Whether the kernel accepts for itself is told by the call: the child of a listener for MPTCP still
//! has `sk_kern_sock` of that, also where a process gets it (`mptcp_accept`, 5.10 to 7.2, sets it later).

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_comm, bpf_ktime_get_boot_ns},
    },
    macros::fexit,
    programs::FExitContext,
};
use tcptrace_common::{
    layout::ABSENT,
    record::{AcceptRecord, KIND_ACCEPTED},
};

use crate::{
    emit,
    fields::{load, offset, probe},
    reset::is_wanted,
};

#[fexit]
fn accept(ctx: FExitContext) -> i32 {
    let is_for_process = offset!(accept_kern) != ABSENT
        && probe::<u8>(ctx.arg::<*const u8>(1), offset!(accept_kern)) == 0;
    if is_for_process {
        // SAFETY: argument 2 is what a function with two arguments returned: a full TCP socket or null.
        unsafe { emit_accept(ctx.arg(2)) };
    }
    0
}

#[fexit]
fn accept_four(ctx: FExitContext) -> i32 {
    // Of a bool the kernel sets the low byte alone.
    if ctx.arg::<u64>(3) as u8 == 0 {
        // SAFETY: as in `accept`, with four arguments.
        unsafe { emit_accept(ctx.arg(4)) };
    }
    0
}

/// # Safety
/// `sk` must be null or a BTF pointer to a socket.
#[inline(always)]
unsafe fn emit_accept(sk: *const u8) {
    // SAFETY: as the caller promises.
    if sk.is_null() || !unsafe { is_wanted(sk) } {
        return;
    }
    let Some(mut entry) = emit::reserve::<AcceptRecord>(KIND_ACCEPTED) else { return };
    let record = entry.as_mut_ptr();
    // SAFETY: `record` is reserved memory of its size, of which the helper writes the name; the cookie is
    // of `sock_common`, with which a socket begins.
    unsafe {
        record.write(AcceptRecord {
            kind: KIND_ACCEPTED,
            reserved: [0; 3],
            pid: (bpf_get_current_pid_tgid() >> 32) as u32,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: sk as u64,
            cookie: load(sk, offset!(cookie)),
            comm: [0; 16],
        });
        bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
    }
    emit::submit(entry);
}
