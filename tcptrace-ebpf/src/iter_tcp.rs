//! `iter/tcp`: every socket of the network namespace in which the iterator was opened.
//!
//! A hundred thousand sockets have three million fields, so those of full sockets are loaded: to copy
//! them by `bpf_probe_read_kernel` took as long as all of `ss -tan`. Minisocks and requests have few. aya
//! has no macro for iterators yet, hence the bare section name.

use core::mem;

use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{
        bpf_get_socket_cookie, bpf_jiffies64, bpf_ktime_get_boot_ns, bpf_ktime_get_ns,
        bpf_seq_write, bpf_skc_to_tcp_sock,
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

use crate::fields::{Zero, load, offset, probe, setting};

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
            load(sk, offset!(cookie))
        };
        let state = load(sk, offset!(state));
        let tcp: *const u8 = bpf_skc_to_tcp_sock(sk.cast_mut().cast()).cast_const().cast();
        // Of what the iterator hands out, the verifier asks whether it may trust what each pointer in it
        // points to, and goes through all of the kernel's types for that; not of what a helper returns.
        let record = if tcp.is_null() {
            let mut record = describe(Untyped(sk), cookie, state);
            describe_small(sk, &mut record);
            record
        } else {
            let mut record = describe(Typed(tcp), cookie, state);
            describe_full(Typed(tcp), &mut record);
            record
        };
        bpf_seq_write(seq, (&raw const record).cast(), size_of::<SocketRecord>() as u32);
    }
    0
}

/// A kernel structure, by which its fields are read; an absent one is zero.
pub(crate) trait Structure: Copy {
    /// Where it is.
    fn at(self) -> *const u8;
    /// The field at `offset`.
    fn field<T: Copy + Zero>(self, offset: u16) -> T;
    /// The structure that the pointer at `offset`, which must be there, points to.
    fn follow(self, offset: u16) -> Self;
}

/// One whose type the verifier knows.
#[derive(Clone, Copy)]
pub(crate) struct Typed(pub(crate) *const u8);

impl Structure for Typed {
    #[inline(always)]
    fn at(self) -> *const u8 {
        self.0
    }

    #[inline(always)]
    fn field<T: Copy + Zero>(self, offset: u16) -> T {
        if offset == ABSENT {
            return T::ZERO;
        }
        // SAFETY: it is made of BTF pointers only.
        unsafe { load(self.0, offset) }
    }

    #[inline(always)]
    fn follow(self, offset: u16) -> Self {
        Self(self.field(offset))
    }
}

/// One that is only an address.
#[derive(Clone, Copy)]
pub(crate) struct Untyped(pub(crate) *const u8);

impl Structure for Untyped {
    #[inline(always)]
    fn at(self) -> *const u8 {
        self.0
    }

    #[inline(always)]
    fn field<T: Copy + Zero>(self, offset: u16) -> T {
        probe(self.0, offset)
    }

    #[inline(always)]
    fn follow(self, offset: u16) -> Self {
        Self(self.field(offset))
    }
}

/// The address at `v4` or `v6`, as the family has it.
#[inline(always)]
fn address(sk: impl Structure, family: u16, v4: u16, v6: u16) -> [u8; 16] {
    // Not as sixteen bytes, which would be a call of `memset`: older verifiers (6.1) then find no room
    // on the stack, where a second frame takes a part.
    let words = if family != AF_INET6 {
        [u64::from(sk.field::<u32>(v4).to_le()).to_le(), 0]
    } else if v6 != ABSENT {
        [sk.field(v6), sk.field(v6 + 8)]
    } else {
        [0, 0]
    };
    // SAFETY: any bytes are an address.
    unsafe { mem::transmute::<[u64; 2], [u8; 16]>(words) }
}

/// What sockets of any shape have.
#[inline(always)]
pub(crate) fn describe(sk: impl Structure, cookie: u64, state: u8) -> SocketRecord {
    let family: u16 = sk.field(offset!(family));
    SocketRecord {
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
        skaddr: sk.at() as u64,
        cookie,
        laddr: address(sk, family, offset!(rcv_saddr), offset!(v6_rcv_saddr)),
        raddr: address(sk, family, offset!(daddr), offset!(v6_daddr)),
        netns: sk.follow(offset!(net)).field(offset!(net_inum)),
        inode: 0,
        lport: sk.field(offset!(num)),
        rport: u16::from_be(sk.field(offset!(dport))),
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
    }
}

