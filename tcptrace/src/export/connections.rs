//! The table of finished connections.

use arrow_array::{
    ArrayRef,
    types::{UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::{Field, Schema};

use super::column::{
    Column as _, Dwells, Flags, ForeignNames, Moments, Names, Numbers, Texts, columns,
};
use crate::output::{fields::connections::Fields, times::Utc};

columns! {
    row:
    "type" kind: Names = Some(row.kind);
    "conn" conn: Texts = Some(row.conn.0);
    "family" family: Names = row.family;
    "laddr" laddr: Texts = row.laddr;
    "lport" lport: Numbers<UInt16Type> = row.lport;
    "raddr" raddr: Texts = row.raddr;
    "rport" rport: Numbers<UInt16Type> = row.rport;
    "v4mapped" v4mapped: Flags = row.v4mapped;
    "role" role: Names = row.role;
    "opened" opened: Moments = row.opened.map(Utc::ns);
    "closed" closed: Moments = Some(row.closed.ns());
    "lifetime_ns" lifetime_ns: Numbers<UInt64Type> = row.lifetime_ns;
    "states" states: Dwells = row.states.ns;
    "tx_bytes" tx_bytes: Numbers<UInt64Type> = row.tx_bytes;
    "rx_bytes" rx_bytes: Numbers<UInt64Type> = row.rx_bytes;
    "retransmits" retransmits: Numbers<UInt32Type> = row.retransmits;
    "srtt_us" srtt_us: Numbers<UInt32Type> = row.srtt_us;
    "end" end: Names = row.end;
    "pid" pid: Numbers<UInt32Type> = row.pid;
    "comm" comm: ForeignNames = row.comm;
    "owner" owner: Names = row.owner;
    "netns" netns: Numbers<UInt32Type> = row.netns;
}
