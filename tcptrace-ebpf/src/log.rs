//! What the programs log when they are asked to: a program of its own, because a log statement is a
//! call of a subprogram.
//!
//! On 5.10 a load by BTF type that faults takes the kernel down if its program has subprograms, and does
//! no harm if it has none (both seen there; it dies looking for the exception table). So no program with
//! such loads may have any, and this one reads by the helper.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::fields::{offset, probe};

const IPPROTO_TCP: u16 = 6;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_log(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    let old: u64 = ctx.arg(1);
    let new: u64 = ctx.arg(2);
    if probe::<u16>(sk, offset!(protocol)) != IPPROTO_TCP {
        return 0;
    }
    let lport: u16 = probe(sk, offset!(num));
    let rport = u16::from_be(probe(sk, offset!(dport)));
    // Not the address: the verifier forbids to take a pointer apart into bytes.
    aya_log_ebpf::trace!(&ctx, "state {} -> {}, ports {} {}", old as u8, new as u8, lport, rport);
    0
}