/// What a minisock or a half-open request has.
#[inline(always)]
fn describe_small(sk: *const u8, record: &mut SocketRecord) {
    if record.state == TcpState::TimeWait.number() {
        record.shape = SHAPE_MINISOCK;
        record.state = probe(sk, offset!(tw_substate));
        record.timer = TIMER_TIMEWAIT;
        record.expires = probe(sk, offset!(tw_expires));
        record.waiting = u64::from(probe::<u32>(sk, offset!(tw_stamp)));
    } else if record.state == TcpState::NewSynRecv.number() {
        record.shape = SHAPE_REQUEST;
        record.state = TcpState::SynRecv.number();
        record.timer = TIMER_RETRANSMIT;
        record.expires = probe(sk, offset!(req_expires));
        record.retransmits = probe(sk, offset!(req_retrans));
        record.waiting = probe(sk, offset!(req_synack));
    }
}

/// What a full socket has.
#[inline(always)]
pub(crate) fn describe_full(sk: impl Structure, record: &mut SocketRecord) {
    record.sk_flags = sk.field::<u64>(offset!(flags)) as u8;
    record.shutdown = sk.field(offset!(shutdown));
    record.sk_err = sk.field::<u32>(offset!(err)) as u16;
    let socket = sk.follow(offset!(socket));
    // A child in an accept queue has this bit from its listener, and an MPTCP listener's own is set
    // although a program will accept the child.
    let kernel = sk.field::<u8>(offset!(kern_sock)) & setting!(kern_sock_mask) != 0;
    if kernel && !socket.at().is_null() {
        record.flags = FLAG_KERNEL;
    }
    record.inode = inode(socket);
    // The verifier takes no load from what is known to be null (5.10 has no such pointer).
    if offset!(cgroup) != ABSENT && offset!(cgroup_kn) != ABSENT {
        let node = sk.follow(offset!(cgroup)).follow(offset!(cgroup_kn));
        record.cgroup = node.field(offset!(kernfs_id));
    }
    if record.state == TcpState::Listen.number() {
        record.recv_q = sk.field(offset!(ack_backlog));
        record.send_q = sk.field(offset!(max_ack_backlog));
        record.timer = TIMER_NONE;
        return;
    }
    let unread =
        sk.field::<u32>(offset!(rcv_nxt)).wrapping_sub(sk.field::<u32>(offset!(copied_seq)));
    record.recv_q = if (unread as i32) < 0 { 0 } else { unread };
    record.send_q =
        sk.field::<u32>(offset!(write_seq)).wrapping_sub(sk.field::<u32>(offset!(snd_una)));
    record.last_ack = sk.field(offset!(rcv_tstamp));
    record.last_data = sk.field(offset!(lrcvtime));
    record.last_sent = sk.field(offset!(lsndtime));
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
fn describe_waiting(sk: impl Structure, record: &mut SocketRecord) {
    if record.state == TcpState::Close.number() {
        // `skc_num` was given back, `inet_sport` is kept (`inet_put_port`, 5.10 to 7.2).
        record.lport = u16::from_be(sk.field(offset!(sport)));
        record.waiting = sk.field(offset!(mstamp));
    } else if record.timer == TIMER_PROBE {
        record.waiting = u64::from(sk.field::<u32>(offset!(probes_tstamp)));
    } else if record.timer == TIMER_RETRANSMIT {
        record.waiting = u64::from(sk.field::<u32>(offset!(retrans_stamp)));
        if sk.field::<u8>(offset!(usec)) & setting!(usec_mask) != 0 {
            record.flags |= FLAG_USEC;
        }
    }
}

/// The timer as `inet_sk_diag_fill` tells it (`net/ipv4/inet_diag.c`, 5.10 to 7.2).
#[inline(always)]
fn describe_timer(sk: impl Structure, record: &mut SocketRecord) {
    if offset!(pending) == ABSENT || offset!(retransmit_expires) == ABSENT {
        return;
    }
    match sk.field::<u8>(offset!(pending)) {
        ICSK_TIME_RETRANS | ICSK_TIME_REO_TIMEOUT | ICSK_TIME_LOSS_PROBE => {
            record.timer = TIMER_RETRANSMIT;
            record.retransmits = sk.field(offset!(retransmits));
            record.expires = sk.field(offset!(retransmit_expires));
        }
        ICSK_TIME_PROBE0 => {
            record.timer = TIMER_PROBE;
            record.retransmits = sk.field(offset!(probes_out));
            record.expires = sk.field(offset!(retransmit_expires));
        }
        _ if offset!(timer_armed) == ABSENT => {}
        _ if !sk.field::<*const u8>(offset!(timer_armed)).is_null() => {
            record.timer = TIMER_KEEPALIVE;
            record.retransmits = sk.field(offset!(probes_out));
            record.expires = sk.field(offset!(timer_expires));
        }
        _ => record.timer = TIMER_NONE,
    }
}

/// Inode number behind a `struct socket`, 0 if there is none.
#[inline(always)]
pub(crate) fn inode(socket: impl Structure) -> u32 {
    let inode = socket.follow(offset!(socket_file)).follow(offset!(file_inode));
    inode.field::<u64>(offset!(inode_ino)) as u32
}
