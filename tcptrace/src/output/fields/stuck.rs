//! The fields of a finding and of its end, for JSON.

use std::{borrow::Cow, net::IpAddr};

use bytes::BytesMut;
use serde::{Serialize, Serializer};
use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Process, ProcessDetails, Sysctl, Timer, TimerKind},
    model::{
        change::ConnectionId,
        findings::finding::{Finding, FindingOwner, Peer, Pressure, Resolved},
        socket_list::AgeSource,
    },
    output::{
        addresses,
        json::{self, Shown},
        times::{Times, Utc},
    },
    time::Timestamp,
};

/// Writes one finding as a line of JSON.
pub(in crate::output) fn json(out: &mut BytesMut, times: &Times, finding: &Finding) {
    json::line(out, &fields(times, finding));
}

/// The fields of a finding.
pub(in crate::output) fn fields<'a>(
    times: &Times,
    finding: &'a Finding,
) -> impl Serialize + use<'a> {
    let Finding { tuple, .. } = finding;
    Fields {
        kind: "stuck",
        conn: finding.conn.map(Shown),
        family: addresses::family(tuple).unwrap_or("ipv6"),
        laddr: tuple.local.addr,
        lport: tuple.local.port,
        raddr: tuple.remote.addr,
        rport: tuple.remote.port,
        v4mapped: addresses::v4mapped(tuple, false),
        state: finding.kind.state().name(),
        kind_of_finding: finding.kind.name(),
        age_ns: finding.age.ns(),
        age: finding.age.name(),
        age_from: finding.age_source.map(AgeSource::name),
        limit_ns: finding.limit.map(crate::time::nanoseconds),
        owners: finding.owners.iter().map(owner).collect(),
        peer: finding.peer.as_ref().map(peer),
        recv_q: finding.recv_q,
        send_q: finding.send_q,
        timer: finding.timer.map(|timer| timer_fields(&timer, finding.at)),
        expires_in_ns: expires_in_ns(finding),
        cause: &finding.advice.cause,
        remedy: &finding.advice.remedy,
        sysctls: Settings(&finding.advice.sysctls),
        useless: &finding.advice.useless,
        held_by: finding.held_by.name(),
        closed_by: finding.closed_by.as_ref().map(process),
        pressure: finding.pressure.as_ref().map(pressure),
        again: finding.again,
        time: times.utc(finding.at),
        netns: finding.netns,
    }
}

/// Writes the end of a finding as a line of JSON.
pub(in crate::output) fn resolved_json(out: &mut BytesMut, times: &Times, resolved: &Resolved) {
    let Resolved { tuple, .. } = resolved;
    json::line(
        out,
        &ResolvedFields {
            kind: "resolved",
            time: times.utc(resolved.at),
            conn: resolved.conn.map(Shown),
            family: addresses::family(tuple).unwrap_or("ipv6"),
            laddr: tuple.local.addr,
            lport: tuple.local.port,
            raddr: tuple.remote.addr,
            rport: tuple.remote.port,
            v4mapped: addresses::v4mapped(tuple, false),
            state: resolved.kind.state().name(),
            kind_of_finding: resolved.kind.name(),
            age_ns: resolved.age.ns(),
            age: resolved.age.name(),
            now: resolved.now.map(TcpState::name),
            pid: resolved.process.map(|process| process.pid),
            comm: resolved.process.as_ref().map(name),
            netns: resolved.netns,
        },
    );
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    conn: Option<Shown<ConnectionId>>,
    family: &'static str,
    laddr: Option<IpAddr>,
    lport: Option<u16>,
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v4mapped: Option<bool>,
    state: &'static str,
    #[serde(rename = "kind")]
    kind_of_finding: &'static str,
    age_ns: Option<u64>,
    age: &'static str,
    age_from: Option<&'static str>,
    limit_ns: Option<u64>,
    owners: Vec<OwnerFields<'a>>,
    peer: Option<PeerFields<'a>>,
    recv_q: u32,
    send_q: u32,
    timer: Option<TimerFields>,
    expires_in_ns: Option<u64>,
    cause: &'a str,
    remedy: &'a [String],
    sysctls: Settings<'a>,
    useless: &'a str,
    held_by: &'static str,
    closed_by: Option<ProcessFields<'a>>,
    pressure: Option<PressureFields>,
    again: bool,
    time: Utc,
    netns: u32,
}

