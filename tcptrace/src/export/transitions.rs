//! The table of transitions.

use arrow_array::{
    ArrayRef,
    types::{UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::{Field, Schema};

use super::column::{Column as _, Flags, ForeignNames, Moments, Names, Numbers, Texts, columns};
use crate::output::fields::transitions::Fields;

columns! {
    row:
    "type" kind: Names = Some(row.kind);
    "time" time: Moments = Some(row.time.ns());
    "boot_ns" boot_ns: Numbers<UInt64Type> = Some(row.boot_ns);
    "conn" conn: Texts = Some(row.conn.0);
    "family" family: Names = row.family;
    "laddr" laddr: Texts = row.laddr;
    "lport" lport: Numbers<UInt16Type> = row.lport;
    "raddr" raddr: Texts = row.raddr;
    "rport" rport: Numbers<UInt16Type> = row.rport;
    "v4mapped" v4mapped: Flags = row.v4mapped;
    "from" from: Names = Some(row.from);
    "to" to: Names = Some(row.to);
    "dwell_ns" dwell_ns: Numbers<UInt64Type> = row.dwell_ns;
    "dwell" dwell: Names = Some(row.dwell);
    "evidence" evidence: Names = Some(row.evidence);
    "reason" reason: Names = row.reason;
    "pid" pid: Numbers<UInt32Type> = row.pid;
    "comm" comm: ForeignNames = row.comm;
    "owner" owner: Names = row.owner;
    "netns" netns: Numbers<UInt32Type> = row.netns;
    "cookie" cookie: Numbers<UInt64Type> = row.cookie;
    "skaddr" skaddr: Texts = row.skaddr.as_ref();
}
