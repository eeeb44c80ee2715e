//! Where the kernel keeps the fields that the programs read, and what the loader decided.
//!
//! Rust has no CO-RE relocations, so the loader looks every offset up in the running kernel's BTF
//! and passes them as one read-only global. The verifier knows such values as constants, so a field
//! costs one load, and code behind a switched-off setting is removed.

use bytemuck::{Pod, Zeroable};

/// Offset of a field that the running kernel does not have.
pub const ABSENT: u16 = u16::MAX;

/// One row of [`FIELDS`]: where to look a field up.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name of the field in [`Layout`].
    pub name: &'static str,
    /// The kernel structure, as BTF names it.
    pub structure: &'static str,
    /// Members to follow from the structure, dots between them.
    pub path: &'static str,
    /// The fast path cannot work without it; any other absent field leaves its value unknown.
    pub required: bool,
}

macro_rules! layout {
    ($($(#[$doc:meta])* $name:ident = $structure:literal $path:literal $required:literal;)*) => {
        /// Byte offsets of kernel fields from the start of their structure; [`ABSENT`] if missing.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Pod, Zeroable)]
        pub struct Layout { $($(#[$doc])* pub $name: u16,)* }

        /// The fields of [`Layout`] in declaration order.
        pub const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name), structure: $structure, path: $path, required: $required,
        },)*];
    };
}

layout! {
    /// Remote IPv4 address, network order.
    daddr = "sock_common" "skc_daddr" true;
    /// Local IPv4 address, network order.
    rcv_saddr = "sock_common" "skc_rcv_saddr" true;
    /// Remote port, network order.
    dport = "sock_common" "skc_dport" true;
    /// Local port, host order; 0 once the port is given back.
    num = "sock_common" "skc_num" true;
    /// Address family.
    family = "sock_common" "skc_family" true;
    /// State.
    state = "sock_common" "skc_state" true;
    /// Pointer to the network namespace.
    net = "sock_common" "skc_net.net" true;
    /// Remote IPv6 address (absent in a kernel without IPv6).
    v6_daddr = "sock_common" "skc_v6_daddr" false;
    /// Local IPv6 address (absent in a kernel without IPv6).
    v6_rcv_saddr = "sock_common" "skc_v6_rcv_saddr" false;
    /// Socket cookie, 0 until somebody asked for it.
    cookie = "sock_common" "skc_cookie" true;
    /// `SOCK_DEAD` and its kin.
    flags = "sock_common" "skc_flags" true;
    /// Pointer to the protocol's operations.
    prot = "sock_common" "skc_prot" false;
    /// 1 while a task owns the socket's lock.
    lock_owned = "sock" "sk_lock.owned" true;
    /// Pending error.
    err = "sock" "sk_err" true;
    /// `RCV_SHUTDOWN` | `SEND_SHUTDOWN`.
    shutdown = "sock" "sk_shutdown" true;
    /// IP protocol.
    protocol = "sock" "sk_protocol" true;
    /// Pointer to the `socket`, null for orphans and before `accept()`.
    socket = "sock" "sk_socket" true;
    /// The byte that holds `sk_kern_sock`; [`Settings::kern_sock_mask`] tells the bit.
    kern_sock = "sock" "sk_kern_sock" false;
    /// Pointer to the creator's cgroup (a plain pointer since 5.15, a tagged union before).
    cgroup = "sock" "sk_cgrp_data.cgroup" false;
    /// Connections in the accept queue of a listener.
    ack_backlog = "sock" "sk_ack_backlog" false;
    /// Limit of the accept queue.
    max_ack_backlog = "sock" "sk_max_ack_backlog" false;
    /// Expiry of the keepalive (and FIN_WAIT2) timer, jiffies.
    timer_expires = "sock" "sk_timer.expires" false;
    /// Non-null while the keepalive timer is armed.
    timer_armed = "sock" "sk_timer.entry.pprev" false;
    /// Pointer to the open file of a socket.
    socket_file = "socket" "file" true;
    /// Pointer from a `socket` back to its `sock`.
    socket_sk = "socket" "sk" false;
    /// Pointer to the inode of a file.
    file_inode = "file" "f_inode" true;
    /// Inode number, as in /proc/PID/fd.
    inode_ino = "inode" "i_ino" true;
    /// `tcp_fin_timeout` of a network namespace, jiffies.
    net_fin_timeout = "net" "ipv4.sysctl_tcp_fin_timeout" false;
    /// Inode number of a network namespace, as in /proc/PID/ns/net.
    net_inum = "net" "ns.inum" true;
    /// Pointer from a cgroup to its kernfs node.
    cgroup_kn = "cgroup" "kn" false;
    /// Id of a kernfs node, the inode number of the cgroup's folder.
    kernfs_id = "kernfs_node" "id" false;
    /// Local port, network order; kept when `num` is given back.
    sport = "inet_sock" "inet_sport" true;
    /// Next sequence number expected from the peer.
    rcv_nxt = "tcp_sock" "rcv_nxt" false;
    /// First byte not yet read by the application.
    copied_seq = "tcp_sock" "copied_seq" false;
    /// End of what the application has written.
    write_seq = "tcp_sock" "write_seq" false;
    /// First byte not yet acknowledged by the peer.
    snd_una = "tcp_sock" "snd_una" false;
    /// Payload bytes sent, retransmissions included (4.19+).
    bytes_sent = "tcp_sock" "bytes_sent" false;
    /// Payload bytes sent again (4.19+).
    bytes_retrans = "tcp_sock" "bytes_retrans" false;
    /// Bytes received in order; the peer's FIN counts as one.
    bytes_received = "tcp_sock" "bytes_received" false;
    /// Segments sent again over the whole life.
    total_retrans = "tcp_sock" "total_retrans" false;
    /// Smoothed round-trip time in eighths of a microsecond.
    srtt_us = "tcp_sock" "srtt_us" false;
    /// `TCP_LINGER2` of a socket in jiffies: 0 for the namespace's limit, negative for none.
    linger2 = "tcp_sock" "linger2" false;
    /// The byte that holds `repair`; [`Settings::repair_mask`] tells the bit.
    repair = "tcp_sock" "repair" false;
    /// When the oldest unacknowledged segment was first sent again, for a SYN when it was sent: low 32
    /// bits of the clock in ms, or in us if [`Settings::usec_mask`] says so for the socket.
    retrans_stamp = "tcp_sock" "retrans_stamp" false;
    /// The byte that holds `tcp_usec_ts` (6.7+); [`Settings::usec_mask`] tells the bit.
    usec = "tcp_sock" "tcp_usec_ts" false;
    /// When the socket last handled a packet or a timer, us of the monotonic clock.
    mstamp = "tcp_sock" "tcp_mstamp" false;
    /// When the last ACK arrived, low 32 bits of jiffies.
    rcv_tstamp = "tcp_sock" "rcv_tstamp" false;
    /// When data was last sent, low 32 bits of jiffies.
    lsndtime = "tcp_sock" "lsndtime" false;
    /// Retransmission timeout, jiffies.
    rto = "inet_connection_sock" "icsk_rto" false;
    /// What timer is pending on the retransmit timer.
    pending = "inet_connection_sock" "icsk_pending" false;
    /// Unanswered retransmissions of the oldest segment.
    retransmits = "inet_connection_sock" "icsk_retransmits" false;
    /// Unanswered keepalive or zero-window probes.
    probes_out = "inet_connection_sock" "icsk_probes_out" false;
    /// Since when the peer's window has been closed, low 32 bits of jiffies (5.11+).
    probes_tstamp = "inet_connection_sock" "icsk_probes_tstamp" false;
    /// Expiry of the retransmit timer, jiffies.
    retransmit_expires = "inet_connection_sock" "icsk_retransmit_timer.expires" false;
    /// When data last arrived, low 32 bits of jiffies.
    lrcvtime = "inet_connection_sock" "icsk_ack.lrcvtime" false;
    /// FIN_WAIT2 or TIME_WAIT of a minisock.
    tw_substate = "inet_timewait_sock" "tw_substate" false;
    /// Expiry of a minisock, jiffies.
    tw_expires = "inet_timewait_sock" "tw_timer.expires" false;
    /// When a minisock, or the socket before it, last got a segment with a timestamp: seconds of the
    /// monotonic clock.
    tw_stamp = "tcp_timewait_sock" "tw_ts_recent_stamp" false;
    /// Name of a protocol.
    prot_name = "proto" "name" false;
    /// Whether the kernel accepts a connection for itself.
    accept_kern = "proto_accept_arg" "kern" false;
    /// Expiry of a half-open request, jiffies.
    req_expires = "request_sock" "rsk_timer.expires" false;
    /// SYN-ACKs sent again for a half-open request.
    req_retrans = "request_sock" "num_retrans" false;
    /// When the first SYN-ACK of a half-open request was sent, us of the monotonic clock.
    req_synack = "tcp_request_sock" "snt_synack" false;
    /// Thread id of a task.
    task_pid = "task_struct" "pid" false;
    /// Thread group id of a task.
    task_tgid = "task_struct" "tgid" false;
    /// Command name of a task.
    task_comm = "task_struct" "comm" false;
}

/// What the loader decided before loading.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Settings {
    /// Fill mark in bytes above which a producer wakes the reader.
    pub wake_bytes: u32,
    /// Segments of the queue of each CPU, a power of two; 0: there are no queues.
    pub queue_segments: u32,
    /// Only this network namespace, 0 for all.
    pub netns: u32,
    /// Bit of `sk_kern_sock` within its byte, 0 if unknown.
    pub kern_sock_mask: u8,
    /// Not 0: the helper `bpf_get_socket_cookie` takes a BTF socket here (5.12+).
    pub cookie_helper: u8,
    /// Not 0: the helper `bpf_get_current_task_btf` gives the task on the CPU (5.11+), and the fields
    /// of a task that are read are known.
    pub task_helper: u8,
    /// Not 0: every record carries the task on the CPU, not only those whose task owns the lock.
    pub on_cpu: u8,
    /// Keep only this family: 4, 6, or 0 for both. IPv4-mapped addresses count as IPv4.
    pub family: u8,
    /// Not 0: keep only local ports whose bit is set in the bitmap.
    pub local_ports: u8,
    /// Not 0: keep only remote ports whose bit is set in the bitmap.
    pub remote_ports: u8,
    /// Bit of `repair` within its byte, 0 if unknown.
    pub repair_mask: u8,
    /// Bit of `tcp_usec_ts` within its byte, 0 if there is none.
    pub usec_mask: u8,
    /// Keeps the size a multiple of four.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<Layout>() == FIELDS.len() * 2);
const _: () = assert!(size_of::<Settings>() == 24);
