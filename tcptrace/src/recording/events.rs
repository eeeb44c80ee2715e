//! Rows to events.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tcptrace_common::tcp_state::TcpState;

use super::{
    rows::{
        self, CLOCK, DUMP_END, FORK, HOOK, LOSSES, LOST, OWNER, PROCESS, SHAPES, SNAPSHOT_END,
        SOCKET, SYSCTLS, TICK, TIMERS, TRANSITION,
    },
    schema::{Block, Place},
    turn::BLOCK,
};
use crate::{
    event::{
        Comm, Counters, DumpEnd, Endpoint, Ends, Event, Fork, Holder, Hook, HookKind, Lost,
        Process, ProcessDetails, Socket, SocketFields, Sysctl, Sysctls, Timer, Transition, Tuple,
    },
    time::{ClockSample, Timestamp},
};

/// The value of a cell.
macro_rules! get {
    ($block:expr, $row:expr, $name:ident) => {
        ($block.known[$row % BLOCK] & (1 << Place::$name as u32) != 0)
            .then_some($block.$name[$row % BLOCK])
    };
}

impl Block {
    /// The event of a row, which may have texts; `None` if it is of a kind that this version does not
    /// know, or has not what its kind must have.
    pub(super) fn event(
        &self,
        row: usize,
        text: Option<&[u8]>,
        cgroup: Option<&[u8]>,
    ) -> Option<Event> {
        let at = || get!(self, row, boot_ns).map(Timestamp);
        Some(match get!(self, row, kind)? {
            TRANSITION => return self.transition(row),
            HOOK => Event::Hook(Hook {
                at: at()?,
                skaddr: get!(self, row, skaddr)?,
                cookie: get!(self, row, cookie),
                kind: self.seen(row)?,
            }),
            SOCKET => Event::Socket(self.socket(row)?),
            DUMP_END => Event::DumpEnd(DumpEnd { started: at()?, netns: covered(text?)? }),
            OWNER => Event::Holder(Holder {
                skaddr: get!(self, row, skaddr),
                cookie: get!(self, row, cookie),
                inode: get!(self, row, inode)?,
                process: self.process(row)?,
                fd: get!(self, row, fd)?,
            }),
            FORK => Event::Fork(Fork {
                at: at()?,
                parent: get!(self, row, pid)?,
                child: get!(self, row, child)?,
            }),
            PROCESS => Event::Process(ProcessDetails {
                pid: get!(self, row, pid)?,
                cmdline: text.map(<[u8]>::to_vec),
                cgroup: cgroup.map(|path| String::from_utf8_lossy(path).into_owned()),
            }),
            SYSCTLS => Event::Sysctls(sysctls(get!(self, row, netns)?, text?)?),
            TICK => Event::Tick(at()?),
            SNAPSHOT_END => Event::SnapshotEnd(at()?),
            LOST => Event::Lost(Lost {
                at: at()?,
                count: get!(self, row, count)?,
                why: at_place(&LOSSES, get!(self, row, why)?)?,
            }),
            CLOCK => Event::Clock(ClockSample { boot: at()?, wall_ns: get!(self, row, wall_ns)? }),
            _ => return None,
        })
    }

    /// What a hook saw.
    fn seen(&self, row: usize) -> Option<HookKind> {
        let ends = || get!(self, row, netns).map(|netns| Ends { netns, tuple: self.tuple(row) });
        Some(match get!(self, row, hook)? {
            rows::DESTROYED => HookKind::Destroyed,
            rows::RESET_RECEIVED => HookKind::ResetReceived,
            rows::RESET_SENT => HookKind::ResetSent,
            rows::ACCEPTED => HookKind::Accepted(self.process(row)?),
            rows::TIME_WAIT_MADE => HookKind::TimeWaitMade,
            rows::ORPHAN_MADE => HookKind::OrphanMade,
            rows::NO_MINISOCK => HookKind::NoMinisock,
            rows::MINISOCK_GOT_FIN => HookKind::MinisockGotFin(ends()?),
            rows::MINISOCK_RESET => HookKind::MinisockReset(ends()?),
            rows::MINISOCK_ENDED => HookKind::MinisockEnded(ends()?),
            _ => return None,
        })
    }

