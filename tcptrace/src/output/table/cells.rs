//! Cells that several tables have in common; `-` is unknown.

use std::fmt;

use crate::{
    event::Endpoint,
    model::change::{Dwell, Identity, Owner},
    output::{addresses::End, escape, row::Row, units::Known},
};

/// Width of a process id: `pid_max` is at most 4194304.
pub(super) const PID: usize = 7;
/// Width of a name in a narrow table, where longer ones are cut and marked.
pub(super) const COMM: usize = 10;
/// Width of a name in a wide table, which has room for all the kernel keeps.
pub(super) const WIDE_COMM: usize = 15;
/// Width of a port.
pub(super) const PORT: usize = 5;
/// Width of an IPv4 address with its port.
pub(super) const IPV4: usize = 21;
/// Width of any address with its port.
pub(super) const IPV6: usize = 47;
/// Width of the longest state a full socket shows.
pub(super) const STATE: usize = 11;
/// Width of a time with its mark.
pub(super) const DWELL: usize = 8;

/// Writes the columns PID and COMM of the owner.
pub(super) fn process(row: &mut Row, identity: &Identity, owner: &Owner, wide: bool) {
    let Some(process) = owner.process() else {
        row.text("-");
        row.left(PID);
        row.text(if identity.kernel { "kernel" } else { "-" });
        row.left(if wide { WIDE_COMM } else { COMM });
        return;
    };
    row.number(process.pid);
    row.left(PID);
    let width = if wide { usize::MAX } else { COMM };
    let (name, columns) = escape::fitted(&process.comm, width, "+");
    row.text_of_width(&name, columns);
    row.left(if wide { WIDE_COMM } else { COMM });
}

/// Writes the columns LPORT and REMOTE of a narrow table.
pub(super) fn narrow_ends(row: &mut Row, identity: &Identity) {
    optional(row, identity.tuple.local.port);
    row.left(PORT);
    end(row, &identity.tuple.remote, IPV4);
}

/// Writes the columns LOCAL and REMOTE of a wide table.
pub(super) fn wide_ends(row: &mut Row, identity: &Identity) {
    end(row, &identity.tuple.local, IPV6);
    end(row, &identity.tuple.remote, IPV6);
}

/// Writes a number that may be unknown.
pub(super) fn optional(row: &mut Row, number: Option<impl itoa::Integer>) {
    match number {
        Some(number) => row.number(number),
        None => row.text("-"),
    }
}

/// Writes the column of a time.
pub(super) fn dwell(row: &mut Row, dwell: Dwell, width: usize) {
    // Memory always takes what is written.
    _ = Known(dwell).write(row);
    row.right(width);
}

/// Writes something that may be unknown.
pub(super) fn shown(row: &mut Row, value: Option<impl fmt::Display>) {
    match value {
        Some(value) => row.show(value),
        None => row.text("-"),
    }
}

fn end(row: &mut Row, endpoint: &Endpoint, width: usize) {
    // Memory always takes what is written.
    _ = End(endpoint).write(row);
    row.left(width);
}
