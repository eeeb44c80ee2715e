//! Records to events: every byte is checked, nothing is believed.

mod hooks;
mod sockets;

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bytemuck::AnyBitPattern;
use tcptrace_common::{
    record::{
        AddressPart, CounterPart, FLAG_CLASSIC, FLAG_KERNEL, FLAG_OWNED, FLAG_REPAIR, ForkRecord,
        KIND_FORK, KIND_TRANSITION, PART_ADDRESSES, PART_CGROUP, PART_COMM, PART_COUNTERS,
        SHUTDOWN_SHIFT, SOCK_DEAD, SOCK_DONE, TransitionRecord,
    },
    tcp_state::TcpState,
};

use crate::{
    event::{
        Comm, Counters, Endpoint, Event, Fork, Process, SocketFields, TIME_WAIT, Transition, Tuple,
    },
    time::Timestamp,
};

pub use sockets::{next_holder, socket};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Decodes one record of the tracepoint programs; `None` if it is not one that they write. `jiffy_ns` is
/// the length of a jiffy.
#[must_use]
#[inline]
pub fn event(bytes: &[u8], jiffy_ns: u64) -> Option<Event> {
    match *bytes.first()? {
        KIND_TRANSITION => transition(bytes, jiffy_ns),
        KIND_FORK => {
            let record: Cow<'_, ForkRecord> = read(bytes)?;
            let at = Timestamp(record.boot_ns);
            Some(Event::Fork(Fork { at, parent: record.parent, child: record.child }))
        }
        _ => hooks::hook(bytes).map(Event::Hook),
    }
}

/// The record that `bytes` hold, if their length is right. Those of the programs are aligned, and need no
/// copy.
fn read<T: AnyBitPattern>(bytes: &[u8]) -> Option<Cow<'_, T>> {
    let in_place = bytemuck::try_from_bytes(bytes).map(Cow::Borrowed);
    in_place.or_else(|_| bytemuck::try_pod_read_unaligned(bytes).map(Cow::Owned)).ok()
}

/// What lies behind a transition, part by part.
struct Parts<'a> {
    named: u8,
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The next part, if the record has it.
    ///
    /// # Errors
    /// If the record ends before it.
    #[inline]
    fn take<T: AnyBitPattern>(&mut self, part: u8) -> Result<Option<Cow<'a, T>>, Short> {
        if self.named & part == 0 {
            return Ok(None);
        }
        let (taken, rest) = self.bytes.split_at_checked(size_of::<T>()).ok_or(Short)?;
        self.bytes = rest;
        read(taken).map(Some).ok_or(Short)
    }
}

/// A record is shorter than it says.
struct Short;

#[inline]
fn transition(bytes: &[u8], jiffy_ns: u64) -> Option<Event> {
    let (record, parts) = bytes.split_at_checked(size_of::<TransitionRecord>())?;
    let record: Cow<'_, TransitionRecord> = read(record)?;
    let mut parts = Parts { named: record.parts, bytes: parts };
    let addresses = parts.take::<AddressPart>(PART_ADDRESSES).ok()?;
    let comm = parts.take::<[u8; 16]>(PART_COMM).ok()?;
    let cgroup = parts.take::<u64>(PART_CGROUP).ok()?;
    let counted = parts.take::<CounterPart>(PART_COUNTERS).ok()?;
    let from = TcpState::from_number(record.old)?;
    let to = TcpState::from_number(record.new)?;
    let listens = from == TcpState::Listen && to == TcpState::Close || to == TcpState::Listen;
    let classic = record.flags & FLAG_CLASSIC != 0;
    // There the port is that of the previous try, if there was one: it is chosen after the event
    // (tcp_v4_connect, 5.10 to 7.2). The other program reads `skc_num`, which is never stale.
    let lport = if classic && to == TcpState::SynSent { 0 } else { record.lport };
    let tuple = match addresses {
        None => tuple_v4((record.laddr, lport), (record.raddr, record.rport), listens),
        Some(part) => tuple_v6((part.laddr, lport), (part.raddr, record.rport), listens),
    };
    // Made where it stays: an event is large, and copies of it are seen in the benchmark.
    Some(Event::Transition(Transition {
        at: Timestamp(record.boot_ns),
        skaddr: record.skaddr,
        cookie: known(record.cookie),
        from,
        to,
        tuple,
        netns: known(record.netns),
        socket: (!classic).then(|| SocketFields {
            owned: record.flags & FLAG_OWNED != 0,
            dead: record.sk_flags & SOCK_DEAD != 0,
            done: record.sk_flags & SOCK_DONE != 0,
            err: record.sk_err,
            shutdown: record.flags >> SHUTDOWN_SHIFT & 3,
            kernel: record.flags & FLAG_KERNEL != 0,
            repair: record.flags & FLAG_REPAIR != 0,
            inode: known(record.inode),
        }),
        on_cpu: comm.map(|comm| Process { pid: record.pid, comm: Comm(*comm) }),
        counters: counted.as_deref().map(|counted| counters(counted, &record)),
        cgroup: cgroup.and_then(|cgroup| known(*cgroup)),
        orphan_lifetime: counted
            .and_then(|counted| known(counted.fin_time))
            .map(|jiffies| orphan_lifetime(jiffies, jiffy_ns)),
    }))
}

