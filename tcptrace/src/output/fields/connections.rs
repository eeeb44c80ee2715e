//! The fields of a finished connection.

use std::net::IpAddr;

use bytes::BytesMut;
use serde::{Serialize, Serializer};

use crate::{
    model::change::{ConnectionId, DWELL_STATES, Finished, Role, STATE_SLOTS},
    output::{
        addresses, csv, escape,
        json::{self, Shown},
        times::{Times, Utc},
    },
};

/// Writes one line of CSV.
pub(in crate::output) fn csv(out: &mut BytesMut, times: &Times, life: &Finished) {
    let comm = life.owner.process().map(|process| escape::printable(&process.comm));
    csv::line(out, &fields(times, life, comm.as_deref(), true));
}

/// Writes the names of the columns.
pub(in crate::output) fn csv_header(out: &mut BytesMut) {
    out.extend_from_slice(HEADER.as_bytes());
}

/// Writes one line of JSON.
pub(in crate::output) fn json(out: &mut BytesMut, times: &Times, life: &Finished) {
    let process = life.owner.process();
    let comm = process.map(|process| String::from_utf8_lossy(process.comm.as_bytes()));
    json::line(out, &fields(times, life, comm.as_deref(), false));
}

/// The names of [`Fields`], as CSV; `states` is one column per state.
const HEADER: &str = "type,conn,family,laddr,lport,raddr,rport,v4mapped,role,opened,closed,lifetime_ns,\
    states.SYN_SENT,states.SYN_RECV,states.ESTABLISHED,states.FIN_WAIT1,states.FIN_WAIT2,\
    states.CLOSING,states.CLOSE_WAIT,states.LAST_ACK,tx_bytes,rx_bytes,retransmits,srtt_us,\
    end,pid,comm,owner,netns\n";

/// What is told of a finished connection, under the names that JSON has for it.
#[derive(Serialize)]
pub(crate) struct Fields<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) conn: Shown<ConnectionId>,
    pub(crate) family: Option<&'static str>,
    pub(crate) laddr: Option<IpAddr>,
    pub(crate) lport: Option<u16>,
    pub(crate) raddr: Option<IpAddr>,
    pub(crate) rport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) v4mapped: Option<bool>,
    pub(crate) role: Option<&'static str>,
    pub(crate) opened: Option<Utc>,
    pub(crate) closed: Utc,
    pub(crate) lifetime_ns: Option<u64>,
    pub(crate) states: States<'a>,
    pub(crate) tx_bytes: Option<u64>,
    pub(crate) rx_bytes: Option<u64>,
    pub(crate) retransmits: Option<u32>,
    pub(crate) srtt_us: Option<u32>,
    pub(crate) end: Option<&'static str>,
    pub(crate) pid: Option<u32>,
    pub(crate) comm: Option<&'a str>,
    pub(crate) owner: Option<&'static str>,
    pub(crate) netns: Option<u32>,
}

/// In JSON an object of the states with a known time; in CSV all of them, in order.
pub(crate) struct States<'a> {
    pub(crate) ns: &'a [Option<u64>; STATE_SLOTS],
    csv: bool,
}

impl Serialize for States<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.csv {
            return self.ns.serialize(serializer);
        }
        let states = DWELL_STATES.iter().zip(self.ns);
        serializer.collect_map(states.filter_map(|(state, ns)| Some((state.name(), (*ns)?))))
    }
}

/// The fields of one; in CSV all columns are always there.
pub(crate) fn fields<'a>(
    times: &Times,
    life: &'a Finished,
    comm: Option<&'a str>,
    csv: bool,
) -> Fields<'a> {
    let tuple = &life.identity.tuple;
    Fields {
        kind: "connection",
        conn: Shown(life.identity.id),
        family: addresses::family(tuple),
        laddr: tuple.local.addr,
        lport: tuple.local.port,
        raddr: tuple.remote.addr,
        rport: tuple.remote.port,
        v4mapped: addresses::v4mapped(tuple, csv),
        role: life.role.map(Role::name),
        opened: life.opened.map(|opened| times.utc(opened)),
        closed: times.utc(life.closed),
        lifetime_ns: life.opened.and_then(|opened| life.closed.since(opened)),
        states: States { ns: &life.states, csv },
        tx_bytes: life.counters.map(|counters| counters.tx_bytes),
        rx_bytes: life.counters.map(|counters| counters.rx_bytes),
        retransmits: life.counters.map(|counters| counters.retransmits),
        srtt_us: life.counters.and_then(|counters| counters.srtt_us),
        end: life.end.name(),
        pid: life.owner.process().map(|process| process.pid),
        comm,
        owner: life.owner.name(),
        netns: life.identity.netns,
    }
}
