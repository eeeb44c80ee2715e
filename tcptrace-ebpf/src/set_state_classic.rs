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
    AddressPart, FLAG_CLASSIC, KIND_TRANSITION, LONGEST_TRANSITION, PART_ADDRESSES, PART_COMM,
    TransitionRecord,
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
        let is_v4 = family == AF_INET;
        let mut parts = if is_v4 { 0 } else { PART_ADDRESSES };
        if setting!(on_cpu) != 0 {
            parts |= PART_COMM;
        }
        let addresses = [ctx.read_at::<[u64; 2]>(SADDR_V6)?, raddr];
        let transition = TransitionRecord {
            kind: KIND_TRANSITION,
            old: ctx.read_at::<u32>(OLDSTATE)? as u8,
            new,
            flags: FLAG_CLASSIC,
            parts,
            sk_flags: 0,
            sk_err: 0,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: ctx.read_at(SKADDR)?,
            cookie: 0,
            netns: 0,
            inode: 0,
            lport,
            rport,
            laddr: ctx.read_at(SADDR)?,
            raddr: ctx.read_at(DADDR)?,
            pid: (bpf_get_current_pid_tgid() >> 32) as u32,
        };
        if parts == 0 {
            if let Some(mut entry) = emit::reserve::<TransitionRecord>(KIND_TRANSITION) {
                entry.write(transition);
                emit::submit(entry);
            }
        } else if let Some(mut entry) =
            emit::reserve::<[u64; LONGEST_TRANSITION / 8]>(KIND_TRANSITION)
        {
            let record = entry.as_mut_ptr().cast::<u64>();
            record.cast::<TransitionRecord>().write(transition);
            let mut part = record.add(size_of::<TransitionRecord>() / 8);
            if !is_v4 {
                part.cast::<[[u64; 2]; 2]>().write(addresses);
                part = part.add(size_of::<AddressPart>() / 8);
            }
            if setting!(on_cpu) != 0 {
                bpf_get_current_comm(part.cast(), 16);
            }
            emit::submit(entry);
        }
    }
    Ok(())
}
