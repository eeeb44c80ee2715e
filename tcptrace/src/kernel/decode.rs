//! Records to events: every byte is checked, nothing is believed.

mod sockets;

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bytemuck::AnyBitPattern;
use tcptrace_common::{
    record::{
        DETAIL_CGROUP, DETAIL_COUNTERS, DETAIL_TASK, DetailRecord, FLAG_CLASSIC, FLAG_KERNEL,
        FLAG_OWNED, FLAG_REPAIR, ForkRecord, HookRecord, KIND_DESTROYED, KIND_DETAIL, KIND_FORK,
        KIND_RESET_RECEIVED, KIND_RESET_SENT, KIND_TRANSITION, SOCK_DEAD, SOCK_DONE,
        TransitionRecord,
    },
    tcp_state::TcpState,
};

use crate::{
    event::{
        Comm, Counters, Endpoint, Event, Fork, Hook, HookKind, Process, SocketFields, TIME_WAIT,
        Transition, Tuple,
    },
    time::Timestamp,
};

pub use sockets::{next_holder, socket};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Decodes one record of the ring buffer; `None` if it is not one we write. `jiffy_ns` is the length
/// of a jiffy.
#[must_use]
#[inline]
pub fn event(bytes: &[u8], jiffy_ns: u64) -> Option<Event> {
    match *bytes.first()? {
        KIND_TRANSITION => {
            let record: Cow<'_, TransitionRecord> = read(bytes)?;
            transition(&record, None, jiffy_ns)
        }
        KIND_DETAIL => {
            let detail: Cow<'_, DetailRecord> = read(bytes)?;
            transition(&detail.transition, Some(&detail), jiffy_ns)
        }
        KIND_DESTROYED | KIND_RESET_RECEIVED | KIND_RESET_SENT => {
            hook(&*read(bytes)?).map(Event::Hook)
        }
        KIND_FORK => {
            let record: Cow<'_, ForkRecord> = read(bytes)?;
            let at = Timestamp(record.boot_ns);
            Some(Event::Fork(Fork { at, parent: record.parent, child: record.child }))
        }
        _ => None,
    }
}

/// The record that `bytes` hold, if their length is right. Those of the ring buffer are aligned, and
/// need no copy.
fn read<T: AnyBitPattern>(bytes: &[u8]) -> Option<Cow<'_, T>> {
    let in_place = bytemuck::try_from_bytes(bytes).map(Cow::Borrowed);
    in_place.or_else(|_| bytemuck::try_pod_read_unaligned(bytes).map(Cow::Owned)).ok()
}

#[inline]
fn transition(
    record: &TransitionRecord,
    detail: Option<&DetailRecord>,
    jiffy_ns: u64,
) -> Option<Event> {
    let from = TcpState::from_number(record.old)?;
    let to = TcpState::from_number(record.new)?;
    let listens = from == TcpState::Listen && to == TcpState::Close || to == TcpState::Listen;
    let classic = record.flags & FLAG_CLASSIC != 0;
    // There the port is that of the previous try, if there was one: it is chosen after the event
    // (tcp_v4_connect, 5.10 to 7.2). The other program reads `skc_num`, which is never stale.
    let lport = if classic && to == TcpState::SynSent { 0 } else { record.lport };
    let tuple =
        tuple(record.family, (&record.laddr, lport), (&record.raddr, record.rport), listens)?;
    let has = |bit: u8| detail.filter(|_| record.detail & bit != 0);
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
            shutdown: record.shutdown,
            kernel: record.flags & FLAG_KERNEL != 0,
            repair: record.flags & FLAG_REPAIR != 0,
            inode: known(record.inode),
        }),
        on_cpu: has(DETAIL_TASK).map(|detail| Process { pid: detail.pid, comm: Comm(detail.comm) }),
        counters: has(DETAIL_COUNTERS).map(|detail| counters(detail, record)),
        cgroup: has(DETAIL_CGROUP).and_then(|detail| known(detail.cgroup)),
        orphan_lifetime: detail
            .and_then(|detail| known(detail.fin_time))
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

