//! The fields of a transition.

use std::net::IpAddr;

use bytes::BytesMut;
use serde::Serialize;

use crate::{
    model::change::{ConnectionId, Moved, Reason},
    output::{
        addresses, csv, escape,
        json::{self, Hex, Shown},
        times::{Times, Utc},
    },
};

/// Writes one line of CSV.
pub(in crate::output) fn csv(out: &mut BytesMut, times: &Times, moved: &Moved) {
    let comm = moved.owner.process().map(|process| escape::printable(&process.comm));
    csv::line(out, &fields(times, moved, comm.as_deref(), true));
}

/// Writes the names of the columns.
pub(in crate::output) fn csv_header(out: &mut BytesMut) {
    out.extend_from_slice(HEADER.as_bytes());
}

/// Writes one line of JSON.
pub(in crate::output) fn json(out: &mut BytesMut, times: &Times, moved: &Moved) {
    let process = moved.owner.process();
    let comm = process.map(|process| String::from_utf8_lossy(process.comm.as_bytes()));
    json::line(out, &fields(times, moved, comm.as_deref(), false));
}

/// The names of [`Fields`], as CSV.
const HEADER: &str = "type,time,boot_ns,conn,family,laddr,lport,raddr,rport,v4mapped,from,to,dwell_ns,dwell,\
    evidence,reason,pid,comm,owner,netns,cookie,skaddr\n";

/// What is told of a transition, under the names that JSON has for it.
#[derive(Serialize)]
pub(crate) struct Fields<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) time: Utc,
    pub(crate) boot_ns: u64,
    pub(crate) conn: Shown<ConnectionId>,
    pub(crate) family: Option<&'static str>,
    pub(crate) laddr: Option<IpAddr>,
    pub(crate) lport: Option<u16>,
    pub(crate) raddr: Option<IpAddr>,
    pub(crate) rport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) v4mapped: Option<bool>,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) dwell_ns: Option<u64>,
    pub(crate) dwell: &'static str,
    pub(crate) evidence: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) pid: Option<u32>,
    pub(crate) comm: Option<&'a str>,
    pub(crate) owner: Option<&'static str>,
    pub(crate) netns: Option<u32>,
    pub(crate) cookie: Option<u64>,
    pub(crate) skaddr: Option<Hex>,
}

/// The fields of one; in CSV all columns are always there.
pub(crate) fn fields<'a>(
    times: &Times,
    moved: &'a Moved,
    comm: Option<&'a str>,
    csv: bool,
) -> Fields<'a> {
    let identity = &moved.identity;
    let tuple = &identity.tuple;
    Fields {
        kind: "transition",
        time: times.utc(moved.at),
        boot_ns: moved.at.0,
        conn: Shown(identity.id),
        family: addresses::family(tuple),
        laddr: tuple.local.addr,
        lport: tuple.local.port,
        raddr: tuple.remote.addr,
        rport: tuple.remote.port,
        v4mapped: addresses::v4mapped(tuple, csv),
        from: moved.from.name(),
        to: moved.to.name(),
        dwell_ns: moved.dwell.ns(),
        dwell: moved.dwell.name(),
        evidence: moved.evidence.name(),
        reason: moved.reason.map(Reason::name),
        pid: moved.owner.process().map(|process| process.pid),
        comm,
        owner: moved.owner.name(),
        netns: identity.netns,
        cookie: identity.cookie,
        skaddr: identity.skaddr.map(Hex),
    }
}
