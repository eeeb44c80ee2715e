//! Events as the kernel programs hand them over.

use std::net::IpAddr;

use bytemuck::{Zeroable as _, bytes_of};
use tcptrace::event::{Event, Hook, HookKind, Transition};
use tcptrace_common::record::{
    DETAIL_CGROUP, DETAIL_COUNTERS, DETAIL_TASK, DetailRecord, FLAG_OWNED, HookRecord,
    KIND_DESTROYED, KIND_DETAIL, KIND_RESET_RECEIVED, KIND_RESET_SENT, KIND_TRANSITION, SOCK_DEAD,
    SOCK_DONE, TransitionRecord,
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
    let plain = TransitionRecord {
        kind: KIND_TRANSITION,
        old: event.from as u8,
        new: event.to as u8,
        flags: if fields.owned { FLAG_OWNED } else { 0 },
        family: if event.tuple.ipv6 { 10 } else { 2 },
        sk_flags: if fields.dead { SOCK_DEAD } else { 0 } | if fields.done { SOCK_DONE } else { 0 },
        shutdown: fields.shutdown,
        boot_ns: event.at.0,
        skaddr: event.skaddr,
        cookie: event.cookie.unwrap_or(0),
        laddr: address(local.addr),
        raddr: address(remote.addr),
        netns: event.netns.unwrap_or(0),
        inode: fields.inode.unwrap_or(0),
        lport: local.port.unwrap_or(0),
        rport: remote.port.unwrap_or(0),
        sk_err: fields.err,
        ..TransitionRecord::zeroed()
    };
    let (task, counters) = (event.on_cpu, event.counters);
    let bits = [
        (task.is_some(), DETAIL_TASK),
        (counters.is_some(), DETAIL_COUNTERS),
        (event.cgroup.is_some(), DETAIL_CGROUP),
    ];
    let detail = bits.iter().filter(|(is_there, _)| *is_there).fold(0, |all, (_, bit)| all | bit);
    if detail == 0 {
        return bytes_of(&plain).to_vec();
    }
    let counters = counters.unwrap_or_default();
    let jiffies = event.orphan_lifetime.map_or(0, |lifetime| lifetime.as_nanos() as u64 / JIFFY_NS);
    let record = DetailRecord {
        transition: TransitionRecord { kind: KIND_DETAIL, detail, ..plain },
        pid: task.map_or(0, |process| process.pid),
        fin_time: jiffies as u32,
        comm: task.map_or([0; 16], |process| process.comm.0),
        cgroup: event.cgroup.unwrap_or(0),
        tx_bytes: counters.tx_bytes,
        // The peer's FIN is counted as a byte.
        rx_bytes: counters.rx_bytes + u64::from(fields.done),
        retransmits: counters.retransmits,
        srtt_us8: counters.srtt_us.unwrap_or(0) << 3,
    };
    bytes_of(&record).to_vec()
}

fn hook_record(hook: &Hook) -> HookRecord {
    HookRecord {
        kind: match hook.kind {
            HookKind::Destroyed => KIND_DESTROYED,
            HookKind::ResetReceived => KIND_RESET_RECEIVED,
            HookKind::ResetSent => KIND_RESET_SENT,
        },
        boot_ns: hook.at.0,
        skaddr: hook.skaddr,
        cookie: hook.cookie.unwrap_or(0),
        ..HookRecord::zeroed()
    }
}

fn address(address: Option<IpAddr>) -> [u8; 16] {
    let mut bytes = [0; 16];
    match address {
        Some(IpAddr::V4(address)) => bytes[..4].copy_from_slice(&address.octets()),
        Some(IpAddr::V6(address)) => bytes = address.octets(),
        None => {}
    }
    bytes
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
