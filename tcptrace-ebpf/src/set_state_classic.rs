//! `sock:inet_sock_set_state` as a classic tracepoint: the fallback for kernels without BTF.
//!
//! The record holds the tuple and the states, nothing else of the socket. The loader has compared
//! the `format` file with these offsets (the same from 5.6 to 7.2).

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_comm, bpf_ktime_get_boot_ns},
    },
    macros::tracepoint,
    programs::TracePointContext,
};
use tcptrace_common::record::{
    DETAIL_TASK, DetailRecord, FLAG_CLASSIC, KIND_DETAIL, KIND_TRANSITION, TransitionRecord,
};

use crate::{emit, fields::setting, filter};

const SKADDR: usize = 8;
const OLDSTATE: usize = 16;
const NEWSTATE: usize = 20;
const SPORT: usize = 24;
const DPORT: usize = 26;
const FAMILY: usize = 28;
const PROTOCOL: usize = 30;
const SADDR: usize = 32;
const DADDR: usize = 36;
const SADDR_V6: usize = 40;
const DADDR_V6: usize = 56;
const AF_INET: u16 = 2;
const IPPROTO_TCP: u16 = 6;

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
fn set_state_classic(ctx: TracePointContext) -> u32 {
    // SAFETY: the offsets are those of the tracepoint's record (see the module).
    let _ = unsafe { trace(&ctx) };
    0
}

#[inline(always)]
unsafe fn trace(ctx: &TracePointContext) -> Result<(), i32> {
    // SAFETY: as in `set_state_classic`.
    unsafe {
        if ctx.read_at::<u16>(PROTOCOL)? != IPPROTO_TCP {
            return Ok(());
        }
        let family = ctx.read_at::<u16>(FAMILY)?;
        let new = ctx.read_at::<u32>(NEWSTATE)? as u8;
        let (lport, rport) = (ctx.read_at(SPORT)?, ctx.read_at(DPORT)?);
        let raddr = ctx.read_at::<[u64; 2]>(DADDR_V6)?;
        if !filter::wants_family(family, raddr) || !filter::wants_ports(new, lport, rport) {
            return Ok(());
        }
        let (laddr, raddr) = if family == AF_INET {
            (v4(ctx.read_at(SADDR)?), v4(ctx.read_at(DADDR)?))
        } else {
            (ctx.read_at(SADDR_V6)?, ctx.read_at(DADDR_V6)?)
        };
        let mut transition = TransitionRecord {
            kind: KIND_TRANSITION,
            old: ctx.read_at::<u32>(OLDSTATE)? as u8,
            new,
            flags: FLAG_CLASSIC,
            family: family as u8,
            sk_flags: 0,
            shutdown: 0,
            detail: 0,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: ctx.read_at(SKADDR)?,
            cookie: 0,
            laddr,
            raddr,
            netns: 0,
            inode: 0,
            lport,
            rport,
            sk_err: 0,
            reserved: 0,
        };
        if setting!(on_cpu) == 0 {
            let Some(mut entry) = emit::reserve::<TransitionRecord>(KIND_TRANSITION) else {
                return Ok(());
            };
            entry.write(transition);
            emit::submit(entry);
            return Ok(());
        }
        transition.kind = KIND_DETAIL;
        transition.detail = DETAIL_TASK;
        let Some(mut entry) = emit::reserve::<DetailRecord>(KIND_DETAIL) else {
            return Ok(());
        };
        let record = entry.as_mut_ptr();
        record.write(DetailRecord {
            transition,
            pid: (bpf_get_current_pid_tgid() >> 32) as u32,
            fin_time: 0,
            comm: [0; 16],
            cgroup: 0,
            tx_bytes: 0,
            rx_bytes: 0,
            retransmits: 0,
            srtt_us8: 0,
        });
        bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
        emit::submit(entry);
    }
    Ok(())
}

fn v4(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address);
    bytes
}