/// A limit above 60 s is first waited out by the full socket, down to the last 60 s, and then once
/// more by the minisock (`tcp_rcv_state_process` and `tcp_keepalive_timer`, 5.10 to 7.2).
fn orphan_lifetime(fin_time: u32, jiffy_ns: u64) -> Duration {
    let limit = Duration::from_nanos(u64::from(fin_time).saturating_mul(jiffy_ns));
    match limit.checked_sub(TIME_WAIT) {
        Some(rest) if !rest.is_zero() => rest,
        _ => limit,
    }
}

fn counters(counted: &CounterPart, record: &TransitionRecord) -> Counters {
    // The peer's FIN takes a sequence number and is counted as a received byte (tcp_fin is called
    // with rcv_nxt behind it, 5.10 to 7.2).
    let fin = u64::from(record.sk_flags & SOCK_DONE != 0);
    Counters {
        tx_bytes: counted.tx_bytes,
        rx_bytes: counted.rx_bytes.saturating_sub(fin),
        retransmits: counted.retransmits,
        srtt_us: known(counted.srtt_us8 >> 3),
    }
}

/// Builds a tuple from kernel bytes. An unspecified address means unknown, except the local one of
/// a listener, where it means all addresses.
#[must_use]
#[inline]
pub fn tuple(
    family: u8,
    local: (&[u8; 16], u16),
    remote: (&[u8; 16], u16),
    listens: bool,
) -> Option<Tuple> {
    let v4 = |&[a, b, c, d, ..]: &[u8; 16]| [a, b, c, d];
    match family {
        AF_INET => Some(tuple_v4((v4(local.0), local.1), (v4(remote.0), remote.1), listens)),
        AF_INET6 => Some(tuple_v6((*local.0, local.1), (*remote.0, remote.1), listens)),
        _ => None,
    }
}

/// As [`tuple()`], of an IPv4 socket.
#[inline]
fn tuple_v4(local: ([u8; 4], u16), remote: ([u8; 4], u16), listens: bool) -> Tuple {
    let end = |(address, port), is_any| {
        let address = Ipv4Addr::from(address);
        let is_known = is_any || !address.is_unspecified();
        Endpoint { addr: is_known.then_some(IpAddr::V4(address)), port: known(port) }
    };
    Tuple { local: end(local, listens), remote: end(remote, false), v4mapped: false, ipv6: false }
}

/// As [`tuple()`], of an IPv6 socket.
#[inline]
fn tuple_v6(local: ([u8; 16], u16), remote: ([u8; 16], u16), listens: bool) -> Tuple {
    let (laddr, raddr) = (Ipv6Addr::from(local.0), Ipv6Addr::from(remote.0));
    let end = |address: Ipv6Addr, port, is_any| {
        let address = address.to_canonical();
        let is_known = is_any || !address.is_unspecified();
        Endpoint { addr: is_known.then_some(address), port: known(port) }
    };
    Tuple {
        local: end(laddr, local.1, listens),
        remote: end(raddr, remote.1, false),
        v4mapped: [laddr, raddr].iter().any(|addr| addr.to_ipv4_mapped().is_some()),
        ipv6: true,
    }
}

