//! `inet_sock_set_state` as a BTF tracepoint: the fast path.
//!
//! The event fires before the new state is stored (`inet_sk_state_store`, `net/ipv4/af_inet.c`,
//! 5.10 to 7.2). The prototype is (const struct sock *sk, int oldstate, int newstate).
//!
//! Nothing here may be a call of a subprogram, not even of `memset`: see [`crate::log`].

use core::{mem::MaybeUninit, ptr};

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_comm, bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_skc_to_tcp_sock,
        },
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tcptrace_common::{
    layout::ABSENT,
    record::{
        DETAIL_CGROUP, DETAIL_COUNTERS, DETAIL_TASK, DetailRecord, FLAG_KERNEL, FLAG_OWNED,
        FLAG_REPAIR, KIND_DETAIL, KIND_TRANSITION, SOCK_DEAD, TransitionRecord,
    },
    tcp_state::TcpState,
};

use crate::{
    emit,
    fields::{load, netns, offset, setting},
    filter,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
const LISTEN: u8 = TcpState::Listen.number();
const SYN_RECV: u8 = TcpState::SynRecv.number();
const FIN_WAIT2: u8 = TcpState::FinWait2.number();
const CLOSE: u8 = TcpState::Close.number();

/// What the program reads of a socket before it knows whether a record is wanted.
struct Socket {
    sk: *const u8,
    /// The same socket as `tcp_sock`; read only where counters or the kept port are needed.
    tcp: *const u8,
    family: u16,
    lport: u16,
    rport: u16,
    raddr: [u64; 2],
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_btf(ctx: BtfTracePointContext) -> i32 {
    let Some(counters) = emit::counters() else { return 0 };
    // SAFETY: the pointer is to this CPU's value, and `running` is written by this program alone. Where
    // the kernel lets it interrupt itself, it tells the nested event too, and leaves 0 for the other.
    unsafe { ptr::write_volatile(&raw mut (*counters).running, 1) };
    trace(&ctx, false);
    // SAFETY: as above.
    unsafe { ptr::write_volatile(&raw mut (*counters).running, 0) };
    0
}

/// Does what the other program was kept from. The kernel does not run a program that an interrupt
/// finds running on the CPU (`__bpf_trace_run`, 6.1 to 7.2): while `close()` is being told, a segment
/// may come in for another socket. Here that is seen by `running`, but for the few instructions
/// before and after it is set, whose events are counted as lost to recursion.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_nested(ctx: BtfTracePointContext) -> i32 {
    let Some(counters) = emit::counters() else { return 0 };
    // SAFETY: the pointer is to this CPU's value; `nested` is written by this program alone.
    unsafe {
        if ptr::read_volatile(&raw const (*counters).running) != 0 {
            (*counters).nested = (*counters).nested.wrapping_add(1);
            trace(&ctx, true);
        }
    }
    0
}

#[inline(always)]
fn trace(ctx: &BtfTracePointContext, nested: bool) {
    let sk: *const u8 = ctx.arg(0);
    let old: u64 = ctx.arg(1);
    let new: u64 = ctx.arg(2);
    // SAFETY: argument 0 of this tracepoint is a `struct sock`, all fields are of the types named.
    unsafe { tell(sk, old as u8, new as u8, nested) };
}

#[inline(always)]
unsafe fn tell(sk: *const u8, old: u8, new: u8, nested: bool) {
    // SAFETY: `sk` is the tracepoint's `struct sock` (see `trace`).
    unsafe {
        if load::<u16>(sk, offset!(protocol)) != IPPROTO_TCP {
            return;
        }
        let Some(socket) = look(sk, new) else { return };
        let owned = load::<u32>(sk, offset!(lock_owned)) != 0;
        if owned || new == CLOSE || setting!(on_cpu) != 0 {
            let Some(mut entry) =
                emit::reserve::<DetailRecord>(if nested { 0 } else { KIND_DETAIL })
            else {
                return;
            };
            fill_detail(&mut entry, &socket, old, new, owned);
            if new == CLOSE {
                note_end(&(*entry.as_ptr()).transition);
            }
            emit::submit(entry);
        } else {
            let Some(mut entry) =
                emit::reserve::<TransitionRecord>(if nested { 0 } else { KIND_TRANSITION })
            else {
                return;
            };
            fill(entry.as_mut_ptr(), &socket, old, new, owned, KIND_TRANSITION, 0);
            emit::submit(entry);
        }
    }
}

/// Notes that the end of a socket is being told that nobody holds.
#[inline(always)]
fn note_end(record: &TransitionRecord) {
    if record.sk_flags & SOCK_DEAD != 0
        && let Some(counters) = emit::counters()
    {
        // SAFETY: the pointer is to this CPU's value; whoever overwrites it knows of a later end.
        unsafe { (*counters).ended = record.cookie };
    }
}

/// Reads what the filters need; `None` if they drop the event.
#[inline(always)]
unsafe fn look(sk: *const u8, new: u8) -> Option<Socket> {
    // SAFETY: as in `tell`.
    unsafe {
        if setting!(netns) != 0 && netns(sk) != setting!(netns) {
            return None;
        }
        let family = load::<u16>(sk, offset!(family));
        let raddr = match family {
            AF_INET => [u64::from(load::<u32>(sk, offset!(daddr))), 0],
            AF_INET6 if offset!(v6_daddr) != ABSENT => words(sk, offset!(v6_daddr)),
            _ => return None,
        };
        if !filter::wants_family(family, raddr) {
            return None;
        }
        let mut tcp: *const u8 = ptr::null();
        // At CLOSE the port number is already given back, but `inet_sport` still has it. Before
        // that `skc_num` is right, and unlike `inet_sport` never stale (tcp_set_state and
        // tcp_v4_connect, 5.10 to 7.2).
        let mut lport = load::<u16>(sk, offset!(num));
        if new == CLOSE {
            tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast()).cast_const().cast();
            if !tcp.is_null() {
                lport = u16::from_be(load::<u16>(tcp, offset!(sport)));
            }
        }
        let rport = u16::from_be(load::<u16>(sk, offset!(dport)));
        filter::wants_ports(new, lport, rport).then_some(Socket {
            sk,
            tcp,
            family,
            lport,
            rport,
            raddr,
        })
    }
}