fn counters(detail: &DetailRecord, record: &TransitionRecord) -> Counters {
    // The peer's FIN takes a sequence number and is counted as a received byte (tcp_fin is called
    // with rcv_nxt behind it, 5.10 to 7.2).
    let fin = u64::from(record.sk_flags & SOCK_DONE != 0);
    Counters {
        tx_bytes: detail.tx_bytes,
        rx_bytes: detail.rx_bytes.saturating_sub(fin),
        retransmits: detail.retransmits,
        srtt_us: known(detail.srtt_us8 >> 3),
    }
}

fn hook(record: &HookRecord) -> Option<Hook> {
    let kind = match record.kind {
        KIND_DESTROYED => HookKind::Destroyed,
        KIND_RESET_RECEIVED => HookKind::ResetReceived,
        KIND_RESET_SENT => HookKind::ResetSent,
        _ => return None,
    };
    Some(Hook {
        at: Timestamp(record.boot_ns),
        skaddr: record.skaddr,
        cookie: known(record.cookie),
        kind,
    })
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
    let (laddr, raddr, v4mapped) = match family {
        AF_INET => {
            let address = |&[a, b, c, d, ..]: &[u8; 16]| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
            (address(local.0), address(remote.0), false)
        }
        AF_INET6 => {
            let (laddr, raddr) = (Ipv6Addr::from(*local.0), Ipv6Addr::from(*remote.0));
            let v4mapped = [laddr, raddr].iter().any(|addr| addr.to_ipv4_mapped().is_some());
            (laddr.to_canonical(), raddr.to_canonical(), v4mapped)
        }
        _ => return None,
    };
    Some(Tuple {
        local: Endpoint {
            addr: (listens || !laddr.is_unspecified()).then_some(laddr),
            port: known(local.1),
        },
        remote: Endpoint {
            addr: (!raddr.is_unspecified()).then_some(raddr),
            port: known(remote.1),
        },
        v4mapped,
        ipv6: family == AF_INET6,
    })
}

/// 0 means unknown in a record.
fn known<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::{
        AF_INET, AF_INET6, DetailRecord, Event, FLAG_CLASSIC, KIND_DETAIL, KIND_TRANSITION,
        TransitionRecord, event, orphan_lifetime, tuple,
    };

    const JIFFY_NS: u64 = 4_000_000;

    fn record() -> TransitionRecord {
        TransitionRecord {
            kind: KIND_TRANSITION,
            old: 1,
            new: 8,
            family: AF_INET,
            laddr: [10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
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
        assert_eq!(event(&bytemuck::bytes_of(&good)[..79], JIFFY_NS), None);
        for bad in [
            TransitionRecord { kind: 77, ..good },
            TransitionRecord { kind: KIND_DETAIL, ..good },
            TransitionRecord { old: 0, ..good },
            TransitionRecord { new: 13, ..good },
            TransitionRecord { family: 1, ..good },
        ] {
            assert_eq!(event(bytemuck::bytes_of(&bad), JIFFY_NS), None, "{bad:?}");
        }
    }

    #[test]
    fn the_fin_of_the_peer_is_no_payload() {
        let mut detail = DetailRecord {
            transition: TransitionRecord { kind: KIND_DETAIL, detail: 2, sk_flags: 2, ..record() },
            rx_bytes: 101,
            ..DetailRecord::zeroed()
        };
        let rx = |detail: &DetailRecord| match event(bytemuck::bytes_of(detail), JIFFY_NS) {
            Some(Event::Transition(transition)) => transition.counters.map(|c| c.rx_bytes),
            _ => None,
        };
        assert_eq!(rx(&detail), Some(100));
        detail.transition.sk_flags = 0;
        assert_eq!(rx(&detail), Some(101));
        detail.transition.detail = 0;
        assert_eq!(rx(&detail), None);
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
