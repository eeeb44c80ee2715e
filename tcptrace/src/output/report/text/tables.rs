//! The numbers of a report, in tables.

use bytes::BytesMut;
use std::{fmt, hash::Hash};

use super::{head, line};
use crate::{
    model::{
        change::{End, Role},
        report::{Report, STATES, WAITING, dwells::Dwells, tally::Tally},
    },
    output::{
        people,
        report::{TOP, words},
        row::Row,
        table::color,
        units::Nanoseconds,
    },
};

const STATE: usize = 11;
const COUNT: usize = 9;
const TIME: usize = 8;
/// The line of an empty table.
const NONE: &str = "        - none";

/// Writes how long connections were in each state, and in all.
pub(super) fn states(out: &mut BytesMut, report: &Report, color: bool) {
    let rows = STATES.iter().zip(&report.dwells).filter(|(_, dwells)| dwells.total() > 0);
    let bold = color::of_head(color);
    head(out, color, "Time in each state: quantiles of the times known exactly");
    let mut row = Row::new(out);
    row.painted(bold, "STATE");
    row.left(STATE);
    row.painted(bold, "EXACT");
    row.right(COUNT);
    for head in ["P50", "P90", "P99", "MAX"] {
        row.painted(bold, head);
        row.right(TIME);
    }
    row.painted(bold, "NOT EXACT");
    row.right(COUNT);
    row.end();
    for (state, dwells) in rows {
        let mut row = Row::new(out);
        row.painted(color::of_state(color, *state), state.name());
        row.left(STATE);
        times(row, dwells);
    }
    let mut row = Row::new(out);
    row.text("lifetime");
    row.left(STATE);
    times(row, &report.lifetimes);
}

fn times(mut row: Row, dwells: &Dwells) {
    row.number(dwells.exact.count());
    row.right(COUNT);
    let shares = [0.5, 0.9, 0.99].map(|share| dwells.exact.at(share));
    for ns in shares.into_iter().chain([dwells.exact.max()]) {
        match ns {
            Some(ns) => row.show(Nanoseconds(ns)),
            None => row.text("-"),
        }
        row.right(TIME);
    }
    row.number(dwells.others());
    row.right(COUNT);
    row.end();
}

/// Writes how connections ended, whose they were, and what they were for.
pub(super) fn connections(out: &mut BytesMut, report: &Report, color: bool) {
    head(out, color, "How connections ended");
    for (end, number) in End::ALL.iter().zip(report.ends).filter(|(_, count)| *count > 0) {
        count(out, number, end.name().unwrap_or("not known"));
    }
    if report.ends.iter().all(|count| *count == 0) {
        line(out, NONE);
    }
    head(out, color, "Who opened the connections that ended");
    for role in [Role::Passive, Role::Active] {
        let who = match role {
            Role::Active => "this host",
            Role::Passive => "the other end",
        };
        count(out, report.roles.of(&role), who);
    }
    match report.roles.shares(0).unknown {
        0 => {}
        number => count(out, number, "not known: they began before the trace"),
    }
    head(out, color, "What they were for");
    top(out, &report.services, words::service_port, "not known");
    head(out, color, "Whose they were");
    top(out, &report.processes, people::process, "not known, or of nobody");
}

/// Writes who entered the states that wait, most often.
pub(super) fn waiting(out: &mut BytesMut, report: &Report, color: bool) {
    for (state, entered) in WAITING.iter().zip(&report.entered) {
        head(out, color, &format!("Who entered {state} most often"));
        top(out, &entered.processes, people::process, "not known, or of nobody");
        head(out, color, &format!("With whom {state} was entered most often"));
        top(out, &entered.peers, ToString::to_string, "not known");
    }
}

fn top<K: Copy + Ord + Hash>(
    out: &mut BytesMut,
    tally: &Tally<K>,
    name: impl Fn(&K) -> String,
    of_unknown: &str,
) {
    let shares = tally.shares(TOP);
    for (key, number) in &shares.top {
        count(out, *number, name(key));
    }
    let left_out = words::left_out(&shares, of_unknown);
    if shares.top.is_empty() && left_out.is_empty() {
        line(out, NONE);
    }
    for (number, what) in left_out {
        count(out, number, what);
    }
}

fn count(out: &mut BytesMut, number: u64, what: impl fmt::Display) {
    let mut row = Row::new(out);
    row.number(number);
    row.right(COUNT);
    row.show(what);
    row.end();
}
