//! Events to rows and back.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tcptrace_common::tcp_state::TcpState;

use super::{
    schema::{Block, Place},
    turn::BLOCK,
};
use crate::{
    event::{
        Comm, Counters, DumpEnd, Endpoint, Event, Fork, Holder, Hook, HookKind, Lost, LostWhy,
        Process, ProcessDetails, Shape, Socket, SocketFields, Sysctl, Sysctls, Timer, TimerKind,
        Transition, Tuple,
    },
    time::{ClockSample, Timestamp, nanoseconds},
};

// Places in `schema::Kinds`.
const TRANSITION: i8 = 0;
const HOOK: i8 = 1;
const SOCKET: i8 = 2;
const DUMP_END: i8 = 3;
const OWNER: i8 = 4;
const FORK: i8 = 5;
const PROCESS: i8 = 6;
const SYSCTLS: i8 = 7;
const SNAPSHOT_END: i8 = 8;
const LOST: i8 = 9;
const CLOCK: i8 = 10;
const TICK: i8 = 11;

const HOOKS: [HookKind; 3] = [HookKind::Destroyed, HookKind::ResetReceived, HookKind::ResetSent];
const SHAPES: [Shape; 3] = [Shape::Full, Shape::Minisock, Shape::Request];
const TIMERS: [TimerKind; 5] = [
    TimerKind::Off,
    TimerKind::Retransmit,
    TimerKind::Keepalive,
    TimerKind::Timewait,
    TimerKind::Probe,
];
const LOSSES: [LostWhy; 4] =
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

/// The value of a cell.
macro_rules! get {
    ($block:expr, $row:expr, $name:ident) => {
        ($block.known[$row % BLOCK] & (1 << Place::$name as u32) != 0)
            .then_some($block.$name[$row % BLOCK])
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
                set!(self, row, hook = place(&HOOKS, hook.kind));
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
            TRANSITION => Event::Transition(self.transition(row)?),
            HOOK => Event::Hook(Hook {
                at: at()?,
                skaddr: get!(self, row, skaddr)?,
                cookie: get!(self, row, cookie),
                kind: at_place(&HOOKS, get!(self, row, hook)?)?,
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

    fn transition(&self, row: usize) -> Option<Transition> {
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
        Some(Transition {
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
        })
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

fn state(place: i8) -> Option<TcpState> {
    TcpState::from_number(u8::try_from(place).ok()? + 1)
}

/// Every value is in its list, which a test sees to.
fn place<T: Copy + PartialEq>(list: &[T], value: T) -> i8 {
    let place = list.iter().position(|known| *known == value);
    place.and_then(|place| i8::try_from(place).ok()).unwrap_or(i8::MAX)
}

fn at_place<T: Copy>(list: &[T], place: i8) -> Option<T> {
    list.get(usize::try_from(place).ok()?).copied()
}