    fn transition(&self, row: usize) -> Option<Event> {
        let fields = get!(self, row, owned).map(|owned| SocketFields {
            owned,
            dead: get!(self, row, dead).unwrap_or_default(),
            done: get!(self, row, done).unwrap_or_default(),
            err: get!(self, row, err).unwrap_or_default(),
            shutdown: get!(self, row, shutdown).unwrap_or_default(),
            kernel: get!(self, row, kernel).unwrap_or_default(),
            repair: get!(self, row, repair).unwrap_or_default(),
            inode: get!(self, row, inode),
        });
        let counters = get!(self, row, tx_bytes).map(|tx_bytes| Counters {
            tx_bytes,
            rx_bytes: get!(self, row, rx_bytes).unwrap_or_default(),
            retransmits: get!(self, row, retransmits).unwrap_or_default(),
            srtt_us: get!(self, row, srtt_us),
        });
        // Made where it stays: an event is large.
        Some(Event::Transition(Transition {
            at: Timestamp(get!(self, row, boot_ns)?),
            skaddr: get!(self, row, skaddr)?,
            cookie: get!(self, row, cookie),
            from: state(get!(self, row, from)?)?,
            to: state(get!(self, row, to)?)?,
            tuple: self.tuple(row),
            netns: get!(self, row, netns),
            socket: fields,
            on_cpu: self.process(row),
            counters,
            cgroup: get!(self, row, cgroup_id),
            orphan_lifetime: get!(self, row, orphan_lifetime_ns).map(Duration::from_nanos),
        }))
    }

    fn socket(&self, row: usize) -> Option<Socket> {
        let timer = get!(self, row, timer).and_then(|kind| {
            Some(Timer {
                kind: at_place(&TIMERS, kind)?,
                expires: Timestamp(get!(self, row, timer_expires_ns)?),
                retransmits: u8::try_from(get!(self, row, retransmits)?).ok()?,
            })
        });
        Some(Socket {
            at: Timestamp(get!(self, row, boot_ns)?),
            skaddr: get!(self, row, skaddr),
            cookie: get!(self, row, cookie),
            state: state(get!(self, row, to)?)?,
            shape: at_place(&SHAPES, get!(self, row, shape)?)?,
            tuple: self.tuple(row),
            netns: get!(self, row, netns)?,
            inode: get!(self, row, inode),
            kernel: get!(self, row, kernel),
            recv_q: get!(self, row, recv_q)?,
            send_q: get!(self, row, send_q)?,
            timer,
            last_ack: get!(self, row, last_ack_ns).map(Timestamp),
            last_data: get!(self, row, last_data_ns).map(Timestamp),
            last_sent: get!(self, row, last_sent_ns).map(Timestamp),
            waiting: get!(self, row, waiting_ns).map(Timestamp),
            cgroup: get!(self, row, cgroup_id),
        })
    }

    fn process(&self, row: usize) -> Option<Process> {
        Some(Process { pid: get!(self, row, pid)?, comm: Comm(get!(self, row, comm)?) })
    }

    fn tuple(&self, row: usize) -> Tuple {
        let end = |addr: Option<[u8; 16]>, port| {
            let addr = addr.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical());
            Endpoint { addr, port }
        };
        Tuple {
            local: end(get!(self, row, laddr), get!(self, row, lport)),
            remote: end(get!(self, row, raddr), get!(self, row, rport)),
            v4mapped: get!(self, row, v4mapped).unwrap_or_default(),
            ipv6: get!(self, row, ipv6).unwrap_or_default(),
        }
    }
}

fn sysctls(netns: u32, text: &[u8]) -> Option<Sysctls> {
    let values = str::from_utf8(text).ok()?.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((Sysctl::from_name(name)?, value.to_owned()))
    });
    Some(Sysctls::new(netns, values))
}

fn covered(text: &[u8]) -> Option<Vec<u32>> {
    let text = str::from_utf8(text).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|inode| inode.parse().ok()).collect()
}

fn state(place: i8) -> Option<TcpState> {
    TcpState::from_number(u8::try_from(place).ok()? + 1)
}

fn at_place<T: Copy>(list: &[T], place: i8) -> Option<T> {
    list.get(usize::try_from(place).ok()?).copied()
}
