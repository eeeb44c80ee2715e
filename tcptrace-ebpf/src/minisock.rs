//! The life of a minisock, of which no tracepoint speaks: it is made, the peer's FIN reaches it or a
//! segment that it answers with a reset, and it ends.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tcptrace_common::{
    layout::ABSENT,
    record::{
        KIND_MINISOCK, KIND_MINISOCK_ENDED, KIND_MINISOCK_RESET, KIND_TIME_WAIT, MinisockRecord,
    },
    tcp_state::TcpState,
};

use crate::{
    emit,
    fields::{load, netns, offset, probe},
    filter,
    reset::{emit_hook_in, is_in_namespace},
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
const CLOSE: u8 = TcpState::Close.number();
const TIME_WAIT: u8 = TcpState::TimeWait.number();
/// How the names of its protocols begin, `TCP` and `TCPv6`.
const TCP: u32 = u32::from_ne_bytes(*b"TCP\0");
const THREE_BYTES: u32 = u32::from_ne_bytes([0xff, 0xff, 0xff, 0]);
/// `enum tcp_tw_status`, the same in 5.10 to 7.2.
const TCP_TW_RST: u32 = 1;
const TCP_TW_ACK: u32 = 2;
/// Where a TCP header has its flags, and that of FIN.
const TH_FLAGS: u16 = 13;
const TH_FIN: u8 = 1;

/// `inet_twsk_alloc` at its return: (sk, dr, state) and the minisock, null where there is no room for one.
#[fexit]
fn minisock_made(ctx: FExitContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    let state: u64 = ctx.arg(2);
    let minisock: u64 = ctx.arg(3);
    // SAFETY: argument 0 is a full socket of some protocol.
    unsafe {
        if load::<u16>(sk, offset!(protocol)) == IPPROTO_TCP {
            emit_hook_in(if minisock == 0 { CLOSE } else { state as u8 }, KIND_MINISOCK, sk, 0);
        }
    }
    0
}

/// `tcp_timewait_state_process` at its return, of (tw, skb, th): its number of arguments grew, and what
/// it returned lies behind them. It still holds the minisock, unless a reset ended it.
macro_rules! minisock_answered {
    ($name:ident, $arguments:literal) => {
        #[fexit]
        fn $name(ctx: FExitContext) -> i32 {
            let answer: u64 = ctx.arg($arguments);
            // SAFETY: argument 0 is a minisock, argument 2 a TCP header.
            unsafe { emit_answer(ctx.arg(0), ctx.arg(2), answer as u32) };
            0
        }
    };
}

minisock_answered!(minisock_answered_three, 3);
minisock_answered!(minisock_answered_four, 4);
minisock_answered!(minisock_answered_five, 5);

/// A FIN that finds a minisock in TIME_WAIT is acknowledged as well: the reader knows whether it had come
/// before.
///
/// # Safety
/// `tw` must be a BTF pointer to a minisock.
#[inline(always)]
unsafe fn emit_answer(tw: *const u8, header: *const u8, answer: u32) {
    // SAFETY: as the caller promises.
    unsafe {
        if answer == TCP_TW_RST {
            emit_minisock(KIND_MINISOCK_RESET, tw);
        } else if answer == TCP_TW_ACK
            && offset!(tw_substate) != ABSENT
            && load::<u8>(tw, offset!(tw_substate)) == TIME_WAIT
            && probe::<u8>(header, TH_FLAGS) & TH_FIN != 0
        {
            emit_minisock(KIND_TIME_WAIT, tw);
        }
    }
}

/// `inet_twsk_kill`, or `tcp_twsk_destructor` where a compiler has left none of that: the minisock, which
/// begins with a `sock_common` in either case.
#[fentry]
fn minisock_ended(ctx: FEntryContext) -> i32 {
    let tw: *const u8 = ctx.arg(0);
    // SAFETY: see above. DCCP has minisocks too, and other names.
    unsafe {
        let is_tcp = offset!(prot) == ABSENT
            || probe::<u32>(load(tw, offset!(prot)), offset!(prot_name)) & THREE_BYTES == TCP;
        if is_tcp {
            emit_minisock(KIND_MINISOCK_ENDED, tw);
        }
    }
    0
}

/// # Safety
/// `tw` must be a BTF pointer to a minisock.
#[inline(always)]
unsafe fn emit_minisock(kind: u8, tw: *const u8) {
    // SAFETY: the fields are of `sock_common`, with which every shape begins; an IPv6 address is sixteen
    // bytes.
    unsafe {
        let (lport, rport) = (load(tw, offset!(num)), u16::from_be(load(tw, offset!(dport))));
        if !is_in_namespace(tw) || !filter::wants_ports(CLOSE, lport, rport) {
            return;
        }
        let family = load::<u16>(tw, offset!(family));
        let (laddr, raddr) = match family {
            AF_INET => {
                let v4 = |offset| [u64::from(load::<u32>(tw, offset)), 0];
                (v4(offset!(rcv_saddr)), v4(offset!(daddr)))
            }
            AF_INET6 if offset!(v6_daddr) != ABSENT => {
                let v6 = |offset| [load(tw, offset), load(tw, offset + 8)];
                (v6(offset!(v6_rcv_saddr)), v6(offset!(v6_daddr)))
            }
            _ => return,
        };
        let Some(mut entry) = emit::reserve::<MinisockRecord>(kind) else { return };
        entry.write(MinisockRecord {
            kind,
            family: family as u8,
            lport,
            rport,
            reserved: 0,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: tw as u64,
            cookie: load(tw, offset!(cookie)),
            laddr: core::mem::transmute::<[u64; 2], [u8; 16]>(laddr),
            raddr: core::mem::transmute::<[u64; 2], [u8; 16]>(raddr),
            netns: netns(tw),
            reserved2: 0,
        });
        emit::submit(entry);
    }
}