#[derive(Serialize)]
struct ResolvedFields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: Utc,
    conn: Option<Shown<ConnectionId>>,
    family: &'static str,
    laddr: Option<IpAddr>,
    lport: Option<u16>,
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v4mapped: Option<bool>,
    state: &'static str,
    #[serde(rename = "kind")]
    kind_of_finding: &'static str,
    age_ns: Option<u64>,
    age: &'static str,
    now: Option<&'static str>,
    pid: Option<u32>,
    comm: Option<Cow<'a, str>>,
    netns: u32,
}

#[derive(Serialize)]
struct OwnerFields<'a> {
    pid: u32,
    comm: Cow<'a, str>,
    cmdline: Option<String>,
    fds: &'a [u32],
    cgroup: Option<&'a str>,
    container: Option<&'a str>,
}

#[derive(Serialize)]
struct ProcessFields<'a> {
    pid: u32,
    comm: Cow<'a, str>,
}

#[derive(Serialize)]
struct PeerFields<'a> {
    state: &'static str,
    owners: Vec<OwnerFields<'a>>,
    held_by: &'static str,
    netns: u32,
}

#[derive(Serialize)]
struct TimerFields {
    kind: &'static str,
    expires_in_ns: Option<u64>,
    retransmits: u8,
}

#[derive(Serialize)]
struct PressureFields {
    time_wait: u32,
    in_use: u32,
    ports: u32,
    percent: u32,
    per_second: f64,
    runs_out_in_ns: Option<u64>,
}

/// Settings by name: numbers as numbers, all else as text.
struct Settings<'a>(&'a [(Sysctl, String)]);

impl Serialize for Settings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Value<'a> {
            Number(i64),
            Text(&'a str),
        }
        serializer.collect_map(self.0.iter().map(|(sysctl, text)| {
            (sysctl.name(), text.parse().map_or(Value::Text(text), Value::Number))
        }))
    }
}

fn name(process: &Process) -> Cow<'_, str> {
    String::from_utf8_lossy(process.comm.as_bytes())
}

fn process(process: &Process) -> ProcessFields<'_> {
    ProcessFields { pid: process.pid, comm: name(process) }
}

fn owner(owner: &FindingOwner) -> OwnerFields<'_> {
    let details = owner.details.as_deref();
    OwnerFields {
        pid: owner.process.pid,
        comm: name(&owner.process),
        cmdline: details.and_then(ProcessDetails::command),
        fds: &owner.fds,
        cgroup: details.and_then(|details| details.cgroup.as_deref()),
        container: details.and_then(ProcessDetails::container),
    }
}

fn peer(peer: &Peer) -> PeerFields<'_> {
    PeerFields {
        state: peer.state.name(),
        owners: peer.owners.iter().map(owner).collect(),
        held_by: peer.held_by.name(),
        netns: peer.netns,
    }
}

fn timer_fields(timer: &Timer, at: Timestamp) -> TimerFields {
    TimerFields {
        kind: timer.kind.name(),
        expires_in_ns: (timer.kind != TimerKind::Off).then(|| timer.expires.since(at).unwrap_or(0)),
        retransmits: timer.retransmits,
    }
}

pub(super) fn expires_in_ns(finding: &Finding) -> Option<u64> {
    finding.expires.map(|expires| expires.since(finding.at).unwrap_or(0))
}

fn pressure(pressure: &Pressure) -> PressureFields {
    PressureFields {
        time_wait: pressure.time_wait,
        in_use: pressure.in_use,
        ports: pressure.ports,
        percent: pressure.percent(),
        per_second: (pressure.per_second * 10.0).round() / 10.0,
        runs_out_in_ns: pressure.runs_out_in.map(crate::time::nanoseconds),
    }
}
