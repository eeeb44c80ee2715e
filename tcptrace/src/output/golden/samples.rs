//! Records to print: ordinary ones, and everything that could break a line.

use std::net::{IpAddr, Ipv4Addr};

use tcptrace_common::tcp_state::TcpState;

use super::START;
use crate::{
    event::{Comm, Counters, Endpoint, Process, Shape, Socket, Timer, TimerKind, Tuple},
    model::{
        change::{
            ConnectionId, Dwell, End, Evidence, Finished, Identity, Moved, Owner, Reason, Role,
        },
        socket_list::{ListedSocket, SocketOwner},
    },
    time::Timestamp,
};

pub(super) fn at(us: u64) -> Timestamp {
    Timestamp(START.0 + us * 1_000)
}

pub(super) fn process(pid: u32, name: &str) -> Process {
    Process {
        pid,
        comm: name.into(),
    }
}

/// A name made to take over a terminal.
pub(super) fn hostile() -> Process {
    let mut comm = [0; 16];
    comm[..14].copy_from_slice(b"\x1b[31m,\"\xff\n\xe2\x80\xaea\\");
    Process {
        pid: 666,
        comm: Comm(comm),
    }
}

pub(super) fn tuple(local: &str, remote: &str) -> Tuple {
    let end = |text: &str| {
        let addr: std::net::SocketAddr = text.parse().expect("an address with a port");
        Endpoint {
            addr: Some(addr.ip()),
            port: Some(addr.port()),
        }
    };
    Tuple {
        local: end(local),
        remote: end(remote),
        v4mapped: false,
        ipv6: local.starts_with('['),
    }
}

pub(super) fn v4mapped() -> Tuple {
    Tuple {
        v4mapped: true,
        ipv6: true,
        ..tuple("10.0.0.5:443", "10.0.0.9:51234")
    }
}

pub(super) fn identity(tuple: Tuple) -> Identity {
    Identity {
        id: ConnectionId {
            first_seen: at(500),
            socket: 0xffff_8881_02db_3780,
        },
        tuple,
        netns: Some(4_026_531_840),
        cookie: Some(77),
        skaddr: Some(0xffff_8881_02db_3780),
        kernel: false,
    }
}

/// A line of an ordinary server.
pub(super) fn moved() -> Moved {
    Moved {
        at: at(1_250_123),
        identity: identity(tuple("10.0.0.5:443", "10.0.0.9:51234")),
        from: TcpState::FinWait1,
        to: TcpState::FinWait2,
        dwell: Dwell::Exact(53_112),
        evidence: Evidence::Event,
        reason: None,
        owner: Owner::Task(process(812, "nginx")),
        on_cpu: Some(process(0, "swapper/5")),
    }
}

/// A line of which nothing is known.
pub(super) fn moved_unknown() -> Moved {
    let identity = Identity {
        netns: None,
        cookie: None,
        skaddr: None,
        ..identity(Tuple::default())
    };
    Moved {
        identity,
        from: TcpState::Close,
        to: TcpState::SynSent,
        dwell: Dwell::Unknown,
        owner: Owner::Unknown,
        on_cpu: None,
        ..moved()
    }
}

pub(super) fn moves() -> Vec<Moved> {
    let ipv6 = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
    vec![
        moved(),
        Moved {
            from: TcpState::Established,
            to: TcpState::CloseWait,
            dwell: Dwell::AtLeast(3 * 3_600_000_000_000),
            owner: Owner::Opener(process(4_194_304, "elevenchars")),
            on_cpu: Some(process(4_194_304, "elevenchars")),
            ..moved()
        },
        Moved {
            from: TcpState::SynSent,
            to: TcpState::Close,
            identity: identity(tuple("192.168.100.100:65535", "255.255.255.255:65535")),
            dwell: Dwell::Exact(1_250_000),
            reason: Some(Reason::Refused),
            ..moved()
        },
        Moved {
            from: TcpState::Established,
            to: TcpState::Close,
            reason: Some(Reason::ResetByPeer),
            owner: Owner::Fd(process(812, "nginx: worker p")),
            ..moved()
        },
        Moved {
            from: TcpState::LastAck,
            to: TcpState::Close,
            reason: Some(Reason::Fin),
            owner: Owner::Nobody,
            ..moved()
        },
        Moved {
            from: TcpState::FinWait2,
            to: TcpState::TimeWait,
            evidence: Evidence::Classified,
            ..moved()
        },
        Moved {
            at: at(61_250_123),
            from: TcpState::TimeWait,
            to: TcpState::Close,
            dwell: Dwell::Estimated(60_000_000_000),
            evidence: Evidence::Derived,
            ..moved()
        },
        moved_unknown(),
        Moved {
            identity: identity(tuple("[2001:db8::1]:443", ipv6)),
            ..moved()
        },
        Moved {
            identity: identity(v4mapped()),
            ..moved()
        },
        Moved {
            owner: Owner::Task(hostile()),
            on_cpu: Some(hostile()),
            ..moved()
        },
        Moved {
            identity: Identity {
                kernel: true,
                ..moved().identity
            },
            owner: Owner::Nobody,
            ..moved()
        },
        Moved {
            at: Timestamp(u64::MAX),
            dwell: Dwell::AtLeast(u64::MAX),
            ..moved()
        },
    ]
}

