//! Every record in every format, as snapshots; `INSTA_UPDATE=always cargo test` writes them anew.

mod connections;
mod explain;
mod fields;
mod report;
mod samples;
mod sockets;
mod stuck;
mod transitions;

use bytes::BytesMut;
use jiff::tz::{TimeZone, offset};

use super::{
    style::{Format, Style},
    times::Times,
};
use crate::time::{ClockSample, Timestamp};

/// When the sample trace began.
const START: Timestamp = Timestamp(3_600_000_000_000);

const FORMATS: [Format; 5] =
    [Format::Table, Format::Bcc, Format::BccCsv, Format::Csv, Format::Json];

fn times() -> Times {
    let clock = ClockSample { boot: START, wall_ns: 1_795_170_660_000_000_000 };
    Times::new(TimeZone::fixed(offset(1)), clock, START)
}

fn with_times(style: Style) -> Style {
    Style { time: true, seconds: true, ..style }
}

fn wide(style: Style) -> Style {
    Style { wide: true, ..style }
}

fn color(style: Style) -> Style {
    Style { color: true, ..style }
}

/// The output as text, with escape codes readable.
fn text(out: &BytesMut) -> String {
    let text = str::from_utf8(out).expect("UTF-8");
    text.replace('\u{1b}', "\\e")
}

/// Columns of the widest line.
fn widest(text: &str) -> usize {
    text.lines().map(str::len).max().unwrap_or(0)
}
