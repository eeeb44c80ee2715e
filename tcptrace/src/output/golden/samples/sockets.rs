use std::net::{IpAddr, Ipv4Addr};

use tcptrace_common::tcp_state::TcpState;

use super::{at, hostile, process, tuple, v4mapped};
use crate::{
    event::{Endpoint, Shape, Socket, Timer, TimerKind, Tuple},
    model::{
        change::Dwell,
        socket_list::{ListedSocket, SocketOwner},
    },
    time::Timestamp,
};

/// A socket that nobody closed.
pub(in crate::output::golden) fn listed() -> ListedSocket {
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
            timer: Some(Timer { kind: TimerKind::Off, expires: Timestamp(0), retransmits: 0 }),
            last_ack: None,
            last_data: None,
            last_sent: None,
            waiting: None,
            cgroup: None,
        },
        age: Dwell::Exact(125_000_000_000),
        owners: vec![SocketOwner { process: process(812, "nginx"), fds: vec![9, 10] }],
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
            local: Endpoint { addr: addr.map(IpAddr::V4), port: Some(22) },
            ipv6,
            ..Tuple::default()
        };
        listed.socket.recv_q = 0;
        listed.socket.send_q = 4096;
        listed.age = Dwell::AtLeast(5_000_000);
        listed.owners = vec![
            SocketOwner { process: process(1, "systemd"), fds: vec![40] },
            SocketOwner { process: process(700, "sshd"), fds: vec![3] },
        ];
    })
}

pub(in crate::output::golden) fn list() -> Vec<ListedSocket> {
    let timer = |kind, us, retransmits| Some(Timer { kind, expires: at(us), retransmits });
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
            listed.socket.timer =
                Some(Timer { kind: TimerKind::Timewait, expires: Timestamp(1), retransmits: 0 });
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
            listed.owners = vec![SocketOwner { process: hostile(), fds: vec![4_294_967_295] }];
        }),
    ]
}
