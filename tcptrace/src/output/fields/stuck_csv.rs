//! The columns of a finding and of its end, for CSV.

use std::net::IpAddr;

use bytes::BytesMut;
use serde::Serialize;
use tcptrace_common::tcp_state::TcpState;

use super::stuck::expires_in_ns;
use crate::{
    model::{
        change::ConnectionId,
        findings::finding::{Finding, Resolved},
        socket_list::AgeSource,
    },
    output::{
        addresses, csv,
        json::Shown,
        people,
        times::{Times, Utc},
    },
};

/// The names of the columns of CSV.
pub(in crate::output) fn header(out: &mut BytesMut) {
    out.extend_from_slice(
        b"type,time,conn,family,laddr,lport,raddr,rport,v4mapped,state,kind,age_ns,age,age_from,\
          limit_ns,owners,peer,recv_q,send_q,timer.kind,expires_in_ns,cause,remedy,held_by,\
          closed_by,now,netns\n",
    );
}

/// Writes one finding as a line of CSV. Lists read as in the table, for a list in a field has no
/// standard.
pub(in crate::output) fn finding(out: &mut BytesMut, times: &Times, finding: &Finding) {
    let Finding { tuple, .. } = finding;
    let owners = people::owners(&finding.owners);
    csv::line(
        out,
        &Fields {
            kind: "stuck",
            time: times.utc(finding.at),
            conn: finding.conn.map(Shown),
            family: addresses::family(tuple).unwrap_or("ipv6"),
            laddr: tuple.local.addr,
            lport: tuple.local.port,
            raddr: tuple.remote.addr,
            rport: tuple.remote.port,
            v4mapped: tuple.v4mapped,
            state: finding.kind.state().name(),
            kind_of_finding: finding.kind.name(),
            age_ns: finding.age.ns(),
            age: finding.age.name(),
            age_from: finding.age_source.map(AgeSource::name),
            limit_ns: finding.limit.map(crate::time::nanoseconds),
            owners: Some(owners).filter(|owners| !owners.is_empty()),
            peer: finding.peer.as_ref().map(people::peer),
            recv_q: Some(finding.recv_q),
            send_q: Some(finding.send_q),
            timer: finding.timer.map(|timer| timer.kind.name()),
            expires_in_ns: expires_in_ns(finding),
            cause: Some(&finding.advice.cause),
            remedy: Some(finding.advice.remedy.join(" ")),
            held_by: Some(finding.held_by.name()),
            closed_by: finding.closed_by.as_ref().map(people::process),
            now: None,
            netns: finding.netns,
        },
    );
}

/// Writes the end of a finding as a line of CSV with the same columns.
pub(in crate::output) fn resolved(out: &mut BytesMut, times: &Times, resolved: &Resolved) {
    let Resolved { tuple, .. } = resolved;
    csv::line(
        out,
        &Fields {
            kind: "resolved",
            time: times.utc(resolved.at),
            conn: resolved.conn.map(Shown),
            family: addresses::family(tuple).unwrap_or("ipv6"),
            laddr: tuple.local.addr,
            lport: tuple.local.port,
            raddr: tuple.remote.addr,
            rport: tuple.remote.port,
            v4mapped: tuple.v4mapped,
            state: resolved.kind.state().name(),
            kind_of_finding: resolved.kind.name(),
            age_ns: resolved.age.ns(),
            age: resolved.age.name(),
            age_from: None,
            limit_ns: None,
            owners: resolved.process.as_ref().map(people::process),
            peer: None,
            recv_q: None,
            send_q: None,
            timer: None,
            expires_in_ns: None,
            cause: None,
            remedy: None,
            held_by: None,
            closed_by: None,
            now: resolved.now.map(TcpState::name),
            netns: resolved.netns,
        },
    );
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: Utc,
    conn: Option<Shown<ConnectionId>>,
    family: &'static str,
    laddr: Option<IpAddr>,
    lport: Option<u16>,
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    v4mapped: bool,
    state: &'static str,
    #[serde(rename = "kind")]
    kind_of_finding: &'static str,
    age_ns: Option<u64>,
    age: &'static str,
    age_from: Option<&'static str>,
    limit_ns: Option<u64>,
    owners: Option<String>,
    peer: Option<String>,
    recv_q: Option<u32>,
    send_q: Option<u32>,
    timer: Option<&'static str>,
    expires_in_ns: Option<u64>,
    cause: Option<&'a str>,
    remedy: Option<String>,
    held_by: Option<&'static str>,
    closed_by: Option<String>,
    now: Option<&'static str>,
    netns: u32,
}
