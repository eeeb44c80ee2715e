//! What bcc's tcpstates and tcplife print, column for column, so that scripts made for them go on
//! working.
//!
//! bcc prints zeros for what it does not know, so this is the one format that does, too. Its
//! addresses are those of the socket: a v4-mapped one is an IPv6 one here.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use bytes::BytesMut;

use super::{
    escape,
    row::Row,
    style::Style,
    times::{self, Times},
};
use crate::{
    event::{Endpoint, Process, Tuple},
    model::change::{Dwell, Finished, Moved},
};

pub(super) fn transition_header(out: &mut BytesMut, style: &Style) {
    let mut row = Row::new(out);
    times::heads(&mut row, style, anstyle::Style::new());
    let name = |row: &mut Row, name: &str, width| {
        row.text(name);
        row.left(width);
    };
    name(&mut row, "SKADDR", 16);
    name(&mut row, "C-PID", 5);
    ends_header(&mut row, style, "C-COMM");
    name(&mut row, "OLDSTATE", 11);
    name(&mut row, "->", 2);
    name(&mut row, "NEWSTATE", 11);
    row.text("MS");
    row.end();
}

pub(super) fn transition(out: &mut BytesMut, style: &Style, times: &mut Times, moved: &Moved) {
    let mut row = Row::new(out);
    times.columns(&mut row, style, moved.at);
    row.show(format_args!("{:x}", moved.identity.skaddr.unwrap_or_default()));
    row.left(16);
    row.number(pid(moved.on_cpu.as_ref()));
    row.left(5);
    ends(&mut row, style, moved.on_cpu.as_ref(), &moved.identity.tuple);
    row.text(moved.from.name());
    row.left(11);
    row.text("->");
    row.left(2);
    row.text(moved.to.name());
    row.left(11);
    row.show(milliseconds(moved.dwell));
    row.end();
}

pub(super) fn transition_csv_header(out: &mut BytesMut, style: &Style) {
    times_csv_header(out, style);
    let names = "SKADDR,C-PID,C-COMM,IP,LADDR,LPORT,RADDR,RPORT,OLDSTATE,NEWSTATE,MS\n";
    out.extend_from_slice(names.as_bytes());
}

pub(super) fn transition_csv(out: &mut BytesMut, style: &Style, times: &mut Times, moved: &Moved) {
    times.bcc_fields(out, style, moved.at);
    let mut row = Row::new(out);
    row.show(format_args!("{:x},", moved.identity.skaddr.unwrap_or_default()));
    row.show(format_args!("{},", pid(moved.on_cpu.as_ref())));
    ends_csv(&mut row, moved.on_cpu.as_ref(), &moved.identity.tuple);
    row.show(format_args!("{},{},{}", moved.from, moved.to, milliseconds(moved.dwell)));
    row.end();
}

pub(super) fn lifetime_header(out: &mut BytesMut, style: &Style) {
    let mut row = Row::new(out);
    times::heads(&mut row, style, anstyle::Style::new());
    row.text("PID");
    row.left(5);
    ends_header(&mut row, style, "COMM");
    for name in ["TX_KB", "RX_KB"] {
        row.text(name);
        row.right(if style.wide { 6 } else { 5 });
    }
    row.text("MS");
    row.end();
}

pub(super) fn lifetime(out: &mut BytesMut, style: &Style, times: &mut Times, life: &Finished) {
    let Some(ms) = lifetime_ms(life) else {
        return;
    };
    let process = life.owner.process().or(life.on_cpu.as_ref());
    let mut row = Row::new(out);
    times.columns(&mut row, style, life.closed);
    row.number(pid(process));
    row.left(5);
    ends(&mut row, style, process, &life.identity.tuple);
    let counters = life.counters.unwrap_or_default();
    for bytes in [counters.tx_bytes, counters.rx_bytes] {
        row.number(bytes / 1024);
        row.right(if style.wide { 6 } else { 5 });
    }
    row.show(format_args!("{ms:.2}"));
    row.end();
}

pub(super) fn lifetime_csv_header(out: &mut BytesMut, style: &Style) {
    times_csv_header(out, style);
    out.extend_from_slice(b"PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS\n");
}

