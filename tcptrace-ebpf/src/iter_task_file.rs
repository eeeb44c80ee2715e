//! `iter/task_file`: every descriptor of every process, reduced to TCP sockets.
//!
//! Unlike `iter/tcp` it sees all network namespaces at once, and sockets in CLOSE whose descriptor
//! is still open.

use core::mem;

use aya_ebpf::{
    bindings::file,
    helpers::generated::{bpf_seq_write, bpf_sock_from_file},
};
use tcptrace_common::{
    layout::ABSENT,
    record::{OwnerRecord, SocketRecord},
    tcp_state::TcpState,
};

use crate::{
    fields::offset,
    iter_tcp::{IterMeta, Structure, Typed, Untyped, describe, describe_full, inode},
};

/// `struct bpf_iter__task_file`; every pointer is a 64-bit slot.
#[repr(C)]
struct IterTaskFile {
    meta: *const IterMeta,
    task: *const u8,
    fd: u32,
    file: *mut file,
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
/// An MPTCP socket, whose subflows are TCP sockets with its inode and no descriptor of their own
/// (`mptcp_sock_graft`, seen on 6.18).
const IPPROTO_MPTCP: u16 = 262;
/// Both directions shut down: what `tcp_done` leaves behind (5.10 to 7.2). A socket in CLOSE without it
/// is not connected yet, or was disconnected to be used again.
const SHUTDOWN_MASK: u8 = 3;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
unsafe extern "C" fn iter_task_file(ctx: *const IterTaskFile) -> i32 {
    // SAFETY: the kernel passes a valid context; task and file are null at the end of the walk.
    unsafe {
        let seq = (*(*ctx).meta).seq;
        let (task, fd, file) = ((*ctx).task, (*ctx).fd, (*ctx).file);
        if task.is_null() || file.is_null() {
            return 0;
        }
        let socket = Typed(bpf_sock_from_file(file).cast_const().cast());
        if socket.at().is_null() {
            return 0;
        }
        let sk = socket.follow(offset!(socket_sk));
        let family: u16 = sk.field(offset!(family));
        let protocol: u16 = sk.field(offset!(protocol));
        if !matches!(family, AF_INET | AF_INET6) || !matches!(protocol, IPPROTO_TCP | IPPROTO_MPTCP)
        {
            return 0;
        }
        let task = Typed(task);
        let record = OwnerRecord {
            pid: task.field(offset!(task_tgid)),
            fd,
            skaddr: sk.at() as u64,
            cookie: sk.field(offset!(cookie)),
            inode: inode(socket),
            netns: sk.follow(offset!(net)).field(offset!(net_inum)),
            comm: comm(task),
            socket_follows: u32::from(protocol == IPPROTO_TCP && is_over(sk)),
            reserved: 0,
        };
        bpf_seq_write(seq, (&raw const record).cast(), size_of::<OwnerRecord>() as u32);
        if record.socket_follows != 0 {
            // The verifier knows a `sock` here, where the fields are those of a `tcp_sock`.
            let sk = Untyped(sk.at());
            let mut socket = describe(sk, record.cookie, TcpState::Close.number());
            describe_full(sk, &mut socket);
            bpf_seq_write(seq, (&raw const socket).cast(), size_of::<SocketRecord>() as u32);
        }
    }
    0
}

/// The name of a task, read as words: that there is none would else be a call of `memset`, which leaves
/// no room on the stack (see `iter_tcp::address`).
#[inline(always)]
fn comm(task: impl Structure) -> [u8; 16] {
    let words: [u64; 2] = match offset!(task_comm) {
        ABSENT => [0, 0],
        offset => [task.field(offset), task.field(offset + 8)],
    };
    // SAFETY: any bytes are a name.
    unsafe { mem::transmute::<[u64; 2], [u8; 16]>(words) }
}

/// Whether the socket's connection is over, so that only descriptors keep it.
#[inline(always)]
fn is_over(sk: impl Structure) -> bool {
    sk.field::<u8>(offset!(state)) == TcpState::Close.number()
        && sk.field::<u8>(offset!(shutdown)) & SHUTDOWN_MASK == SHUTDOWN_MASK
}
