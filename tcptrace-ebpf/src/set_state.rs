//! `inet_sock_set_state` as a BTF tracepoint: the fast path.
//!
//! The event fires before the new state is stored (`inet_sk_state_store`, `net/ipv4/af_inet.c`,
//! 5.10 to 7.2). The prototype is (const struct sock *sk, int oldstate, int newstate).
//!
//! Nothing here may be a call of a subprogram, not even of `memset`: see [`crate::log`].

use core::ptr;

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_comm, bpf_get_current_task_btf, bpf_get_socket_cookie,
            bpf_ktime_get_boot_ns, bpf_skc_to_tcp_sock,
        },
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tcptrace_common::{
    layout::ABSENT,
    record::{
        AddressPart, CounterPart, CpuCounters, FLAG_KERNEL, FLAG_OWNED, FLAG_REPAIR,
        KIND_TRANSITION, LONGEST_TRANSITION, PART_ADDRESSES, PART_CGROUP, PART_COMM, PART_COUNTERS,
        SHUTDOWN_SHIFT, SOCK_DEAD, TransitionRecord,
    },
    tcp_state::TcpState,
};

use crate::{
    emit,
    fields::{load, netns, offset, setting},
    filter, queue,
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
    trace(&ctx, counters, false);
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
            trace(&ctx, counters, true);
        }
    }
    0
}

#[inline(always)]
fn trace(ctx: &BtfTracePointContext, counters: *mut CpuCounters, nested: bool) {
    let sk: *const u8 = ctx.arg(0);
    let old: u64 = ctx.arg(1);
    let new: u64 = ctx.arg(2);
    // SAFETY: argument 0 of this tracepoint is a `struct sock`, all fields are of the types named.
    unsafe { tell(sk, old as u8, new as u8, counters, nested) };
}

#[inline(always)]
unsafe fn tell(sk: *const u8, old: u8, new: u8, counters: *mut CpuCounters, nested: bool) {
    // SAFETY: `sk` is the tracepoint's `struct sock` (see `trace`).
    unsafe {
        if load::<u16>(sk, offset!(protocol)) != IPPROTO_TCP {
            return;
        }
        let Some(socket) = look(sk, new) else { return };
        let owned = load::<u32>(sk, offset!(lock_owned)) != 0;
        let parts = parts(&socket, new, owned);
        if !nested && setting!(queue_segments) != 0 {
            let Some(entry) = queue::reserve(counters) else {
                return emit::count_lost(counters, KIND_TRANSITION);
            };
            fill(entry.record.cast(), &socket, old, new, owned, parts);
            let length = fill_parts(entry.record, &socket, old, parts);
            queue::submit(&entry, length, counters);
        } else if parts == 0 {
            let place = if nested { 0 } else { KIND_TRANSITION };
            let Some(mut entry) = emit::reserve::<TransitionRecord>(place) else { return };
            fill(entry.as_mut_ptr(), &socket, old, new, owned, parts);
            emit::submit(entry);
        } else {
            let place = if nested { 0 } else { KIND_TRANSITION };
            let Some(mut entry) = emit::reserve::<[u64; LONGEST_TRANSITION / 8]>(place) else {
                return;
            };
            fill(entry.as_mut_ptr().cast(), &socket, old, new, owned, parts);
            fill_parts(entry.as_mut_ptr().cast(), &socket, old, parts);
            emit::submit(entry);
        }
        if new == CLOSE && load::<u64>(sk, offset!(flags)) as u8 & SOCK_DEAD != 0 {
            // Whoever overwrites it knows of a later end.
            (*counters).ended = load::<u64>(sk, offset!(cookie));
        }
    }
}

