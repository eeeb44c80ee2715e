//! Records to print: ordinary ones, and everything that could break a line.

pub(super) mod connections;
pub(super) mod sockets;
pub(super) mod stuck;
pub(super) mod transitions;

use super::START;
use crate::{
    event::{Comm, Endpoint, Process, Tuple},
    model::change::{ConnectionId, Identity},
    time::Timestamp,
};

pub(in crate::output::golden) fn at(us: u64) -> Timestamp {
    Timestamp(START.0 + us * 1_000)
}

pub(in crate::output::golden) fn process(pid: u32, name: &str) -> Process {
    Process { pid, comm: name.into() }
}

/// A name made to take over a terminal.
pub(in crate::output::golden) fn hostile() -> Process {
    let mut comm = [0; 16];
    comm[..14].copy_from_slice(b"\x1b[31m,\"\xff\n\xe2\x80\xaea\\");
    Process { pid: 666, comm: Comm(comm) }
}

pub(in crate::output::golden) fn tuple(local: &str, remote: &str) -> Tuple {
    let end = |text: &str| {
        let addr: std::net::SocketAddr = text.parse().expect("an address with a port");
        Endpoint { addr: Some(addr.ip()), port: Some(addr.port()) }
    };
    Tuple { local: end(local), remote: end(remote), v4mapped: false, ipv6: local.starts_with('[') }
}

pub(in crate::output::golden) fn v4mapped() -> Tuple {
    Tuple { v4mapped: true, ipv6: true, ..tuple("10.0.0.5:443", "10.0.0.9:51234") }
}

pub(in crate::output::golden) fn identity(tuple: Tuple) -> Identity {
    Identity {
        id: ConnectionId { first_seen: at(500), socket: 0xffff_8881_02db_3780 },
        tuple,
        netns: Some(4_026_531_840),
        cookie: Some(77),
        skaddr: Some(0xffff_8881_02db_3780),
        kernel: false,
    }
}