#[inline(always)]
unsafe fn words(sk: *const u8, offset: u16) -> [u64; 2] {
    // SAFETY: an IPv6 address is sixteen bytes.
    unsafe { [load(sk, offset), load(sk, offset + 8)] }
}

/// Fills every byte of `record`.
#[inline(always)]
unsafe fn fill(
    record: *mut TransitionRecord,
    socket: &Socket,
    old: u8,
    new: u8,
    owned: bool,
    kind: u8,
    detail: u8,
) {
    let sk = socket.sk;
    // SAFETY: `record` is reserved memory of its size; the fields of `sk` are as in `tell`.
    unsafe {
        let laddr = if socket.family == AF_INET {
            [u64::from(load::<u32>(sk, offset!(rcv_saddr))), 0]
        } else {
            words(sk, offset!(v6_rcv_saddr))
        };
        let mut flags = if owned { FLAG_OWNED } else { 0 };
        if setting!(kern_sock_mask) != 0
            && load::<u8>(sk, offset!(kern_sock)) & setting!(kern_sock_mask) != 0
        {
            flags |= FLAG_KERNEL;
        }
        if setting!(repair_mask) != 0
            && !socket.tcp.is_null()
            && load::<u8>(socket.tcp, offset!(repair)) & setting!(repair_mask) != 0
        {
            flags |= FLAG_REPAIR;
        }
        // The child of a listener still shows the listener's cookie at LISTEN to SYN_RECV on
        // kernels before 6.16 (inet_csk_clone_lock).
        let cookie = if old == LISTEN && new == SYN_RECV {
            0
        } else if setting!(cookie_helper) != 0 {
            bpf_get_socket_cookie(sk.cast_mut().cast())
        } else {
            load::<u64>(sk, offset!(cookie))
        };
        record.write(TransitionRecord {
            kind,
            old,
            new,
            flags,
            family: socket.family as u8,
            sk_flags: load::<u64>(sk, offset!(flags)) as u8,
            shutdown: load::<u8>(sk, offset!(shutdown)),
            detail,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: sk as u64,
            cookie,
            laddr: address(laddr),
            raddr: address(socket.raddr),
            netns: netns(sk),
            inode: inode(sk),
            lport: socket.lport,
            rport: socket.rport,
            sk_err: load::<u32>(sk, offset!(err)) as u16,
            reserved: 0,
        });
    }
}