/// Which parts the record of this transition has.
#[inline(always)]
fn parts(socket: &Socket, new: u8, owned: bool) -> u8 {
    let has_cgroup =
        offset!(cgroup) != ABSENT && offset!(cgroup_kn) != ABSENT && offset!(kernfs_id) != ABSENT;
    let mut parts = 0;
    if socket.family != AF_INET {
        parts |= PART_ADDRESSES;
    }
    if owned || setting!(on_cpu) != 0 {
        parts |= PART_COMM;
    }
    if has_cgroup && (owned || setting!(on_cpu) != 0 || new == CLOSE) {
        parts |= PART_CGROUP;
    }
    if new == CLOSE && !socket.tcp.is_null() && offset!(bytes_sent) != ABSENT {
        parts |= PART_COUNTERS;
    }
    parts
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
    parts: u8,
) {
    let sk = socket.sk;
    // SAFETY: `record` is reserved memory of its size; the fields of `sk` are as in `tell`.
    unsafe {
        let mut flags = if owned { FLAG_OWNED } else { 0 };
        flags |= (load::<u8>(sk, offset!(shutdown)) & 3) << SHUTDOWN_SHIFT;
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
        let is_v4 = socket.family == AF_INET;
        record.write(TransitionRecord {
            kind: KIND_TRANSITION,
            old,
            new,
            flags,
            parts,
            sk_flags: load::<u64>(sk, offset!(flags)) as u8,
            sk_err: load::<u32>(sk, offset!(err)) as u16,
            boot_ns: bpf_ktime_get_boot_ns(),
            skaddr: sk as u64,
            cookie: cookie(sk, old, new),
            netns: netns(sk),
            inode: inode(sk),
            lport: socket.lport,
            rport: socket.rport,
            laddr: if is_v4 { load::<u32>(sk, offset!(rcv_saddr)).to_ne_bytes() } else { [0; 4] },
            raddr: if is_v4 { (socket.raddr[0] as u32).to_ne_bytes() } else { [0; 4] },
            pid: if parts & PART_COMM != 0 { task_pid() } else { 0 },
        });
    }
}

#[inline(always)]
unsafe fn cookie(sk: *const u8, old: u8, new: u8) -> u64 {
    // The child of a listener still shows the listener's cookie at LISTEN to SYN_RECV on kernels before
    // 6.16 (inet_csk_clone_lock).
    if old == LISTEN && new == SYN_RECV {
        return 0;
    }
    // SAFETY: `sk` is as in `tell`.
    unsafe {
        // The helper gives one to a socket that has none.
        match load::<u64>(sk, offset!(cookie)) {
            0 if setting!(cookie_helper) != 0 => bpf_get_socket_cookie(sk.cast_mut().cast()),
            cookie => cookie,
        }
    }
}

/// Thread group of the task on the CPU.
#[inline(always)]
unsafe fn task_pid() -> u32 {
    if setting!(task_helper) != 0 {
        // SAFETY: the helper gives the current task, always.
        return unsafe { load(bpf_get_current_task_btf().cast_const().cast(), offset!(task_tgid)) };
    }
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Fills the parts that the record is to have; returns the length of it all.
#[inline(always)]
unsafe fn fill_parts(record: *mut u8, socket: &Socket, old: u8, parts: u8) -> usize {
    let mut length = size_of::<TransitionRecord>();
    // SAFETY: `record` is reserved memory for all parts; the fields of `sk` and `tcp` are as in `look`.
    unsafe {
        if parts & PART_ADDRESSES != 0 {
            let part = record.add(length).cast::<[u64; 2]>();
            part.write(words(socket.sk, offset!(v6_rcv_saddr)));
            part.add(1).write(socket.raddr);
            length += size_of::<AddressPart>();
        }
        if parts & PART_COMM != 0 {
            let part = record.add(length).cast::<u64>();
            if setting!(task_helper) != 0 {
                let task = bpf_get_current_task_btf().cast_const().cast();
                part.write(load(task, offset!(task_comm)));
                part.add(1).write(load(task, offset!(task_comm) + 8));
            } else {
                bpf_get_current_comm(part.cast(), 16);
            }
            length += 16;
        }
        if parts & PART_CGROUP != 0 {
            let cgroup = load::<*const u8>(socket.sk, offset!(cgroup));
            let node = load::<*const u8>(cgroup, offset!(cgroup_kn));
            record.add(length).cast::<u64>().write(load(node, offset!(kernfs_id)));
            length += 8;
        }
        if parts & PART_COUNTERS != 0 {
            let tcp = socket.tcp;
            record.add(length).cast::<CounterPart>().write(CounterPart {
                tx_bytes: load::<u64>(tcp, offset!(bytes_sent))
                    .wrapping_sub(load::<u64>(tcp, offset!(bytes_retrans))),
                rx_bytes: load(tcp, offset!(bytes_received)),
                retransmits: load(tcp, offset!(total_retrans)),
                srtt_us8: load(tcp, offset!(srtt_us)),
                fin_time: if old == FIN_WAIT2 { fin_time(socket) } else { 0 },
                reserved: 0,
            });
            length += size_of::<CounterPart>();
        }
    }
    length
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
