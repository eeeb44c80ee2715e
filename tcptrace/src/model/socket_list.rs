//! The sockets that exist now, with age and owners.

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Holder, Process, Shape, Socket, TIME_WAIT, TimerKind},
    model::change::Dwell,
    time::{Timestamp, nanoseconds},
};

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
    let owners = Owners::new(holders);
    let mut sockets: Vec<&Socket> = sockets.iter().collect();
    sockets.sort_by_cached_key(|socket| {
        let Socket { state, tuple, netns, .. } = socket;
        (state.number(), *netns, tuple.local.port, tuple.remote.addr, tuple.remote.port)
    });
    let listed = sockets.into_iter().map(|socket| ListedSocket {
        socket: *socket,
        age: age(socket),
        owners: socket.inode.map(|inode| owners.of(inode)).unwrap_or_default(),
    });
    listed.collect()
}

/// Who holds what, by inode. There may be a hundred thousand of them, for which a list of each is too much.
struct Owners<'a> {
    holders: &'a [Holder],
    /// Inode and place of each holder, ascending.
    places: Vec<(u32, u32)>,
}

impl<'a> Owners<'a> {
    fn new(holders: &'a [Holder]) -> Self {
        let mut places: Vec<_> =
            holders.iter().zip(0..).map(|(holder, place)| (holder.inode, place)).collect();
        places.sort_unstable();
        Self { holders, places }
    }

    fn of(&self, inode: u32) -> Vec<SocketOwner> {
        let first = self.places.partition_point(|&(other, _)| other < inode);
        let places = self.places[first..].iter().take_while(|&&(other, _)| other == inode);
        let mut owners: Vec<SocketOwner> = Vec::new();
        for Holder { process, fd, .. } in places.map(|&(_, place)| &self.holders[place as usize]) {
            match owners.iter_mut().find(|owner| owner.process.pid == process.pid) {
                Some(owner) => owner.fds.push(*fd),
                None => {
                    // Most have one owner, and a list that grows begins with room for four.
                    owners.reserve_exact(1);
                    owners.push(SocketOwner { process: *process, fds: vec![*fd] });
                }
            }
        }
        for owner in &mut owners {
            owner.fds.sort_unstable();
            owner.fds.dedup();
        }
        owners
    }
}

/// What an age rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeSource {
    /// We saw the connection enter its state.
    Event,
    /// When a dump first showed it there.
    FirstSeen,
    /// The last ACK, without which the state cannot begin.
    LastAck,
    /// The timer, which began with a known time.
    Timer,
    /// When the SYN was sent or came.
    Syn,
    /// When what is not acknowledged was first sent again, which may have begun before the state.
    FirstRetransmit,
    /// Since when the peer's window is closed, which may have begun before the state.
    WindowClosed,
    /// The last packet or timer of a socket whose connection is over.
    LastPacket,
    /// The last segment of the peer, in whole seconds.
    LastSegment,
}

impl AgeSource {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::FirstSeen => "first_seen",
            Self::LastAck => "last_ack",
            Self::Timer => "timer",
            Self::Syn => "syn",
            Self::FirstRetransmit => "first_retransmit",
            Self::WindowClosed => "window_closed",
            Self::LastPacket => "last_packet",
            Self::LastSegment => "last_segment",
        }
    }
}

/// What the socket's own stamps and timers say about the time in its state.
#[must_use]
pub fn age(socket: &Socket) -> Dwell {
    age_with_source(socket).map_or(Dwell::Unknown, |(age, _)| age)
}

/// [`age`], and what it rests on.
///
/// A minisock in TIME_WAIT ends 60 s after it entered. In every later state of a full socket no
/// packet can be older than the state itself: entering CLOSE_WAIT, FIN_WAIT2, CLOSING and
/// ESTABLISHED takes a packet with an ACK, which stamps `rcv_tstamp` (`tcp_ack`, 5.10 to 7.2), so the
/// time since the last ACK is a lower bound. The same holds for the last segment before an orphan's
/// minisock (`tcp_time_wait`). The other states begin with a call or a timer of this host; what the
/// socket then stamps is near enough for an estimate.
#[must_use]
pub fn age_with_source(socket: &Socket) -> Option<(Dwell, AgeSource)> {
    let since = |entered: Option<Timestamp>| socket.at.since(entered?);
    let at_least = |stamp, source| Some((Dwell::AtLeast(since(stamp)?), source));
    let estimated = |stamp, source| Some((Dwell::Estimated(since(stamp)?), source));
    let probing = socket.timer.is_some_and(|timer| timer.kind == TimerKind::Probe);
    match (socket.shape, socket.state) {
        (Shape::Minisock, TcpState::TimeWait) => {
            estimated(time_wait_began(socket), AgeSource::Timer)
        }
        (Shape::Minisock, TcpState::FinWait2) => at_least(socket.waiting, AgeSource::LastSegment),
        (Shape::Request, _) => estimated(socket.waiting, AgeSource::Syn),
        (
            Shape::Full,
            TcpState::Established | TcpState::CloseWait | TcpState::FinWait2 | TcpState::Closing,
        ) => at_least(socket.last_ack, AgeSource::LastAck),
        (Shape::Full, TcpState::SynSent) => estimated(socket.waiting, AgeSource::Syn),
        (Shape::Full, TcpState::FinWait1 | TcpState::LastAck) if probing => {
            estimated(socket.waiting, AgeSource::WindowClosed)
        }
        (Shape::Full, TcpState::FinWait1 | TcpState::LastAck) => {
            estimated(socket.waiting, AgeSource::FirstRetransmit)
        }
        (Shape::Full, TcpState::Close) => estimated(socket.waiting, AgeSource::LastPacket),
        _ => None,
    }
}

