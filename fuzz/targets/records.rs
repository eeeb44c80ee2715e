//! Any bytes as a record of the kernel programs: what is decoded agrees with the bytes, and as a record
//! again it is decoded to the same.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use bytemuck::{Zeroable as _, bytes_of, pod_read_unaligned};
use libfuzzer_sys::fuzz_target;
use tcptrace::{
    event::{Endpoint, Event, Socket, TIME_WAIT, Transition},
    kernel::decode,
    time::Timestamp,
};
use tcptrace_common::record::{
    CounterPart, FLAG_CLASSIC, FLAG_KERNEL, FLAG_OWNED, FLAG_REPAIR, ForkRecord, HookRecord,
    KIND_TRANSITION, OwnerRecord, PART_ADDRESSES, PART_CGROUP, PART_COMM, PART_COUNTERS,
    SHUTDOWN_SHIFT, SOCK_DEAD, SOCK_DONE, SocketRecord, TransitionRecord,
};

const JIFFY_NS: u64 = 4_000_000;

fuzz_target!(|bytes: &[u8]| {
    match decode::event(bytes, JIFFY_NS) {
        None => {}
        Some(Event::Transition(transition)) => check_transition(bytes, transition),
        Some(Event::Hook(hook)) => {
            // Those of accept and of minisocks begin alike.
            let record: HookRecord = pod_read_unaligned(&bytes[..size_of::<HookRecord>()]);
            assert_eq!((hook.at, hook.skaddr), (Timestamp(record.boot_ns), record.skaddr));
            assert_eq!(hook.cookie.unwrap_or(0), record.cookie);
        }
        Some(Event::Fork(fork)) => {
            let record: ForkRecord = pod_read_unaligned(bytes);
            assert_eq!((fork.parent, fork.child), (record.parent, record.child));
        }
        Some(other) => unreachable!("no program tells of {other:?}"),
    }
    if let Some(socket) = decode::socket(bytes, JIFFY_NS) {
        check_socket(bytes, &socket);
    }
    let (mut rest, mut records) = (bytes, 0);
    while let Some((holder, over)) = decode::next_holder(&mut rest, JIFFY_NS) {
        assert!(holder.is_none_or(|holder| holder.inode != 0));
        records += size_of::<OwnerRecord>();
        records += over.map_or(0, |_| size_of::<SocketRecord>());
    }
    assert!(records <= bytes.len(), "more than there is");
});

fn check_transition(bytes: &[u8], transition: Transition) {
    let (told, _) = bytes.split_at(size_of::<TransitionRecord>());
    let told: TransitionRecord = pod_read_unaligned(told);
    let (record, again) = encode(&transition);
    assert_eq!((record.old, record.new), (told.old, told.new));
    assert_eq!((record.boot_ns, record.skaddr), (told.boot_ns, told.skaddr));
    assert_eq!((record.cookie, record.netns, record.rport), (told.cookie, told.netns, told.rport));
    assert!(record.lport == told.lport || told.flags & FLAG_CLASSIC != 0);
    assert_eq!(decode::event(&again, JIFFY_NS), Some(Event::Transition(transition)));
    // A part that is cut off is missed.
    assert_eq!(decode::event(&again[..again.len() - 1], JIFFY_NS), None);
}

/// What a program would have written.
fn encode(transition: &Transition) -> (TransitionRecord, Vec<u8>) {
    let fields = transition.socket.unwrap_or_default();
    let (local, remote) = (transition.tuple.local, transition.tuple.remote);
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let ipv6 = transition.tuple.ipv6;
    let record = TransitionRecord {
        kind: KIND_TRANSITION,
        old: transition.from.number(),
        new: transition.to.number(),
        flags: bit(transition.socket.is_none(), FLAG_CLASSIC)
            | bit(fields.owned, FLAG_OWNED)
            | bit(fields.kernel, FLAG_KERNEL)
            | bit(fields.repair, FLAG_REPAIR)
            | fields.shutdown << SHUTDOWN_SHIFT,
        parts: bit(ipv6, PART_ADDRESSES)
            | bit(transition.on_cpu.is_some(), PART_COMM)
            | bit(transition.cgroup.is_some(), PART_CGROUP)
            | bit(transition.counters.is_some(), PART_COUNTERS),
        sk_flags: bit(fields.dead, SOCK_DEAD) | bit(fields.done, SOCK_DONE),
        sk_err: fields.err,
        boot_ns: transition.at.0,
        skaddr: transition.skaddr,
        cookie: transition.cookie.unwrap_or(0),
        netns: transition.netns.unwrap_or(0),
        inode: fields.inode.unwrap_or(0),
        lport: local.port.unwrap_or(0),
        rport: remote.port.unwrap_or(0),
        laddr: if ipv6 { [0; 4] } else { v4(local) },
        raddr: if ipv6 { [0; 4] } else { v4(remote) },
        pid: transition.on_cpu.map_or(0, |process| process.pid),
    };
    let mut bytes = bytes_of(&record).to_vec();
    if ipv6 {
        let mapped = transition.tuple.v4mapped;
        bytes.extend([v6(local, mapped), v6(remote, mapped)].concat());
    }
    bytes.extend(transition.on_cpu.iter().flat_map(|process| process.comm.0));
    bytes.extend(transition.cgroup.iter().flat_map(|cgroup| cgroup.to_ne_bytes()));
    if let Some(counters) = transition.counters {
        let lifetime = transition.orphan_lifetime.unwrap_or_default();
        let limit = if lifetime > TIME_WAIT { lifetime + TIME_WAIT } else { lifetime };
        let jiffies = limit.as_nanos() / u128::from(JIFFY_NS);
        bytes.extend(bytes_of(&CounterPart {
            tx_bytes: counters.tx_bytes,
            rx_bytes: counters.rx_bytes + u64::from(fields.done),
            retransmits: counters.retransmits,
            srtt_us8: counters.srtt_us.unwrap_or(0) << 3,
            fin_time: jiffies.try_into().expect("as many as were told"),
            ..CounterPart::zeroed()
        }));
    }
    (record, bytes)
}

fn v4(end: Endpoint) -> [u8; 4] {
    match end.addr {
        None => [0; 4],
        Some(IpAddr::V4(address)) => address.octets(),
        Some(IpAddr::V6(address)) => unreachable!("{address} of an IPv4 socket"),
    }
}

/// An unknown address may be `::` or `::ffff:0.0.0.0`.
fn v6(end: Endpoint, mapped: bool) -> [u8; 16] {
    match end.addr {
        None if mapped => Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(),
        None => [0; 16],
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
        Some(IpAddr::V6(address)) => address.octets(),
    }
}

fn check_socket(bytes: &[u8], socket: &Socket) {
    let record: SocketRecord = pod_read_unaligned(bytes);
    assert_eq!(socket.at, Timestamp(record.boot_ns));
    assert_eq!(socket.state.number(), record.state);
    assert_eq!(socket.tuple.local.port.unwrap_or(0), record.lport);
    assert_eq!(socket.tuple.remote.port.unwrap_or(0), record.rport);
    assert_eq!((socket.recv_q, socket.send_q), (record.recv_q, record.send_q));
    for stamp in [socket.last_ack, socket.last_data, socket.last_sent, socket.waiting] {
        assert!(stamp.is_none_or(|stamp| stamp <= socket.at), "it is yet to come");
    }
}
