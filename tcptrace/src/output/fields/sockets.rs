//! The fields of a listed socket.

use std::{borrow::Cow, net::IpAddr};

use bytes::BytesMut;
use serde::{Serialize, Serializer};

use crate::{
    event::{Socket, Timer, TimerKind},
    model::socket_list::ListedSocket,
    output::{addresses, csv, json, table::sockets::owner},
};

/// Writes the names of the columns and one line of CSV per socket.
pub(in crate::output) fn csv(out: &mut BytesMut, list: &[ListedSocket]) {
    out.extend_from_slice(HEADER.as_bytes());
    for listed in list {
        // A list in a field has no standard, so the owners read as in the table.
        let owners = if listed.owners.is_empty() { None } else { Some(owner(listed)) };
        let timer = TimerColumns(timer(&listed.socket));
        csv::line(out, &fields(listed, owners, timer, true));
    }
}

/// Writes one line of JSON per socket.
pub(in crate::output) fn json(out: &mut BytesMut, list: &[ListedSocket]) {
    for listed in list {
        let owners: Vec<_> = listed
            .owners
            .iter()
            .map(|owner| OwnerFields {
                pid: owner.process.pid,
                comm: String::from_utf8_lossy(owner.process.comm.as_bytes()),
                fds: &owner.fds,
            })
            .collect();
        json::line(out, &fields(listed, owners, timer(&listed.socket), false));
    }
}

/// The names of [`Fields`], as CSV; `timer` is three columns.
const HEADER: &str = "type,family,laddr,lport,raddr,rport,v4mapped,state,age_ns,age,inode,owners,recv_q,send_q,\
    timer.kind,timer.expires_in_ns,timer.retransmits,netns,cookie,skaddr\n";

#[derive(Serialize)]
struct Fields<Owners, Timer> {
    #[serde(rename = "type")]
    kind: &'static str,
    family: &'static str,
    laddr: Option<IpAddr>,
    lport: Option<u16>,
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v4mapped: Option<bool>,
    state: &'static str,
    age_ns: Option<u64>,
    age: &'static str,
    inode: Option<u32>,
    owners: Owners,
    recv_q: u32,
    send_q: u32,
    timer: Timer,
    netns: u32,
    cookie: Option<u64>,
    skaddr: Option<json::Hex>,
}

#[derive(Serialize)]
struct OwnerFields<'a> {
    pid: u32,
    comm: Cow<'a, str>,
    fds: &'a [u32],
}

#[derive(Serialize)]
struct TimerFields {
    kind: &'static str,
    expires_in_ns: Option<u64>,
    retransmits: u8,
}

/// The timer as columns, which a missing one leaves empty.
struct TimerColumns(Option<TimerFields>);

impl Serialize for TimerColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timer = self.0.as_ref();
        let columns = (
            timer.map(|timer| timer.kind),
            timer.and_then(|timer| timer.expires_in_ns),
            timer.map(|timer| timer.retransmits),
        );
        columns.serialize(serializer)
    }
}

fn fields<Owners, Timer>(
    listed: &ListedSocket,
    owners: Owners,
    timer: Timer,
    csv: bool,
) -> Fields<Owners, Timer> {
    let socket = &listed.socket;
    let tuple = &socket.tuple;
    Fields {
        kind: "socket",
        // A dump knows all there is: an IPv6 socket without addresses is just that.
        family: addresses::family(tuple).unwrap_or("ipv6"),
        laddr: addresses::local_of_listed(socket),
        lport: tuple.local.port,
        raddr: tuple.remote.addr,
        rport: tuple.remote.port,
        v4mapped: addresses::v4mapped(tuple, csv),
        state: socket.state.name(),
        age_ns: listed.age.ns(),
        age: listed.age.name(),
        inode: socket.inode,
        owners,
        recv_q: socket.recv_q,
        send_q: socket.send_q,
        timer,
        netns: socket.netns,
        cookie: socket.cookie,
        skaddr: socket.skaddr.map(json::Hex),
    }
}

fn timer(socket: &Socket) -> Option<TimerFields> {
    socket.timer.map(|timer: Timer| TimerFields {
        kind: timer.kind.name(),
        // A timer that is due fires now.
        expires_in_ns: (timer.kind != TimerKind::Off)
            .then(|| timer.expires.since(socket.at).unwrap_or(0)),
        retransmits: timer.retransmits,
    })
}
