//! What the iterators wrote: existing sockets, and who holds them.

use std::{borrow::Cow, time::Duration};

use tcptrace_common::{
    record::{
        FLAG_KERNEL, FLAG_USEC, OwnerRecord, SHAPE_FULL, SHAPE_MINISOCK, SHAPE_REQUEST,
        SocketRecord, TIMER_KEEPALIVE, TIMER_NONE, TIMER_PROBE, TIMER_RETRANSMIT, TIMER_TIMEWAIT,
    },
    tcp_state::TcpState,
};

use super::{known, read, tuple};
use crate::{
    event::{Comm, Holder, Process, Shape, Socket, Timer, TimerKind},
    time::Timestamp,
};

/// Decodes one socket of `iter/tcp`; `jiffy_ns` is the length of a jiffy.
#[must_use]
pub fn socket(bytes: &[u8], jiffy_ns: u64) -> Option<Socket> {
    let record: Cow<'_, SocketRecord> = read(bytes)?;
    let state = TcpState::from_number(record.state)?;
    let shape = match record.shape {
        SHAPE_FULL => Shape::Full,
        SHAPE_MINISOCK => Shape::Minisock,
        SHAPE_REQUEST => Shape::Request,
        _ => return None,
    };
    let at = Timestamp(record.boot_ns);
    Some(Socket {
        at,
        skaddr: known(record.skaddr),
        cookie: known(record.cookie),
        state,
        shape,
        tuple: tuple(
            record.family,
            (&record.laddr, record.lport),
            (&record.raddr, record.rport),
            state == TcpState::Listen,
        )?,
        netns: record.netns,
        inode: known(record.inode),
        kernel: (shape == Shape::Full).then_some(record.flags & FLAG_KERNEL != 0),
        recv_q: record.recv_q,
        send_q: record.send_q,
        timer: timer(&record, at, jiffy_ns),
        last_ack: stamp(record.last_ack, &record, jiffy_ns),
        last_data: stamp(record.last_data, &record, jiffy_ns),
        last_sent: stamp(record.last_sent, &record, jiffy_ns),
        waiting: waiting(&record, at, jiffy_ns),
        cgroup: known(record.cgroup),
    })
}

/// See [`Socket::waiting`]. Where a stamp is coarse, the latest moment that it can mean.
fn waiting(record: &SocketRecord, at: Timestamp, jiffy_ns: u64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "the stamp has the low 32 bits only")]
    let wrapping = |unit_ns: u64| {
        let now = (record.mono_ns / unit_ns) as u32;
        passed(now, record.waiting as u32).saturating_mul(unit_ns)
    };
    let stamped = known(record.waiting)?;
    let passed_ns = if record.shape == SHAPE_MINISOCK {
        // Of the second in which the stamp was taken nobody knows how much had passed.
        record.mono_ns.checked_sub(stamped.checked_add(1)?.checked_mul(1_000_000_000)?)?
    } else if record.shape == SHAPE_REQUEST || record.state == TcpState::Close.number() {
        record.mono_ns.checked_sub(stamped.checked_mul(1_000)?)?
    } else if record.timer == TIMER_PROBE {
        return stamp(u32::try_from(stamped).ok()?, record, jiffy_ns);
    } else if record.state != TcpState::SynSent.number() && record.retransmits == 0 {
        // Left over from an earlier loss: nothing is being sent again.
        return None;
    } else if record.flags & FLAG_USEC != 0 {
        wrapping(1_000)
    } else {
        wrapping(1_000_000)
    };
    Some(at - Duration::from_nanos(passed_ns))
}

fn timer(record: &SocketRecord, at: Timestamp, jiffy_ns: u64) -> Option<Timer> {
    let kind = match record.timer {
        TIMER_NONE => TimerKind::Off,
        TIMER_RETRANSMIT => TimerKind::Retransmit,
        TIMER_KEEPALIVE => TimerKind::Keepalive,
        TIMER_TIMEWAIT => TimerKind::Timewait,
        TIMER_PROBE => TimerKind::Probe,
        _ => return None,
    };
    let expires = match record.expires.checked_sub(record.jiffies) {
        Some(left) => at + Duration::from_nanos(left.saturating_mul(jiffy_ns)),
        None => {
            at - Duration::from_nanos((record.jiffies - record.expires).saturating_mul(jiffy_ns))
        }
    };
    Some(Timer { kind, expires, retransmits: record.retransmits })
}

/// From one reading of a clock of 32 bits to a later one. A stamp may be taken after the clock was
/// read, where the iterator does not hold the socket's lock, and is no older than that.
fn passed(now: u32, stamp: u32) -> u64 {
    let passed = now.wrapping_sub(stamp);
    if passed > u32::MAX / 2 { 0 } else { passed.into() }
}

/// The latest moment at which a stamp of the low 32 bits of jiffies can have been taken, so that
/// the time since then is a lower bound: a jiffy may have been nearly over.
fn stamp(jiffies: u32, record: &SocketRecord, jiffy_ns: u64) -> Option<Timestamp> {
    let jiffies = known(jiffies)?;
    #[expect(clippy::cast_possible_truncation, reason = "the stamp has the low 32 bits only")]
    let passed = passed(record.jiffies as u32, jiffies).saturating_sub(1);
    Some(Timestamp(record.boot_ns) - Duration::from_nanos(passed.saturating_mul(jiffy_ns)))
}