/// Fills every byte of the record behind `entry`.
#[inline(always)]
unsafe fn fill_detail(
    entry: &mut MaybeUninit<DetailRecord>,
    socket: &Socket,
    old: u8,
    new: u8,
    owned: bool,
) {
    let record = entry.as_mut_ptr();
    let mut detail = 0;
    // SAFETY: `record` is reserved memory of its size; the fields of `sk` and `tcp` are as in `look`.
    unsafe {
        if owned || setting!(on_cpu) != 0 {
            (*record).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
            bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
            detail |= DETAIL_TASK;
        } else {
            (*record).pid = 0;
            // Not as sixteen bytes, which would be a call of `memset`: see `log`.
            let words = (&raw mut (*record).comm).cast::<u64>();
            words.write_volatile(0);
            words.add(1).write_volatile(0);
        }
        (*record).cgroup = 0;
        if offset!(cgroup) != ABSENT && offset!(cgroup_kn) != ABSENT && offset!(kernfs_id) != ABSENT
        {
            let cgroup = load::<*const u8>(socket.sk, offset!(cgroup));
            let node = load::<*const u8>(cgroup, offset!(cgroup_kn));
            (*record).cgroup = load::<u64>(node, offset!(kernfs_id));
            detail |= DETAIL_CGROUP;
        }
        let tcp = socket.tcp;
        (*record).fin_time = if old == FIN_WAIT2 && !tcp.is_null() { fin_time(socket) } else { 0 };
        if tcp.is_null() || offset!(bytes_sent) == ABSENT {
            (&raw mut (*record).tx_bytes).write_volatile(0);
            (&raw mut (*record).rx_bytes).write_volatile(0);
            (*record).retransmits = 0;
            (*record).srtt_us8 = 0;
        } else {
            (*record).tx_bytes = load::<u64>(tcp, offset!(bytes_sent))
                .wrapping_sub(load::<u64>(tcp, offset!(bytes_retrans)));
            (*record).rx_bytes = load(tcp, offset!(bytes_received));
            (*record).retransmits = load(tcp, offset!(total_retrans));
            (*record).srtt_us8 = load(tcp, offset!(srtt_us));
            detail |= DETAIL_COUNTERS;
        }
        fill(&raw mut (*record).transition, socket, old, new, owned, KIND_DETAIL, detail);
    }
}

/// `tcp_fin_time` (`include/net/tcp.h`, 5.10 to 7.2): how long an orphan may stay in FIN_WAIT2.
#[inline(always)]
unsafe fn fin_time(socket: &Socket) -> u32 {
    if offset!(net_fin_timeout) == ABSENT || offset!(linger2) == ABSENT || offset!(rto) == ABSENT {
        return 0;
    }
    // SAFETY: the fields of `tcp` are of the types named, `skc_net.net` points to a `struct net`.
    unsafe {
        let linger2 = load::<u32>(socket.tcp, offset!(linger2));
        let net = load::<*const u8>(socket.sk, offset!(net));
        let limit = if linger2 == 0 { load::<u32>(net, offset!(net_fin_timeout)) } else { linger2 };
        let rto = load::<u32>(socket.tcp, offset!(rto));
        let least = (rto << 2) - (rto >> 1);
        if (limit as i32) < least as i32 { least } else { limit }
    }
}

/// The inode number of the socket, 0 without a descriptor.
#[inline(always)]
unsafe fn inode(sk: *const u8) -> u32 {
    // SAFETY: each step is a pointer of the kernel; null ones read as 0. Inode numbers of sockets
    // come from get_next_ino(), which hands out 32 bits.
    unsafe {
        let socket = load::<*const u8>(sk, offset!(socket));
        let file = load::<*const u8>(socket, offset!(socket_file));
        let inode = load::<*const u8>(file, offset!(file_inode));
        load::<u64>(inode, offset!(inode_ino)) as u32
    }
}

#[inline(always)]
fn address(words: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&words[1].to_ne_bytes());
    bytes
}