/// When a minisock entered TIME_WAIT, from the 60 s its timer began with.
#[must_use]
pub fn time_wait_began(socket: &Socket) -> Option<Timestamp> {
    let timer = socket.timer.filter(|timer| timer.kind == TimerKind::Timewait)?;
    timer.expires.0.checked_sub(nanoseconds(TIME_WAIT)).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcptrace_common::tcp_state::TcpState::{self, *};

    use super::{SocketOwner, age, socket_list};
    use crate::{
        event::{Comm, Endpoint, Holder, Process, Shape, Socket, Timer, TimerKind, Tuple},
        model::change::Dwell,
        time::Timestamp,
    };

    const NOW: Timestamp = Timestamp(100_000_000_000);
    const SECOND: u64 = 1_000_000_000;

    fn socket(state: TcpState, shape: Shape, inode: Option<u32>) -> Socket {
        Socket {
            at: NOW,
            skaddr: None,
            cookie: None,
            state,
            shape,
            tuple: Tuple::default(),
            netns: 1,
            inode,
            kernel: None,
            recv_q: 0,
            send_q: 0,
            timer: None,
            last_ack: Some(NOW - Duration::from_secs(7)),
            last_data: None,
            last_sent: None,
            waiting: None,
            cgroup: None,
        }
    }

    #[test]
    fn an_ack_makes_those_states_older_that_begin_with_one() {
        for (state, expected) in [
            (Established, Dwell::AtLeast(7 * SECOND)),
            (CloseWait, Dwell::AtLeast(7 * SECOND)),
            (FinWait2, Dwell::AtLeast(7 * SECOND)),
            (Closing, Dwell::AtLeast(7 * SECOND)),
            (FinWait1, Dwell::Unknown),
            (LastAck, Dwell::Unknown),
            (SynSent, Dwell::Unknown),
            (Listen, Dwell::Unknown),
        ] {
            assert_eq!(age(&socket(state, Shape::Full, None)), expected, "{state}");
        }
        let silent = Socket { last_ack: None, ..socket(Established, Shape::Full, None) };
        assert_eq!(age(&silent), Dwell::Unknown);
    }

    #[test]
    fn the_timer_of_time_wait_tells_its_age_and_that_of_an_orphan_does_not() {
        let with_timer = |state, kind, left| {
            let timer = Timer { kind, expires: NOW + Duration::from_secs(left), retransmits: 0 };
            Socket { timer: Some(timer), ..socket(state, Shape::Minisock, None) }
        };
        let estimated = age(&with_timer(TimeWait, TimerKind::Timewait, 45));
        assert_eq!(estimated, Dwell::Estimated(15 * SECOND));
        assert_eq!(age(&with_timer(FinWait2, TimerKind::Timewait, 45)), Dwell::Unknown);
        assert_eq!(age(&with_timer(TimeWait, TimerKind::Off, 45)), Dwell::Unknown);
        assert_eq!(age(&with_timer(TimeWait, TimerKind::Timewait, 61)), Dwell::Unknown);
        assert_eq!(age(&socket(TimeWait, Shape::Minisock, None)), Dwell::Unknown);
    }

    #[test]
    fn every_process_with_a_descriptor_is_named_once_with_all_of_them() {
        let process = |pid| Process { pid, comm: Comm::from("srv") };
        let holder = |pid, inode, fd| Holder {
            skaddr: None,
            cookie: None,
            inode,
            process: process(pid),
            fd,
        };
        let holders = [
            holder(1, 50, 9),
            holder(2, 50, 3),
            holder(1, 50, 4),
            holder(1, 50, 9),
            holder(3, 60, 5),
        ];
        let sockets = [
            socket(Established, Shape::Full, Some(50)),
            socket(CloseWait, Shape::Full, Some(70)),
            socket(LastAck, Shape::Full, None),
        ];
        let list = socket_list(&sockets, &holders);
        assert_eq!(
            list[0].owners,
            [
                SocketOwner { process: process(1), fds: vec![4, 9] },
                SocketOwner { process: process(2), fds: vec![3] }
            ]
        );
        assert!(list[1].owners.is_empty() && list[2].owners.is_empty());
    }

    #[test]
    fn sockets_come_by_state_and_then_by_port() {
        let at_port = |state, port| Socket {
            tuple: Tuple { local: Endpoint { addr: None, port: Some(port) }, ..Tuple::default() },
            ..socket(state, Shape::Full, None)
        };
        let sockets = [at_port(Listen, 1), at_port(Established, 9), at_port(Established, 8)];
        let order: Vec<_> = socket_list(&sockets, &[])
            .iter()
            .map(|listed| (listed.socket.state, listed.socket.tuple.local.port))
            .collect();
        assert_eq!(order, [(Established, Some(8)), (Established, Some(9)), (Listen, Some(1))]);
    }
}
