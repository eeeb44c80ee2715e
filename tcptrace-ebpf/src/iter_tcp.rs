//! `iter/tcp`: every socket of the network namespace in which the iterator was opened.
//!
//! Not a hot path, so fields are copied by `bpf_probe_read_kernel`, which needs no types and treats
//! full sockets, minisocks and requests alike. aya has no macro for iterators yet, hence the bare
//! section name.

use core::mem;

use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{
        bpf_get_socket_cookie, bpf_jiffies64, bpf_ktime_get_boot_ns, bpf_ktime_get_ns,
        bpf_seq_write,
    },
};
use tcptrace_common::{
    layout::ABSENT,
    record::{
        FLAG_KERNEL, FLAG_USEC, SHAPE_FULL, SHAPE_MINISOCK, SHAPE_REQUEST, SocketRecord,
        TIMER_KEEPALIVE, TIMER_NONE, TIMER_PROBE, TIMER_RETRANSMIT, TIMER_TIMEWAIT, TIMER_UNKNOWN,
    },
    tcp_state::TcpState,
};

use crate::fields::{offset, probe, setting};

/// `struct bpf_iter_meta`, common to all iterators.
#[repr(C)]
pub(crate) struct IterMeta {
    pub(crate) seq: *mut seq_file,
}

/// `struct bpf_iter__tcp` up to the fields used.
#[repr(C)]
struct IterTcp {
    meta: *const IterMeta,
    sk_common: *const u8,
}

const AF_INET6: u16 = 10;
const ICSK_TIME_RETRANS: u8 = 1;
const ICSK_TIME_PROBE0: u8 = 3;
const ICSK_TIME_LOSS_PROBE: u8 = 5;
const ICSK_TIME_REO_TIMEOUT: u8 = 6;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
unsafe extern "C" fn iter_tcp(ctx: *const IterTcp) -> i32 {
    // SAFETY: the kernel passes a valid context; `sk_common` is null at the end of the walk.
    unsafe {
        let seq = (*(*ctx).meta).seq;
        let sk = (*ctx).sk_common;
        if sk.is_null() {
            return 0;
        }
        let cookie = if setting!(cookie_helper) != 0 {
            // The iterator's socket is a BTF pointer, which the helper takes.
            bpf_get_socket_cookie(sk.cast_mut().cast())
        } else {
            probe(sk, offset!(cookie))
        };
        let record = describe(sk, cookie);
        bpf_seq_write(seq, (&raw const record).cast(), size_of::<SocketRecord>() as u32);
    }
    0
}

/// Local and remote address of any shape of socket.
#[inline(always)]
pub(crate) fn addresses(sk: *const u8, family: u16) -> ([u8; 16], [u8; 16]) {
    if family == AF_INET6 {
        return (probe(sk, offset!(v6_rcv_saddr)), probe(sk, offset!(v6_daddr)));
    }
    (v4(probe(sk, offset!(rcv_saddr))), v4(probe(sk, offset!(daddr))))
}

#[inline(always)]
fn v4(address: u32) -> [u8; 16] {
    // Not as sixteen bytes, which would be a call of `memset`: older verifiers (6.1) then find no room
    // on the stack, where a second frame takes a part.
    let words = [u64::from(address.to_le()).to_le(), 0];
    // SAFETY: any bytes are an address.
    unsafe { mem::transmute::<[u64; 2], [u8; 16]>(words) }
}

/// The socket `sk` of any shape, as a record.
#[inline(always)]
pub(crate) fn describe(sk: *const u8, cookie: u64) -> SocketRecord {
    let family: u16 = probe(sk, offset!(family));
    let (laddr, raddr) = addresses(sk, family);
    let net: *const u8 = probe(sk, offset!(net));
    let state: u8 = probe(sk, offset!(state));
    let mut record = SocketRecord {
        shape: SHAPE_FULL,
        state,
        family: family as u8,
        sk_flags: 0,
        shutdown: 0,
        flags: 0,
        timer: TIMER_UNKNOWN,
        retransmits: 0,
        // SAFETY: helper without arguments.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        skaddr: sk as u64,
        cookie,
        laddr,
        raddr,
        netns: probe(net, offset!(net_inum)),
        inode: 0,
        lport: probe(sk, offset!(num)),
        rport: u16::from_be(probe(sk, offset!(dport))),
        sk_err: 0,
        reserved: 0,
        recv_q: 0,
        send_q: 0,
        // SAFETY: helper without arguments.
        jiffies: unsafe { bpf_jiffies64() },
        expires: 0,
        last_ack: 0,
        last_data: 0,
        last_sent: 0,
        reserved2: 0,
        cgroup: 0,
        // SAFETY: helper without arguments.
        mono_ns: unsafe { bpf_ktime_get_ns() },
        waiting: 0,
    };
    if state == TcpState::TimeWait.number() {
        record.shape = SHAPE_MINISOCK;
        record.state = probe(sk, offset!(tw_substate));
        record.timer = TIMER_TIMEWAIT;
        record.expires = probe(sk, offset!(tw_expires));
        record.waiting = u64::from(probe::<u32>(sk, offset!(tw_stamp)));
    } else if state == TcpState::NewSynRecv.number() {
        record.shape = SHAPE_REQUEST;
        record.state = TcpState::SynRecv.number();
        record.timer = TIMER_RETRANSMIT;
        record.expires = probe(sk, offset!(req_expires));
        record.retransmits = probe(sk, offset!(req_retrans));
        record.waiting = probe(sk, offset!(req_synack));
    } else {
        describe_full(sk, &mut record);
    }
    record
}

