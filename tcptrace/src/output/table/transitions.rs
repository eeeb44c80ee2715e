//! Transitions in a table.

use bytes::BytesMut;

use super::{
    cells::{self, COMM, DWELL, IPV4, IPV6, PID, PORT, STATE, WIDE_COMM},
    color,
};
use crate::{
    model::change::{Moved, Reason},
    output::{
        row::Row,
        style::Style,
        times::{self, Times},
    },
};

pub(in crate::output) fn header(out: &mut BytesMut, style: &Style) {
    let paint = color::of_head(style.color);
    let mut row = Row::new(out);
    times::heads(&mut row, style, paint);
    let mut left = |name, width| {
        row.painted(paint, name);
        row.left(width);
    };
    left("PID", PID);
    if style.wide {
        left("COMM", WIDE_COMM);
        left("OWNER", 6);
        left("LOCAL", IPV6);
        left("REMOTE", IPV6);
    } else {
        left("COMM", COMM);
        left("LPORT", PORT);
        left("REMOTE", IPV4);
    }
    left("FROM", STATE);
    left("TO", STATE);
    row.painted(paint, "DWELL");
    row.right(DWELL);
    if style.wide {
        row.painted(paint, "EVIDENCE");
        row.left(10);
        row.painted(paint, "REASON");
        row.left(13);
        row.painted(paint, "NETNS");
    }
    row.end();
}

pub(in crate::output) fn line(out: &mut BytesMut, style: &Style, times: &mut Times, moved: &Moved) {
    let mut row = Row::new(out);
    times.columns(&mut row, style, moved.at);
    cells::process(&mut row, &moved.identity, &moved.owner, style.wide);
    if style.wide {
        row.text(moved.owner.name().unwrap_or("-"));
        row.left(6);
        cells::wide_ends(&mut row, &moved.identity);
    } else {
        cells::narrow_ends(&mut row, &moved.identity);
    }
    for state in [moved.from, moved.to] {
        row.painted(color::of_state(style.color, state), state.name());
        row.left(STATE);
    }
    cells::dwell(&mut row, moved.dwell, DWELL);
    if style.wide {
        row.text(moved.evidence.name());
        row.left(10);
    }
    match moved.reason {
        // The states of an ordinary close say `fin` already, and repeating it would wrap the
        // commonest of all ends at 80 columns.
        Some(Reason::Fin) if !style.wide => {}
        Some(reason) => row.painted(color::of_reason(style.color, reason), reason.name()),
        None if !style.wide => {}
        None => row.text("-"),
    }
    if style.wide {
        row.left(13);
        cells::optional(&mut row, moved.identity.netns);
    }
    row.end();
}
