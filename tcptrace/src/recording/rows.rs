//! Events to rows and back.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use arrow_array::{Array, BinaryArray, BooleanArray, FixedSizeBinaryArray};
use tcptrace_common::tcp_state::TcpState;

use super::{
    column::{NamesView, get},
    schema::{Columns, View},
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
const TRANSITION: usize = 0;
const HOOK: usize = 1;
const SOCKET: usize = 2;
const DUMP_END: usize = 3;
const OWNER: usize = 4;
const FORK: usize = 5;
const PROCESS: usize = 6;
const SYSCTLS: usize = 7;
const SNAPSHOT_END: usize = 8;
const LOST: usize = 9;
const CLOCK: usize = 10;
const TICK: usize = 11;

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

impl Columns {
    /// Writes `event` as this row, which must be the next one.
    pub(super) fn write(&mut self, row: usize, event: &Event) {
        match event {
            Event::Transition(transition) => self.transition(row, transition),
            Event::Hook(hook) => self.hook(row, hook),
            Event::Socket(socket) => self.socket(row, socket),
            Event::DumpEnd(end) => {
                let netns: Vec<String> = end.netns.iter().map(u32::to_string).collect();
                self.begin(row, DUMP_END, Some(end.started));
                self.text.set(row, netns.join(",").as_bytes());
            }
            Event::Holder(holder) => self.holder(row, holder),
            Event::Fork(fork) => {
                self.begin(row, FORK, Some(fork.at));
                self.pid.set(row, fork.parent);
                self.child.set(row, fork.child);
            }
            Event::Process(details) => {
                self.begin(row, PROCESS, None);
                self.pid.set(row, details.pid);
                if let Some(cmdline) = &details.cmdline {
                    self.text.set(row, cmdline);
                }
                if let Some(cgroup) = &details.cgroup {
                    self.cgroup.set(row, cgroup.as_bytes());
                }
            }
            Event::Sysctls(sysctls) => {
                let lines =
                    sysctls.iter().map(|(sysctl, text)| format!("{}={text}", sysctl.name()));
                self.begin(row, SYSCTLS, None);
                self.netns.set(row, sysctls.netns);
                self.text.set(row, lines.collect::<Vec<_>>().join("\n").as_bytes());
            }
            Event::Tick(now) => self.begin(row, TICK, Some(*now)),
            Event::SnapshotEnd(at) => self.begin(row, SNAPSHOT_END, Some(*at)),
            Event::Lost(lost) => {
                self.begin(row, LOST, Some(lost.at));
                self.count.set(row, lost.count);
                self.why.set(row, place(&LOSSES, lost.why));
            }
            Event::Clock(sample) => {
                self.begin(row, CLOCK, Some(sample.boot));
                self.wall_ns.set(row, sample.wall_ns);
            }
        }
    }

    fn begin(&mut self, row: usize, kind: usize, at: Option<Timestamp>) {
        self.kind.set(row, kind);
        self.boot_ns.set_known(row, at.map(|at| at.0));
    }

    fn transition(&mut self, row: usize, transition: &Transition) {
        self.begin(row, TRANSITION, Some(transition.at));
        self.skaddr.set(row, transition.skaddr);
        self.cookie.set_known(row, transition.cookie);
        self.from.set(row, state_place(transition.from));
        self.to.set(row, state_place(transition.to));
        self.tuple(row, &transition.tuple);
        self.netns.set_known(row, transition.netns);
        if let Some(fields) = &transition.socket {
            self.owned.set(row, fields.owned);
            self.dead.set(row, fields.dead);
            self.done.set(row, fields.done);
            self.err.set(row, fields.err);
            self.shutdown.set(row, fields.shutdown);
            self.kernel.set(row, fields.kernel);
            self.repair.set(row, fields.repair);
            self.inode.set_known(row, fields.inode);
        }
        if let Some(process) = &transition.on_cpu {
            self.process(row, process);
        }
        if let Some(counters) = &transition.counters {
            self.tx_bytes.set(row, counters.tx_bytes);
            self.rx_bytes.set(row, counters.rx_bytes);
            self.retransmits.set(row, counters.retransmits);
            self.srtt_us.set_known(row, counters.srtt_us);
        }
        self.cgroup_id.set_known(row, transition.cgroup);
        self.orphan_lifetime_ns.set_known(row, transition.orphan_lifetime.map(nanoseconds));
    }

    fn hook(&mut self, row: usize, hook: &Hook) {
        self.begin(row, HOOK, Some(hook.at));
        self.skaddr.set(row, hook.skaddr);
        self.cookie.set_known(row, hook.cookie);
        self.hook.set(row, place(&HOOKS, hook.kind));
    }

    fn socket(&mut self, row: usize, socket: &Socket) {
        let ns = |stamp: Option<Timestamp>| stamp.map(|stamp| stamp.0);
        self.begin(row, SOCKET, Some(socket.at));
        self.skaddr.set_known(row, socket.skaddr);
        self.cookie.set_known(row, socket.cookie);
        self.to.set(row, state_place(socket.state));
        self.shape.set(row, place(&SHAPES, socket.shape));
        self.tuple(row, &socket.tuple);
        self.netns.set(row, socket.netns);
        self.inode.set_known(row, socket.inode);
        if let Some(kernel) = socket.kernel {
            self.kernel.set(row, kernel);
        }
        self.recv_q.set(row, socket.recv_q);
        self.send_q.set(row, socket.send_q);
        if let Some(timer) = &socket.timer {
            self.timer.set(row, place(&TIMERS, timer.kind));
            self.timer_expires_ns.set(row, timer.expires.0);
            self.retransmits.set(row, timer.retransmits.into());
        }
        self.last_ack_ns.set_known(row, ns(socket.last_ack));
        self.last_data_ns.set_known(row, ns(socket.last_data));
        self.last_sent_ns.set_known(row, ns(socket.last_sent));
        self.waiting_ns.set_known(row, ns(socket.waiting));
        self.cgroup_id.set_known(row, socket.cgroup);
    }

    fn holder(&mut self, row: usize, holder: &Holder) {
        self.begin(row, OWNER, None);
        self.skaddr.set_known(row, holder.skaddr);
        self.cookie.set_known(row, holder.cookie);
        self.inode.set(row, holder.inode);
        self.process(row, &holder.process);
        self.fd.set(row, holder.fd);
    }

    fn process(&mut self, row: usize, process: &Process) {
        self.pid.set(row, process.pid);
        self.comm.set(row, process.comm.0);
    }

    fn tuple(&mut self, row: usize, tuple: &Tuple) {
        if let Some(addr) = tuple.local.addr {
            self.laddr.set(row, sixteen(addr));
        }
        if let Some(addr) = tuple.remote.addr {
            self.raddr.set(row, sixteen(addr));
        }
        self.lport.set_known(row, tuple.local.port);
        self.rport.set_known(row, tuple.remote.port);
        self.ipv6.set(row, tuple.ipv6);
        self.v4mapped.set(row, tuple.v4mapped);
    }
}

impl View {
    /// The event of a row; `None` if it is of a kind that this version does not know, or has not what
    /// its kind must have.
    pub(super) fn event(&self, row: usize) -> Option<Event> {
        let at = || get(&self.boot_ns, row).map(Timestamp);
        Some(match self.kind.get(row)? {
            TRANSITION => Event::Transition(self.transition(row)?),
            HOOK => Event::Hook(Hook {
                at: at()?,
                skaddr: get(&self.skaddr, row)?,
                cookie: get(&self.cookie, row),
                kind: *HOOKS.get(self.hook.get(row)?)?,
            }),
            SOCKET => Event::Socket(self.socket(row)?),
            DUMP_END => Event::DumpEnd(DumpEnd { started: at()?, netns: self.covered(row)? }),
            OWNER => Event::Holder(Holder {
                skaddr: get(&self.skaddr, row),
                cookie: get(&self.cookie, row),
                inode: get(&self.inode, row)?,
                process: self.process(row)?,
                fd: get(&self.fd, row)?,
            }),
            FORK => Event::Fork(Fork {
                at: at()?,
                parent: get(&self.pid, row)?,
                child: get(&self.child, row)?,
            }),
            PROCESS => Event::Process(self.details(row)?),
            SYSCTLS => Event::Sysctls(self.sysctls(row)?),
            TICK => Event::Tick(at()?),
            SNAPSHOT_END => Event::SnapshotEnd(at()?),
            LOST => Event::Lost(Lost {
                at: at()?,
                count: get(&self.count, row)?,
                why: *LOSSES.get(self.why.get(row)?)?,
            }),
            CLOCK => Event::Clock(ClockSample { boot: at()?, wall_ns: get(&self.wall_ns, row)? }),
            _ => return None,
        })
    }

    fn transition(&self, row: usize) -> Option<Transition> {
        let flag = |flags| flag(flags, row).unwrap_or_default();
        let fields = self::flag(&self.owned, row).map(|owned| SocketFields {
            owned,
            dead: flag(&self.dead),
            done: flag(&self.done),
            err: get(&self.err, row).unwrap_or_default(),
            shutdown: get(&self.shutdown, row).unwrap_or_default(),
            kernel: flag(&self.kernel),
            repair: flag(&self.repair),
            inode: get(&self.inode, row),
        });
        let counters = get(&self.tx_bytes, row).map(|tx_bytes| Counters {
            tx_bytes,
            rx_bytes: get(&self.rx_bytes, row).unwrap_or_default(),
            retransmits: get(&self.retransmits, row).unwrap_or_default(),
            srtt_us: get(&self.srtt_us, row),
        });
        Some(Transition {
            at: Timestamp(get(&self.boot_ns, row)?),
            skaddr: get(&self.skaddr, row)?,
            cookie: get(&self.cookie, row),
            from: state(&self.from, row)?,
            to: state(&self.to, row)?,
            tuple: self.tuple(row),
            netns: get(&self.netns, row),
            socket: fields,
            on_cpu: self.process(row),
            counters,
            cgroup: get(&self.cgroup_id, row),
            orphan_lifetime: get(&self.orphan_lifetime_ns, row).map(Duration::from_nanos),
        })
    }

    fn socket(&self, row: usize) -> Option<Socket> {
        let stamp = |array| get(array, row).map(Timestamp);
        let timer = self.timer.get(row).and_then(|kind| {
            Some(Timer {
                kind: *TIMERS.get(kind)?,
                expires: Timestamp(get(&self.timer_expires_ns, row)?),
                retransmits: u8::try_from(get(&self.retransmits, row)?).ok()?,
            })
        });
        Some(Socket {
            at: Timestamp(get(&self.boot_ns, row)?),
            skaddr: get(&self.skaddr, row),
            cookie: get(&self.cookie, row),
            state: state(&self.to, row)?,
            shape: *SHAPES.get(self.shape.get(row)?)?,
            tuple: self.tuple(row),
            netns: get(&self.netns, row)?,
            inode: get(&self.inode, row),
            kernel: flag(&self.kernel, row),
            recv_q: get(&self.recv_q, row)?,
            send_q: get(&self.send_q, row)?,
            timer,
            last_ack: stamp(&self.last_ack_ns),
            last_data: stamp(&self.last_data_ns),
            last_sent: stamp(&self.last_sent_ns),
            waiting: stamp(&self.waiting_ns),
            cgroup: get(&self.cgroup_id, row),
        })
    }

    fn process(&self, row: usize) -> Option<Process> {
        Some(Process { pid: get(&self.pid, row)?, comm: Comm(self.comm.get(row)?) })
    }

    fn details(&self, row: usize) -> Option<ProcessDetails> {
        let cgroup = bytes(&self.cgroup, row);
        Some(ProcessDetails {
            pid: get(&self.pid, row)?,
            cmdline: bytes(&self.text, row).map(<[u8]>::to_vec),
            cgroup: cgroup.map(|path| String::from_utf8_lossy(path).into_owned()),
        })
    }

    fn sysctls(&self, row: usize) -> Option<Sysctls> {
        let text = str::from_utf8(bytes(&self.text, row)?).ok()?;
        let values = text.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((Sysctl::from_name(name)?, value.to_owned()))
        });
        Some(Sysctls::new(get(&self.netns, row)?, values))
    }

    fn covered(&self, row: usize) -> Option<Vec<u32>> {
        let text = str::from_utf8(bytes(&self.text, row)?).ok()?;
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(',').map(|inode| inode.parse().ok()).collect()
    }

    fn tuple(&self, row: usize) -> Tuple {
        let end =
            |addresses, ports| Endpoint { addr: address(addresses, row), port: get(ports, row) };
        Tuple {
            local: end(&self.laddr, &self.lport),
            remote: end(&self.raddr, &self.rport),
            v4mapped: flag(&self.v4mapped, row).unwrap_or_default(),
            ipv6: flag(&self.ipv6, row).unwrap_or_default(),
        }
    }
}

/// IPv4 as v4-mapped IPv6, so that all addresses are alike.
fn sixteen(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

fn address(array: &FixedSizeBinaryArray, row: usize) -> Option<IpAddr> {
    let is_known = row < array.len() && array.is_valid(row);
    let bytes: [u8; 16] = is_known.then(|| array.value(row))?.try_into().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical())
}

fn flag(array: &BooleanArray, row: usize) -> Option<bool> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

fn bytes(array: &BinaryArray, row: usize) -> Option<&[u8]> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

fn state_place(state: TcpState) -> usize {
    usize::from(state.number()) - 1
}

fn state(names: &NamesView, row: usize) -> Option<TcpState> {
    TcpState::from_number(u8::try_from(names.get(row)? + 1).ok()?)
}

fn place<T: Copy + PartialEq>(list: &[T], value: T) -> usize {
    // Every value is in its list, which a test sees to; else the row would be empty.
    list.iter().position(|known| *known == value).unwrap_or(usize::MAX)
}