#[inline(always)]
fn describe_full(sk: *const u8, record: &mut SocketRecord) {
    record.sk_flags = probe::<u64>(sk, offset!(flags)) as u8;
    record.shutdown = probe(sk, offset!(shutdown));
    record.sk_err = probe::<u32>(sk, offset!(err)) as u16;
    let socket: *const u8 = probe(sk, offset!(socket));
    // A child in an accept queue has this bit from its listener, and an MPTCP listener's own is set
    // although a program will accept the child.
    let kernel = probe::<u8>(sk, offset!(kern_sock)) & setting!(kern_sock_mask) != 0;
    if kernel && !socket.is_null() {
        record.flags = FLAG_KERNEL;
    }
    record.inode = inode(socket);
    let cgroup: *const u8 = probe(sk, offset!(cgroup));
    record.cgroup = probe(probe(cgroup, offset!(cgroup_kn)), offset!(kernfs_id));
    if record.state == TcpState::Listen.number() {
        record.recv_q = probe(sk, offset!(ack_backlog));
        record.send_q = probe(sk, offset!(max_ack_backlog));
        record.timer = TIMER_NONE;
        return;
    }
    let unread =
        probe::<u32>(sk, offset!(rcv_nxt)).wrapping_sub(probe::<u32>(sk, offset!(copied_seq)));
    record.recv_q = if (unread as i32) < 0 { 0 } else { unread };
    record.send_q =
        probe::<u32>(sk, offset!(write_seq)).wrapping_sub(probe::<u32>(sk, offset!(snd_una)));
    record.last_ack = probe(sk, offset!(rcv_tstamp));
    record.last_data = probe(sk, offset!(lrcvtime));
    record.last_sent = probe(sk, offset!(lsndtime));
    describe_timer(sk, record);
    if record.state == TcpState::SynSent.number() && record.timer == TIMER_NONE {
        // With TCP_FASTOPEN_CONNECT before the first write `write_seq` is chosen and `snd_una` is not:
        // ss shows a random number (measured on 6.18).
        record.send_q = 0;
    }
    describe_waiting(sk, record);
}

/// Since when the socket has waited, for the states that begin without a packet from the peer.
#[inline(always)]
fn describe_waiting(sk: *const u8, record: &mut SocketRecord) {
    if record.state == TcpState::Close.number() {
        // `skc_num` was given back, `inet_sport` is kept (`inet_put_port`, 5.10 to 7.2).
        record.lport = u16::from_be(probe(sk, offset!(sport)));
        record.waiting = probe(sk, offset!(mstamp));
    } else if record.timer == TIMER_PROBE {
        record.waiting = u64::from(probe::<u32>(sk, offset!(probes_tstamp)));
    } else if record.timer == TIMER_RETRANSMIT {
        record.waiting = u64::from(probe::<u32>(sk, offset!(retrans_stamp)));
        if probe::<u8>(sk, offset!(usec)) & setting!(usec_mask) != 0 {
            record.flags |= FLAG_USEC;
        }
    }
}

/// The timer as `inet_sk_diag_fill` tells it (`net/ipv4/inet_diag.c`, 5.10 to 7.2).
#[inline(always)]
fn describe_timer(sk: *const u8, record: &mut SocketRecord) {
    if offset!(pending) == ABSENT || offset!(retransmit_expires) == ABSENT {
        return;
    }
    match probe::<u8>(sk, offset!(pending)) {
        ICSK_TIME_RETRANS | ICSK_TIME_REO_TIMEOUT | ICSK_TIME_LOSS_PROBE => {
            record.timer = TIMER_RETRANSMIT;
            record.retransmits = probe(sk, offset!(retransmits));
            record.expires = probe(sk, offset!(retransmit_expires));
        }
        ICSK_TIME_PROBE0 => {
            record.timer = TIMER_PROBE;
            record.retransmits = probe(sk, offset!(probes_out));
            record.expires = probe(sk, offset!(retransmit_expires));
        }
        _ if offset!(timer_armed) == ABSENT => {}
        _ if !probe::<*const u8>(sk, offset!(timer_armed)).is_null() => {
            record.timer = TIMER_KEEPALIVE;
            record.retransmits = probe(sk, offset!(probes_out));
            record.expires = probe(sk, offset!(timer_expires));
        }
        _ => record.timer = TIMER_NONE,
    }
}

/// Inode number behind a `struct socket`, 0 if there is none.
#[inline(always)]
pub(crate) fn inode(socket: *const u8) -> u32 {
    if socket.is_null() {
        return 0;
    }
    let file: *const u8 = probe(socket, offset!(socket_file));
    let inode: *const u8 = probe(file, offset!(file_inode));
    probe::<u64>(inode, offset!(inode_ino)) as u32
}
