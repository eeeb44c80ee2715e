//! Existing sockets by `sock_diag`: the fallback where `iter/tcp` cannot run.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Buf as _;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use netlink_sys::{Socket as NetlinkSocket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use tcptrace_common::tcp_state::TcpState;

use super::{clock, decode};
use crate::{
    event::{Shape, Socket, Timer, TimerKind},
    time::Timestamp,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Length of `struct inet_diag_msg`.
const DIAG_LENGTH: usize = 72;
/// The kernel fills at most 32 KiB at a time (`netlink_dump`).
const BUFFER: usize = 65_536;

/// All TCP sockets of the calling thread's network namespace, whose inode number is `netns`.
pub(super) fn sockets(netns: u32, found: &mut Vec<Socket>) -> Result<()> {
    for family in [AF_INET, AF_INET6] {
        dump(family, netns, found).context("sock_diag failed")?;
    }
    Ok(())
}

fn dump(family: u8, netns: u32, found: &mut Vec<Socket>) -> Result<()> {
    let mut socket = NetlinkSocket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut request = NetlinkMessage::new(
        header,
        SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::all(),
            socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
        })
        .into(),
    );
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    // The kernel fills the first datagram when it is asked, each further one while the one before is
    // received (`netlink_recvmsg`, 5.10 to 7.2). A row dated later than it was looked at would
    // contradict the events in between.
    let mut filled = clock::now();
    socket.send(&bytes, 0)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let next_filled = clock::now();
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        if walk(&buffer[..length], netns, filled, found)? {
            return Ok(());
        }
        filled = next_filled;
    }
}

/// Reads the messages of one datagram filled at `at`; true at the end of the dump.
pub(super) fn walk(
    mut bytes: &[u8],
    netns: u32,
    at: Timestamp,
    found: &mut Vec<Socket>,
) -> Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes)?;
        match message.message_type() {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => bail!("the kernel refused the request"),
            _ => found.extend(parse(message.payload(), netns, at)),
        }
        let length = (message.length() as usize).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// Decodes a `struct inet_diag_msg` (`include/uapi/linux/inet_diag.h`). The crate's own decoder drops
/// the time left of a minisock, which is what we came for.
fn parse(mut bytes: &[u8], netns: u32, at: Timestamp) -> Option<Socket> {
    if bytes.len() < DIAG_LENGTH {
        return None;
    }
    let (family, state) = (bytes.get_u8(), TcpState::from_number(bytes.get_u8())?);
    let (timer, retransmits) = (bytes.get_u8(), bytes.get_u8());
    let (lport, rport) = (bytes.get_u16(), bytes.get_u16());
    let (mut laddr, mut raddr) = ([0; 16], [0; 16]);
    bytes.copy_to_slice(&mut laddr);
    bytes.copy_to_slice(&mut raddr);
    bytes.advance(4); // the interface
    let cookie = u64::from(bytes.get_u32_ne()) | u64::from(bytes.get_u32_ne()) << 32;
    let left_ms = u64::from(bytes.get_u32_ne());
    let (recv_q, send_q) = (bytes.get_u32_ne(), bytes.get_u32_ne());
    bytes.advance(4); // the user
    let inode = bytes.get_u32_ne();
    let kind = match timer {
        0 => TimerKind::Off,
        1 => TimerKind::Retransmit,
        2 => TimerKind::Keepalive,
        3 => TimerKind::Timewait,
        4 => TimerKind::Probe,
        _ => return None,
    };
    let shape = match (kind, state) {
        (TimerKind::Timewait, _) | (_, TcpState::TimeWait) => Shape::Minisock,
        // A full socket in SYN_RECV exists for microseconds only, except with Fast Open.
        (_, TcpState::SynRecv) if inode == 0 => Shape::Request,
        _ => Shape::Full,
    };
    let stamps = stamps(bytes);
    let stamp = |place: usize| {
        let stamps = stamps.filter(|_| shape == Shape::Full && state != TcpState::Listen)?;
        // Milliseconds cut off, so that the time since is a lower bound.
        Some(at - Duration::from_millis(stamps[place].into()))
    };
    Some(Socket {
        at,
        skaddr: None,
        cookie: Some(cookie).filter(|&cookie| cookie != 0),
        state,
        shape,
        tuple: decode::tuple(family, (&laddr, lport), (&raddr, rport), state == TcpState::Listen)?,
        netns,
        inode: Some(inode).filter(|&inode| inode != 0),
        kernel: None,
        recv_q,
        send_q,
        timer: Some(Timer { kind, expires: at + Duration::from_millis(left_ms), retransmits }),
        last_ack: stamp(3),
        last_data: stamp(2),
        last_sent: stamp(0),
        waiting: None,
        cgroup: None,
    })
}

/// The milliseconds since data was sent, an ACK sent, data received and an ACK received, from the
/// attribute with the `struct tcp_info` (`include/uapi/linux/tcp.h`).
fn stamps(mut attributes: &[u8]) -> Option<[u32; 4]> {
    const INET_DIAG_INFO: u16 = 2;
    const HEADER: usize = 4;
    const LAST_DATA_SENT: usize = 44;
    while attributes.len() >= HEADER {
        let length = usize::from((&attributes[..2]).get_u16_ne());
        let kind = (&attributes[2..HEADER]).get_u16_ne();
        let value = attributes.get(HEADER..length)?;
        if kind == INET_DIAG_INFO {
            let mut stamps = value.get(LAST_DATA_SENT..LAST_DATA_SENT + 16)?;
            return Some([(); 4].map(|()| stamps.get_u32_ne()));
        }
        attributes = attributes.get(length.next_multiple_of(HEADER)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{DIAG_LENGTH, parse, stamps, walk};
    use crate::{event::Shape, time::Timestamp};

    #[test]
    fn short_or_strange_messages_are_passed_over() {
        let mut message = [0; DIAG_LENGTH];
        assert!(parse(&message[..DIAG_LENGTH - 1], 1, Timestamp(0)).is_none());
        assert!(parse(&message, 1, Timestamp(0)).is_none(), "state 0");
        (message[0], message[1], message[2]) = (2, 5, 3);
        let socket = parse(&message, 1, Timestamp(0)).expect("an orphan in FIN_WAIT2");
        assert_eq!((socket.shape, socket.cookie, socket.inode), (Shape::Minisock, None, None));
        message[0] = 7;
        assert!(parse(&message, 1, Timestamp(0)).is_none(), "family 7");
    }

    #[test]
    fn the_stamps_are_found_among_the_attributes_and_nothing_is_read_beyond_them() {
        let mut info = vec![0; 60];
        info[44..48].copy_from_slice(&5_u32.to_ne_bytes());
        info[56..60].copy_from_slice(&7_u32.to_ne_bytes());
        let attribute = |kind: u16, value: &[u8]| {
            let length = u16::try_from(4 + value.len()).expect("short");
            let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let attributes = [attribute(8, &[1]), attribute(2, &info)].concat();
        assert_eq!(stamps(&attributes), Some([5, 0, 0, 7]));
        for length in 0..attributes.len() {
            assert_eq!(stamps(&attributes[..length]), None);
        }
        assert_eq!(stamps(&[0; 8]), None);
        assert_eq!(stamps(&[1, 0, 2, 0, 9, 9]), None);
    }

    #[test]
    fn a_truncated_datagram_is_an_error_not_a_loop() {
        let mut found = Vec::new();
        assert!(walk(&[1, 2, 3], 1, Timestamp(0), &mut found).is_err());
        assert!(walk(&[0; 16], 1, Timestamp(0), &mut found).is_err());
    }
}
