//! Events to rows.

use std::{borrow::Cow, net::IpAddr};

use tcptrace_common::tcp_state::TcpState;

use super::{
    schema::{Block, Place},
    turn::BLOCK,
};
use crate::{
    event::{
        Event, Fork, HookKind, Lost, LostWhy, Process, ProcessDetails, Shape, Socket, TimerKind,
        Transition, Tuple,
    },
    time::{Timestamp, nanoseconds},
};

// Places in `schema::Kinds`.
pub(super) const TRANSITION: i8 = 0;
pub(super) const HOOK: i8 = 1;
pub(super) const SOCKET: i8 = 2;
pub(super) const DUMP_END: i8 = 3;
pub(super) const OWNER: i8 = 4;
pub(super) const FORK: i8 = 5;
pub(super) const PROCESS: i8 = 6;
pub(super) const SYSCTLS: i8 = 7;
pub(super) const SNAPSHOT_END: i8 = 8;
pub(super) const LOST: i8 = 9;
pub(super) const CLOCK: i8 = 10;
pub(super) const TICK: i8 = 11;

// Places in `schema::Hooks`.
pub(super) const DESTROYED: i8 = 0;
pub(super) const RESET_RECEIVED: i8 = 1;
pub(super) const RESET_SENT: i8 = 2;
pub(super) const ACCEPTED: i8 = 3;
pub(super) const TIME_WAIT_MADE: i8 = 4;
pub(super) const ORPHAN_MADE: i8 = 5;
pub(super) const NO_MINISOCK: i8 = 6;
pub(super) const MINISOCK_GOT_FIN: i8 = 7;
pub(super) const MINISOCK_RESET: i8 = 8;
pub(super) const MINISOCK_ENDED: i8 = 9;

pub(super) const SHAPES: [Shape; 3] = [Shape::Full, Shape::Minisock, Shape::Request];
pub(super) const TIMERS: [TimerKind; 5] = [
    TimerKind::Off,
    TimerKind::Retransmit,
    TimerKind::Keepalive,
    TimerKind::Timewait,
    TimerKind::Probe,
];
pub(super) const LOSSES: [LostWhy; 4] =
    [LostWhy::RingFull, LostWhy::Recursion, LostWhy::Undecodable, LostWhy::RecorderBehind];

/// Gives a cell its value.
macro_rules! set {
    ($block:expr, $row:expr, $($name:ident = $value:expr),+ $(,)?) => {
        // The compiler sees that this is a row of the block.
        $($block.$name[$row % BLOCK] = $value;)+
        $block.known[$row % BLOCK] |= $(1 << Place::$name as u32)|+;
    };
}

/// Gives a cell its value, if that is known.
macro_rules! set_known {
    ($block:expr, $row:expr, $($name:ident = $value:expr),+ $(,)?) => {
        $(if let Some(value) = $value {
            set!($block, $row, $name = value);
        })+
    };
}

impl Block {
    /// Makes a row of `event`, but for its texts.
    pub(super) fn write(&mut self, row: usize, event: &Event) {
        self.known[row % BLOCK] = 0;
        match event {
            Event::Transition(transition) => self.write_transition(row, transition),
            Event::Hook(hook) => {
                set!(self, row, kind = HOOK, boot_ns = hook.at.0, skaddr = hook.skaddr);
                set!(self, row, hook = self.write_seen(row, &hook.kind));
                set_known!(self, row, cookie = hook.cookie);
            }
            Event::Socket(socket) => self.write_socket(row, socket),
            Event::DumpEnd(end) => {
                set!(self, row, kind = DUMP_END, boot_ns = end.started.0);
            }
            Event::Holder(holder) => {
                set!(self, row, kind = OWNER, inode = holder.inode, fd = holder.fd);
                set_known!(self, row, skaddr = holder.skaddr, cookie = holder.cookie);
                self.write_process(row, &holder.process);
            }
            Event::Fork(Fork { at, parent, child }) => {
                set!(self, row, kind = FORK, boot_ns = at.0, pid = *parent, child = *child);
            }
            Event::Process(details) => {
                set!(self, row, kind = PROCESS, pid = details.pid);
            }
            Event::Sysctls(sysctls) => {
                set!(self, row, kind = SYSCTLS, netns = sysctls.netns);
            }
            Event::Tick(at) => {
                set!(self, row, kind = TICK, boot_ns = at.0);
            }
            Event::SnapshotEnd(at) => {
                set!(self, row, kind = SNAPSHOT_END, boot_ns = at.0);
            }
            Event::Lost(Lost { at, count, why }) => {
                set!(
                    self,
                    row,
                    kind = LOST,
                    boot_ns = at.0,
                    count = *count,
                    why = place(&LOSSES, *why)
                );
            }
            Event::Clock(sample) => {
                set!(self, row, kind = CLOCK, boot_ns = sample.boot.0, wall_ns = sample.wall_ns);
            }
        }
    }