/// Takes the next descriptor out of the bytes of `iter/task_file`, with its socket where that follows;
/// `None` at the end, or where the bytes end in the middle.
#[must_use]
pub fn next_holder(bytes: &mut &[u8], jiffy_ns: u64) -> Option<(Option<Holder>, Option<Socket>)> {
    let record: Cow<'_, OwnerRecord> = read(bytes.split_off(..size_of::<OwnerRecord>())?)?;
    let mut over = None;
    if record.socket_follows != 0 {
        over = socket(bytes.split_off(..size_of::<SocketRecord>())?, jiffy_ns);
    }
    let holder = known(record.inode).map(|inode| Holder {
        skaddr: known(record.skaddr),
        cookie: known(record.cookie),
        inode,
        process: Process { pid: record.pid, comm: Comm(record.comm) },
        fd: record.fd,
    });
    Some((holder, over))
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::{
        FLAG_USEC, OwnerRecord, SHAPE_MINISOCK, SHAPE_REQUEST, SocketRecord, TIMER_RETRANSMIT,
        Timestamp, next_holder, socket,
    };
    use crate::event::TimerKind;

    const AF_INET: u8 = 2;
    const JIFFY_NS: u64 = 4_000_000;
    const SECOND: u64 = 1_000_000_000;
    /// When the boot-time clock of the records stood at 1000 s, the monotonic one stood here.
    const MONO: u64 = 900 * SECOND;

    fn record(state: u8) -> SocketRecord {
        SocketRecord {
            state,
            family: AF_INET,
            boot_ns: 1000 * SECOND,
            mono_ns: MONO,
            jiffies: 500_000,
            ..SocketRecord::zeroed()
        }
    }

    /// How long ago a socket began to wait, in ms.
    fn waited(record: SocketRecord) -> Option<u64> {
        let waiting = socket(bytemuck::bytes_of(&record), JIFFY_NS).expect("valid").waiting?;
        Some((1000 * SECOND - waiting.0) / 1_000_000)
    }

    #[test]
    fn the_stamp_of_a_waiting_socket_is_read_by_its_state() {
        let syn_sent = SocketRecord { timer: TIMER_RETRANSMIT, waiting: 897_500, ..record(2) };
        assert_eq!(waited(syn_sent), Some(2_500));
        let in_us =
            |us: u64| SocketRecord { flags: FLAG_USEC, waiting: us & 0xffff_ffff, ..syn_sent };
        assert_eq!(waited(in_us(897_500_000)), Some(2_500));
        let closed = SocketRecord { waiting: 899_000_000, ..record(7) };
        assert_eq!(waited(closed), Some(1_000));
        // In the second that began three seconds ago.
        let orphan = SocketRecord { shape: SHAPE_MINISOCK, waiting: 897, ..record(5) };
        assert_eq!(waited(orphan), Some(2_000));
        assert_eq!(waited(SocketRecord { waiting: 899, ..orphan }), Some(0));
        assert_eq!(waited(SocketRecord { waiting: 900, ..orphan }), None);
        assert_eq!(waited(SocketRecord { waiting: 0, ..orphan }), None);
    }

    #[test]
    fn a_half_open_request_is_as_old_as_its_first_syn_ack_whatever_its_timer_says() {
        let request = SocketRecord {
            shape: SHAPE_REQUEST,
            timer: TIMER_RETRANSMIT,
            retransmits: 5,
            expires: 500_000 + 250,
            waiting: 892_000_000,
            ..record(3)
        };
        assert_eq!(waited(request), Some(8_000));
        assert_eq!(waited(SocketRecord { waiting: 0, ..request }), None);
        assert_eq!(waited(SocketRecord { waiting: 900_000_001, ..request }), None);
    }

    #[test]
    fn descriptors_come_with_the_sockets_that_only_they_keep() {
        let owner = |inode, socket_follows| OwnerRecord {
            pid: 7,
            fd: 3,
            inode,
            socket_follows,
            ..OwnerRecord::zeroed()
        };
        let mut bytes = bytemuck::bytes_of(&owner(50, 0)).to_vec();
        bytes.extend(bytemuck::bytes_of(&owner(51, 1)));
        bytes.extend(bytemuck::bytes_of(&record(7)));
        bytes.extend(bytemuck::bytes_of(&owner(0, 0)));
        let whole = bytes.clone();
        let mut rest = whole.as_slice();
        let mut next = || {
            let (holder, socket) = next_holder(&mut rest, JIFFY_NS)?;
            Some((holder.map(|holder| holder.inode), socket.is_some()))
        };
        assert_eq!(next(), Some((Some(50), false)));
        assert_eq!(next(), Some((Some(51), true)));
        assert_eq!(next(), Some((None, false)));
        assert_eq!(next(), None);
        // Cut anywhere, it gives what is whole and ends.
        for length in 0..whole.len() {
            let mut rest = &whole[..length];
            while next_holder(&mut rest, JIFFY_NS).is_some() {}
        }
    }

    #[test]
    fn strange_timers_are_unknown() {
        let timer = |timer| {
            let record = SocketRecord { timer, ..record(1) };
            socket(bytemuck::bytes_of(&record), JIFFY_NS).expect("valid").timer
        };
        assert_eq!(timer(77), None);
        assert_eq!(timer(0).map(|timer| timer.kind), Some(TimerKind::Off));
    }

    #[test]
    fn stamps_survive_the_wrap_of_jiffies_and_stay_lower_bounds() {
        let record = SocketRecord {
            state: 1,
            family: AF_INET,
            boot_ns: 1_000_000_000,
            jiffies: 0x1_0000_0005,
            last_ack: u32::MAX - 4,
            ..SocketRecord::zeroed()
        };
        let socket = socket(bytemuck::bytes_of(&record), JIFFY_NS).expect("valid");
        assert_eq!(socket.last_ack, Some(Timestamp(1_000_000_000 - 9 * 4_000_000)));
        assert_eq!(socket.last_data, None);
    }
}
