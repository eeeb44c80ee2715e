//! The sockets that exist now, with age and owners.

use std::{collections::HashMap, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Holder, Process, Shape, Socket, TimerKind},
    model::change::Dwell,
    time::{Timestamp, nanoseconds},
};

/// How long TIME_WAIT lasts (`TCP_TIMEWAIT_LEN`, include/net/tcp.h, a constant in every kernel).
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// One socket of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedSocket {
    /// What the dump said.
    pub socket: Socket,
    /// How long it has been in its state.
    pub age: Dwell,
    /// Every process with a descriptor of it.
    pub owners: Vec<SocketOwner>,
}

/// A process with descriptors of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// Who.
    pub process: Process,
    /// Descriptor numbers, ascending.
    pub fds: Vec<u32>,
}

/// Joins a dump and the holders found with it; sorted by state, local port, remote end.
#[must_use]
pub fn socket_list(sockets: &[Socket], holders: &[Holder]) -> Vec<ListedSocket> {
    let mut owners: HashMap<u32, Vec<SocketOwner>> = HashMap::new();
    for holder in holders {
        let of_socket = owners.entry(holder.inode).or_default();
        match of_socket.iter_mut().find(|owner| owner.process.pid == holder.process.pid) {
            Some(owner) => owner.fds.push(holder.fd),
            None => of_socket.push(SocketOwner { process: holder.process, fds: vec![holder.fd] }),
        }
    }
    for owner in owners.values_mut().flatten() {
        owner.fds.sort_unstable();
        owner.fds.dedup();
    }
    let mut list: Vec<_> = sockets
        .iter()
        .map(|socket| ListedSocket {
            socket: *socket,
            age: age(socket),
            owners: socket.inode.and_then(|inode| owners.get(&inode).cloned()).unwrap_or_default(),
        })
        .collect();
    list.sort_by_key(|listed| {
        let Socket { state, tuple, netns, .. } = listed.socket;
        (state.number(), netns, tuple.local.port, tuple.remote.addr, tuple.remote.port)
    });
    list
}

/// What the socket's own timers say about the time in its state.
///
/// A minisock in TIME_WAIT ends 60 s after it entered. In every later state of a full socket no
/// packet can be older than the state itself: entering CLOSE_WAIT, FIN_WAIT2, CLOSING and
/// ESTABLISHED takes a packet with an ACK, which stamps `rcv_tstamp` (`tcp_ack`, 5.10 to 7.2), so the
/// time since the last ACK is a lower bound.
#[must_use]
pub fn age(socket: &Socket) -> Dwell {
    let since = |entered: Option<Timestamp>| socket.at.since(entered?);
    match (socket.shape, socket.state) {
        (Shape::Minisock, TcpState::TimeWait) => {
            since(time_wait_began(socket)).map_or(Dwell::Unknown, Dwell::Estimated)
        }
        (
            Shape::Full,
            TcpState::Established | TcpState::CloseWait | TcpState::FinWait2 | TcpState::Closing,
        ) => since(socket.last_ack).map_or(Dwell::Unknown, Dwell::AtLeast),
        _ => Dwell::Unknown,
    }
}

/// When a minisock entered TIME_WAIT, from the 60 s its timer began with.
#[must_use]
pub fn time_wait_began(socket: &Socket) -> Option<Timestamp> {
    let timer = socket.timer.filter(|timer| timer.kind == TimerKind::Timewait)?;
    timer.expires.0.checked_sub(nanoseconds(TIME_WAIT)).map(Timestamp)
}