    fn write_transition(&mut self, row: usize, transition: &Transition) {
        set!(
            self,
            row,
            kind = TRANSITION,
            boot_ns = transition.at.0,
            skaddr = transition.skaddr,
            from = state_place(transition.from),
            to = state_place(transition.to),
        );
        self.write_tuple(row, &transition.tuple);
        if let Some(fields) = &transition.socket {
            set!(
                self,
                row,
                owned = fields.owned,
                dead = fields.dead,
                done = fields.done,
                err = fields.err,
                shutdown = fields.shutdown,
                kernel = fields.kernel,
                repair = fields.repair,
            );
            set_known!(self, row, inode = fields.inode);
        }
        if let Some(process) = &transition.on_cpu {
            self.write_process(row, process);
        }
        if let Some(counters) = &transition.counters {
            set!(
                self,
                row,
                tx_bytes = counters.tx_bytes,
                rx_bytes = counters.rx_bytes,
                retransmits = counters.retransmits,
            );
            set_known!(self, row, srtt_us = counters.srtt_us);
        }
        set_known!(
            self,
            row,
            cookie = transition.cookie,
            netns = transition.netns,
            cgroup_id = transition.cgroup,
            orphan_lifetime_ns = transition.orphan_lifetime.map(nanoseconds),
        );
    }

    /// What a hook saw: what there is to say of it, and its place in the list.
    fn write_seen(&mut self, row: usize, kind: &HookKind) -> i8 {
        let (place, ends) = match kind {
            HookKind::Destroyed => return DESTROYED,
            HookKind::ResetReceived => return RESET_RECEIVED,
            HookKind::ResetSent => return RESET_SENT,
            HookKind::Accepted(process) => {
                self.write_process(row, process);
                return ACCEPTED;
            }
            HookKind::TimeWaitMade => return TIME_WAIT_MADE,
            HookKind::OrphanMade => return ORPHAN_MADE,
            HookKind::NoMinisock => return NO_MINISOCK,
            HookKind::MinisockGotFin(ends) => (MINISOCK_GOT_FIN, ends),
            HookKind::MinisockReset(ends) => (MINISOCK_RESET, ends),
            HookKind::MinisockEnded(ends) => (MINISOCK_ENDED, ends),
        };
        set!(self, row, netns = ends.netns);
        self.write_tuple(row, &ends.tuple);
        place
    }

    fn write_socket(&mut self, row: usize, socket: &Socket) {
        let ns = |stamp: Option<Timestamp>| stamp.map(|stamp| stamp.0);
        set!(
            self,
            row,
            kind = SOCKET,
            boot_ns = socket.at.0,
            to = state_place(socket.state),
            shape = place(&SHAPES, socket.shape),
            netns = socket.netns,
            recv_q = socket.recv_q,
            send_q = socket.send_q,
        );
        self.write_tuple(row, &socket.tuple);
        if let Some(timer) = &socket.timer {
            set!(
                self,
                row,
                timer = place(&TIMERS, timer.kind),
                timer_expires_ns = timer.expires.0,
                retransmits = timer.retransmits.into(),
            );
        }
        set_known!(
            self,
            row,
            skaddr = socket.skaddr,
            cookie = socket.cookie,
            inode = socket.inode,
            kernel = socket.kernel,
            last_ack_ns = ns(socket.last_ack),
            last_data_ns = ns(socket.last_data),
            last_sent_ns = ns(socket.last_sent),
            waiting_ns = ns(socket.waiting),
            cgroup_id = socket.cgroup,
        );
    }

    fn write_process(&mut self, row: usize, process: &Process) {
        set!(self, row, pid = process.pid, comm = process.comm.0);
    }

    fn write_tuple(&mut self, row: usize, tuple: &Tuple) {
        set!(self, row, ipv6 = tuple.ipv6, v4mapped = tuple.v4mapped);
        set_known!(
            self,
            row,
            laddr = tuple.local.addr.map(sixteen),
            raddr = tuple.remote.addr.map(sixteen),
            lport = tuple.local.port,
            rport = tuple.remote.port,
        );
    }
}

/// What an event has to say at length: the text, and the path of its cgroup.
#[inline]
pub(super) fn texts(event: &Event) -> (Option<Cow<'_, [u8]>>, Option<&[u8]>) {
    match event {
        Event::DumpEnd(end) => {
            let netns: Vec<String> = end.netns.iter().map(u32::to_string).collect();
            (Some(netns.join(",").into_bytes().into()), None)
        }
        Event::Process(ProcessDetails { cmdline, cgroup, .. }) => {
            (cmdline.as_deref().map(Cow::Borrowed), cgroup.as_deref().map(str::as_bytes))
        }
        Event::Sysctls(sysctls) => {
            let lines = sysctls.iter().map(|(sysctl, text)| format!("{}={text}", sysctl.name()));
            (Some(lines.collect::<Vec<_>>().join("\n").into_bytes().into()), None)
        }
        _ => (None, None),
    }
}

/// IPv4 as v4-mapped IPv6, so that all addresses are alike.
fn sixteen(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

fn state_place(state: TcpState) -> i8 {
    // The numbers go from 1 to 12.
    state.number().cast_signed() - 1
}

/// Every value is in its list, which a test sees to.
fn place<T: Copy + PartialEq>(list: &[T], value: T) -> i8 {
    let place = list.iter().position(|known| *known == value);
    place.and_then(|place| i8::try_from(place).ok()).unwrap_or(i8::MAX)
}