/// A connection of an ordinary client.
pub(super) fn life() -> Finished {
    Finished {
        closed: at(1_250_123),
        identity: identity(tuple("10.0.0.5:51234", "10.0.0.9:443")),
        opened: Some(at(1_000)),
        established: Some(at(1_053)),
        role: Some(Role::Active),
        states: [
            Some(53_112),
            None,
            Some(1_249_000_000),
            Some(20_000),
            Some(51_000),
            None,
            None,
            None,
        ],
        counters: Some(Counters {
            tx_bytes: 812,
            rx_bytes: 15_800_000,
            retransmits: 2,
            srtt_us: Some(125),
        }),
        end: End::TimeWait,
        owner: Owner::Opener(process(22_384, "curl")),
        on_cpu: Some(process(0, "swapper/5")),
    }
}

/// A connection of which nothing is known but that it ended.
pub(super) fn life_unknown() -> Finished {
    Finished {
        identity: moved_unknown().identity,
        opened: None,
        established: None,
        role: None,
        states: [None; 8],
        counters: None,
        end: End::Unknown,
        owner: Owner::Unknown,
        on_cpu: None,
        ..life()
    }
}

pub(super) fn lives() -> Vec<Finished> {
    let ipv6 = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
    vec![
        life(),
        Finished {
            established: None,
            identity: identity(tuple("192.168.100.100:65535", "255.255.255.255:65535")),
            owner: Owner::Opener(process(4_194_304, "elevenchars")),
            end: End::Because(Reason::ResetByPeer),
            ..life()
        },
        Finished {
            opened: None,
            established: None,
            end: End::LastAck,
            role: Some(Role::Passive),
            ..life()
        },
        life_unknown(),
        Finished {
            identity: identity(tuple("[2001:db8::1]:443", ipv6)),
            end: End::Because(Reason::Timeout),
            ..life()
        },
        Finished {
            identity: identity(v4mapped()),
            ..life()
        },
        Finished {
            owner: Owner::Task(hostile()),
            ..life()
        },
        Finished {
            closed: Timestamp(u64::MAX),
            states: [Some(u64::MAX); 8],
            counters: Some(Counters {
                tx_bytes: u64::MAX,
                rx_bytes: u64::MAX,
                retransmits: u32::MAX,
                srtt_us: Some(u32::MAX),
            }),
            ..life()
        },
    ]
}

/// A socket that nobody closed.
pub(super) fn listed() -> ListedSocket {
    ListedSocket {
        socket: Socket {
            at: at(0),
            skaddr: Some(0xffff_8881_02db_3780),
            cookie: Some(77),
            state: TcpState::CloseWait,
            shape: Shape::Full,
            tuple: tuple("10.0.0.5:443", "10.0.0.9:51234"),
            netns: 4_026_531_840,
            inode: Some(123_456),
            kernel: Some(false),
            recv_q: 1,
            send_q: 0,
            timer: Some(Timer {
                kind: TimerKind::Off,
                expires: Timestamp(0),
                retransmits: 0,
            }),
            last_ack: None,
            last_data: None,
            cgroup: None,
        },
        age: Dwell::Exact(125_000_000_000),
        owners: vec![SocketOwner {
            process: process(812, "nginx"),
            fds: vec![9, 10],
        }],
    }
}

fn listed_as(change: impl FnOnce(&mut ListedSocket)) -> ListedSocket {
    let mut listed = listed();
    change(&mut listed);
    listed
}

fn listener(addr: Option<Ipv4Addr>, ipv6: bool) -> ListedSocket {
    listed_as(|listed| {
        listed.socket.state = TcpState::Listen;
        listed.socket.tuple = Tuple {
            local: Endpoint {
                addr: addr.map(IpAddr::V4),
                port: Some(22),
            },
            ipv6,
            ..Tuple::default()
        };
        listed.socket.recv_q = 0;
        listed.socket.send_q = 4096;
        listed.age = Dwell::AtLeast(5_000_000);
        listed.owners = vec![
            SocketOwner {
                process: process(1, "systemd"),
                fds: vec![40],
            },
            SocketOwner {
                process: process(700, "sshd"),
                fds: vec![3],
            },
        ];
    })
}

pub(super) fn list() -> Vec<ListedSocket> {
    let timer = |kind, us, retransmits| {
        Some(Timer {
            kind,
            expires: at(us),
            retransmits,
        })
    };
    vec![
        listener(Some(Ipv4Addr::LOCALHOST), false),
        listener(None, false),
        listener(None, true),
        listed(),
        listed_as(|listed| {
            listed.socket.state = TcpState::Established;
            listed.socket.tuple = tuple("[2001:db8::1]:51234", "[2001:db8::2]:443");
            listed.socket.timer = timer(TimerKind::Retransmit, 1_250_000, 3);
            listed.socket.send_q = 4_294_967_295;
            listed.age = Dwell::Estimated(1_250_000_000);
        }),
        listed_as(|listed| {
            listed.socket.state = TcpState::TimeWait;
            listed.socket.shape = Shape::Minisock;
            listed.socket.inode = None;
            listed.socket.kernel = None;
            // It is due: it lies in the past.
            listed.socket.timer = Some(Timer {
                kind: TimerKind::Timewait,
                expires: Timestamp(1),
                retransmits: 0,
            });
            listed.age = Dwell::Exact(59_900_000_000);
            listed.owners.clear();
        }),
        listed_as(|listed| {
            listed.socket.state = TcpState::Established;
            listed.socket.kernel = Some(true);
            listed.socket.tuple = v4mapped();
            listed.owners.clear();
        }),
        listed_as(|listed| {
            listed.socket.state = TcpState::Close;
            listed.socket.tuple = Tuple::default();
            listed.socket.skaddr = None;
            listed.socket.cookie = None;
            listed.socket.timer = None;
            listed.age = Dwell::Unknown;
            listed.owners = vec![SocketOwner {
                process: hostile(),
                fds: vec![4_294_967_295],
            }];
        }),
    ]
}
