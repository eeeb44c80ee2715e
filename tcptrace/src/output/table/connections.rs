//! Finished connections in a table.

use bytes::BytesMut;

use super::{
    cells::{self, COMM, DWELL, IPV4, IPV6, PID, PORT, WIDE_COMM},
    color,
};
use crate::{
    model::change::{DWELL_STATES, Dwell, Finished, Role, STATE_SLOTS},
    output::{
        row::Row,
        style::Style,
        times::{self, Times},
        units::{Nanoseconds, Size},
    },
};

pub(in crate::output) fn header(out: &mut BytesMut, style: &Style) {
    let paint = color::of_head(style.color);
    let mut row = Row::new(out);
    times::heads(&mut row, style, paint);
    let left = |row: &mut Row, name, width| {
        row.painted(paint, name);
        row.left(width);
    };
    let right = |row: &mut Row, name, width| {
        row.painted(paint, name);
        row.right(width);
    };
    left(&mut row, "PID", PID);
    if style.wide {
        left(&mut row, "COMM", WIDE_COMM);
        left(&mut row, "OWNER", 6);
        left(&mut row, "LOCAL", IPV6);
        left(&mut row, "REMOTE", IPV6);
        left(&mut row, "ROLE", 7);
    } else {
        left(&mut row, "COMM", COMM);
        left(&mut row, "LPORT", PORT);
        left(&mut row, "REMOTE", IPV4);
    }
    right(&mut row, "LIFE", life_width(style));
    right(&mut row, "TX", 5);
    right(&mut row, "RX", 5);
    if style.wide {
        right(&mut row, "RETR", 5);
        right(&mut row, "SRTT", 6);
    }
    left(&mut row, "END", 13);
    if style.wide {
        left(&mut row, "NETNS", 10);
        row.painted(paint, "STATES");
    }
    row.end();
}

pub(in crate::output) fn line(
    out: &mut BytesMut,
    style: &Style,
    times: &mut Times,
    life: &Finished,
) {
    let mut row = Row::new(out);
    times.columns(&mut row, style, life.closed);
    cells::process(&mut row, &life.identity, &life.owner, style.wide);
    if style.wide {
        row.text(life.owner.name().unwrap_or("-"));
        row.left(6);
        cells::wide_ends(&mut row, &life.identity);
        row.text(life.role.map_or("-", Role::name));
        row.left(7);
    } else {
        cells::narrow_ends(&mut row, &life.identity);
    }
    cells::dwell(&mut row, lifetime(life), life_width(style));
    cells::shown(&mut row, life.counters.map(|counters| Size(counters.tx_bytes)));
    row.right(5);
    cells::shown(&mut row, life.counters.map(|counters| Size(counters.rx_bytes)));
    row.right(5);
    if style.wide {
        cells::optional(&mut row, life.counters.map(|counters| counters.retransmits));
        row.right(5);
        let srtt_us = life.counters.and_then(|counters| counters.srtt_us);
        cells::shown(&mut row, srtt_us.map(|us| Nanoseconds(u64::from(us) * 1_000)));
        row.right(6);
    }
    row.painted(color::of_end(style.color, life.end), life.end.name().unwrap_or("-"));
    if style.wide {
        row.left(13);
        cells::optional(&mut row, life.identity.netns);
        row.left(10);
        state_times(&mut row, &life.states);
    }
    row.end();
}

/// Seven columns keep the longest end within 80; the mark of a lower bound needs one more only in
/// the first millisecond of a trace.
fn life_width(style: &Style) -> usize {
    if style.wide { DWELL } else { 7 }
}

/// From first to last state; of a connection older than the trace, from when we first saw it.
fn lifetime(life: &Finished) -> Dwell {
    let known = |since| life.closed.since(since);
    match life.opened {
        Some(opened) => known(opened).map_or(Dwell::Unknown, Dwell::Exact),
        None => known(life.identity.id.first_seen).map_or(Dwell::Unknown, Dwell::AtLeast),
    }
}

/// `SYN_SENT=53.1us,ESTABLISHED=1.25s`.
fn state_times(row: &mut Row, states: &[Option<u64>; STATE_SLOTS]) {
    let mut separator = "";
    for (state, ns) in DWELL_STATES.iter().zip(states) {
        if let Some(ns) = ns {
            row.show(format_args!("{separator}{state}={}", Nanoseconds(*ns)));
            separator = ",";
        }
    }
    if separator.is_empty() {
        row.text("-");
    }
}