pub(super) fn lifetime_csv(out: &mut BytesMut, style: &Style, times: &mut Times, life: &Finished) {
    let Some(ms) = lifetime_ms(life) else {
        return;
    };
    let process = life.owner.process().or(life.on_cpu.as_ref());
    let counters = life.counters.unwrap_or_default();
    let (tx, rx) = (counters.tx_bytes / 1024, counters.rx_bytes / 1024);
    times.bcc_fields(out, style, life.closed);
    let mut row = Row::new(out);
    row.show(format_args!("{},", pid(process)));
    ends_csv(&mut row, process, &life.identity.tuple);
    row.show(format_args!("{tx},{rx},{ms:.2}"));
    row.end();
}

/// tcplife takes a new birth at each early state, so ESTABLISHED is the one that counts, and it
/// says nothing of a connection whose birth it missed.
fn lifetime_ms(life: &Finished) -> Option<f64> {
    let birth = life.established.or(life.opened)?;
    let us = life.closed.since(birth)? / 1_000;
    // Exact up to 285 years of microseconds.
    #[expect(clippy::cast_precision_loss, reason = "two decimals are printed")]
    let ms = us as f64 / 1_000.0;
    Some(ms)
}

/// tcpstates knows no time for a state it did not see begin.
fn milliseconds(dwell: Dwell) -> impl fmt::Display {
    let us = match dwell {
        Dwell::Exact(ns) => ns / 1_000,
        Dwell::AtLeast(_) | Dwell::Estimated(_) | Dwell::Unknown => 0,
    };
    fmt::from_fn(move |f| write!(f, "{}.{:03}", us / 1_000, us % 1_000))
}

fn pid(process: Option<&Process>) -> u32 {
    process.map_or(0, |process| process.pid)
}

fn ends_header(row: &mut Row, style: &Style, comm: &str) {
    row.text(comm);
    row.left(comm_width(style));
    if style.wide {
        row.text("IP");
        row.left(2);
    }
    for (addr, port) in [("LADDR", "LPORT"), ("RADDR", "RPORT")] {
        row.text(addr);
        row.left(addr_width(style));
        row.text(port);
        row.left(5);
    }
}

fn ends(row: &mut Row, style: &Style, process: Option<&Process>, tuple: &Tuple) {
    // A missing name would shift the columns of whoever splits at spaces.
    let unknown = (Cow::Borrowed("-"), 1);
    let width = comm_width(style);
    let fitted = process.map(|process| escape::fitted(&process.comm, width, ""));
    let (name, columns) = fitted.unwrap_or(unknown);
    row.text_of_width(&name, columns);
    row.left(width);
    if style.wide {
        row.number(version(tuple));
        row.left(2);
    }
    for end in [&tuple.local, &tuple.remote] {
        row.show(addr(tuple, end));
        row.left(addr_width(style));
        row.number(end.port.unwrap_or(0));
        row.left(5);
    }
}

fn ends_csv(row: &mut Row, process: Option<&Process>, tuple: &Tuple) {
    let name = process.map_or(Cow::Borrowed("-"), |process| escape::printable(&process.comm));
    // bcc quotes nothing, so a comma in the name must not read as the end of a field.
    row.show(format_args!("{},{},", name.replace(',', r"\x2c"), version(tuple)));
    for end in [&tuple.local, &tuple.remote] {
        row.show(format_args!("{},{},", addr(tuple, end), end.port.unwrap_or(0)));
    }
}

fn times_csv_header(out: &mut BytesMut, style: &Style) {
    let time = if style.time { "TIME," } else { "" };
    let seconds = if style.seconds { "TIME(s)," } else { "" };
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(seconds.as_bytes());
}

fn version(tuple: &Tuple) -> u8 {
    if tuple.ipv6 { 6 } else { 4 }
}

fn addr(tuple: &Tuple, end: &Endpoint) -> IpAddr {
    match end.addr {
        Some(IpAddr::V4(addr)) if tuple.ipv6 => addr.to_ipv6_mapped().into(),
        Some(addr) => addr,
        None if tuple.ipv6 => Ipv6Addr::UNSPECIFIED.into(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

fn comm_width(style: &Style) -> usize {
    if style.wide { 16 } else { 10 }
}

fn addr_width(style: &Style) -> usize {
    if style.wide { 39 } else { 15 }
}