/// 0 means unknown in a record.
fn known<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::{
        AF_INET6, CounterPart, Event, FLAG_CLASSIC, KIND_TRANSITION, PART_ADDRESSES, PART_COUNTERS,
        TransitionRecord, event, orphan_lifetime, tuple,
    };

    const JIFFY_NS: u64 = 4_000_000;

    fn record() -> TransitionRecord {
        TransitionRecord {
            kind: KIND_TRANSITION,
            old: 1,
            new: 8,
            laddr: [10, 0, 0, 5],
            lport: 443,
            ..TransitionRecord::zeroed()
        }
    }

    #[test]
    fn zero_means_unknown() {
        let Some(Event::Transition(transition)) = event(bytemuck::bytes_of(&record()), JIFFY_NS)
        else {
            panic!("a valid record");
        };
        assert_eq!(transition.tuple.local.port, Some(443));
        assert_eq!(transition.tuple.remote.addr, None);
        assert_eq!(transition.tuple.remote.port, None);
        assert_eq!(transition.cookie, None);
        assert_eq!(transition.on_cpu, None);
    }

    #[test]
    fn the_classic_tracepoint_does_not_know_the_port_of_a_connecting_socket() {
        let connecting = TransitionRecord { old: 7, new: 2, ..record() };
        for (flags, port) in [(0, Some(443)), (FLAG_CLASSIC, None)] {
            let record = TransitionRecord { flags, ..connecting };
            let Some(Event::Transition(transition)) = event(bytemuck::bytes_of(&record), JIFFY_NS)
            else {
                panic!("a valid record");
            };
            assert_eq!(transition.tuple.local.port, port);
        }
    }

    #[test]
    fn strange_records_are_refused() {
        let good = record();
        assert_eq!(event(&[], JIFFY_NS), None);
        assert_eq!(event(&bytemuck::bytes_of(&good)[..55], JIFFY_NS), None);
        for bad in [
            TransitionRecord { kind: 77, ..good },
            TransitionRecord { parts: PART_ADDRESSES, ..good },
            TransitionRecord { parts: PART_COUNTERS, ..good },
            TransitionRecord { old: 0, ..good },
            TransitionRecord { new: 13, ..good },
        ] {
            assert_eq!(event(bytemuck::bytes_of(&bad), JIFFY_NS), None, "{bad:?}");
        }
    }

    #[test]
    fn the_fin_of_the_peer_is_no_payload() {
        let rx = |sk_flags, parts| {
            let record = TransitionRecord { sk_flags, parts, ..record() };
            let counted = CounterPart { rx_bytes: 101, ..CounterPart::zeroed() };
            let bytes = [bytemuck::bytes_of(&record), bytemuck::bytes_of(&counted)].concat();
            match event(&bytes, JIFFY_NS) {
                Some(Event::Transition(transition)) => transition.counters.map(|c| c.rx_bytes),
                _ => None,
            }
        };
        assert_eq!(rx(2, PART_COUNTERS), Some(100));
        assert_eq!(rx(0, PART_COUNTERS), Some(101));
        assert_eq!(rx(2, 0), None);
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
        let tuple = tuple(AF_INET6, (&mapped, 1), (&mapped, 2), false).expect("valid");
        assert!(tuple.v4mapped && tuple.ipv6);
        assert_eq!(tuple.local.addr.map(|addr| addr.to_string()).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn an_orphan_waits_for_the_limit_or_what_is_left_of_it_above_a_minute() {
        for (limit_s, lifetime_s) in [(2, 2), (60, 60), (61, 1), (100, 40), (180, 120)] {
            let jiffies = limit_s * 250;
            assert_eq!(orphan_lifetime(jiffies, JIFFY_NS).as_secs(), lifetime_s, "{limit_s} s");
        }
    }
}
