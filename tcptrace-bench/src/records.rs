//! Events as the kernel programs hand them over.

use std::net::IpAddr;

use bytemuck::{Zeroable as _, bytes_of};
use tcptrace::event::{Event, Hook, HookKind, Transition};
use tcptrace_common::record::{
    CounterPart, FLAG_OWNED, HookRecord, KIND_DESTROYED, KIND_RESET_RECEIVED, KIND_RESET_SENT,
    KIND_TRANSITION, PART_ADDRESSES, PART_CGROUP, PART_COMM, PART_COUNTERS, SHUTDOWN_SHIFT,
    SOCK_DEAD, SOCK_DONE, TransitionRecord,
};

/// The length of a jiffy in nanoseconds, at 250 a second.
pub const JIFFY_NS: u64 = 4_000_000;

/// The record of an event; `None` if no program tells of such.
#[must_use]
pub fn record(event: &Event) -> Option<Vec<u8>> {
    match event {
        Event::Transition(transition) => Some(transition_record(transition)),
        Event::Hook(hook) => Some(bytes_of(&hook_record(hook)).to_vec()),
        _ => None,
    }
}

fn transition_record(event: &Transition) -> Vec<u8> {
    let fields = event.socket.unwrap_or_default();
    let (local, remote) = (event.tuple.local, event.tuple.remote);
    let task = event.on_cpu;
    let bits = [
        (event.tuple.ipv6, PART_ADDRESSES),
        (task.is_some(), PART_COMM),
        (event.cgroup.is_some(), PART_CGROUP),
        (event.counters.is_some(), PART_COUNTERS),
    ];
    let record = TransitionRecord {
        kind: KIND_TRANSITION,
        old: event.from as u8,
        new: event.to as u8,
        flags: if fields.owned { FLAG_OWNED } else { 0 } | fields.shutdown << SHUTDOWN_SHIFT,
        parts: bits.iter().filter(|(is_there, _)| *is_there).fold(0, |all, (_, bit)| all | bit),
        sk_flags: if fields.dead { SOCK_DEAD } else { 0 } | if fields.done { SOCK_DONE } else { 0 },
        sk_err: fields.err,
        boot_ns: event.at.0,
        skaddr: event.skaddr,
        cookie: event.cookie.unwrap_or(0),
        netns: event.netns.unwrap_or(0),
        inode: fields.inode.unwrap_or(0),
        lport: local.port.unwrap_or(0),
        rport: remote.port.unwrap_or(0),
        laddr: v4(local.addr),
        raddr: v4(remote.addr),
        pid: task.map_or(0, |process| process.pid),
    };
    let mut bytes = bytes_of(&record).to_vec();
    if event.tuple.ipv6 {
        bytes.extend([v6(local.addr), v6(remote.addr)].concat());
    }
    bytes.extend(task.iter().flat_map(|process| process.comm.0));
    bytes.extend(event.cgroup.iter().flat_map(|cgroup| cgroup.to_ne_bytes()));
    if let Some(counters) = event.counters {
        let lifetime = event.orphan_lifetime.unwrap_or_default();
        bytes.extend(bytes_of(&CounterPart {
            tx_bytes: counters.tx_bytes,
            // The peer's FIN is counted as a byte.
            rx_bytes: counters.rx_bytes + u64::from(fields.done),
            retransmits: counters.retransmits,
            srtt_us8: counters.srtt_us.unwrap_or(0) << 3,
            fin_time: (lifetime.as_nanos() as u64 / JIFFY_NS) as u32,
            reserved: 0,
        }));
    }
    bytes
}

fn hook_record(hook: &Hook) -> HookRecord {
    HookRecord {
        kind: match hook.kind {
            HookKind::Destroyed => KIND_DESTROYED,
            HookKind::ResetReceived => KIND_RESET_RECEIVED,
            HookKind::ResetSent => KIND_RESET_SENT,
            other => unreachable!("no traffic has {other:?}"),
        },
        boot_ns: hook.at.0,
        skaddr: hook.skaddr,
        cookie: hook.cookie.unwrap_or(0),
        ..HookRecord::zeroed()
    }
}

fn v4(address: Option<IpAddr>) -> [u8; 4] {
    match address {
        Some(IpAddr::V4(address)) => address.octets(),
        _ => [0; 4],
    }
}

fn v6(address: Option<IpAddr>) -> [u8; 16] {
    match address {
        Some(IpAddr::V6(address)) => address.octets(),
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
        None => [0; 16],
    }
}

#[cfg(test)]
mod tests {
    use tcptrace::kernel::decode;

    use super::*;
    use crate::traffic::Traffic;

    #[test]
    fn a_record_is_decoded_to_the_event_that_it_was_made_of() {
        let traffic = Traffic::new(10, 1);
        for number in 0..11 * 10 {
            let event = traffic.event(number, Traffic::time(number));
            let bytes = record(&event).unwrap();
            assert_eq!(decode::event(&bytes, JIFFY_NS), Some(event));
        }
    }
}
