//! One line per finished connection.

use bytes::BytesMut;

use super::{
    bcc,
    fields::connections as fields,
    style::{Format, Style},
    table::connections as table,
    times::Times,
};
use crate::{model::change::Finished, time::ClockSample};

/// Writes finished connections in one style.
#[derive(Clone, Debug)]
pub struct Connections {
    style: Style,
    times: Times,
}

impl Connections {
    /// A writer of this style.
    #[must_use]
    pub fn new(style: Style, times: Times) -> Self {
        let times = times.for_format(style.format);
        Self { style, times }
    }

    /// The clocks were compared again.
    pub const fn set_clock(&mut self, clock: ClockSample) {
        self.times.set_clock(clock);
    }

    /// Writes what precedes the first line: the names of the columns, if the format has any.
    pub fn header(&self, out: &mut BytesMut) {
        match self.style.format {
            Format::Table => table::header(out, &self.style),
            Format::Bcc => bcc::lifetime_header(out, &self.style),
            Format::BccCsv => bcc::lifetime_csv_header(out, &self.style),
            Format::Csv => fields::csv_header(out),
            Format::Json => {}
        }
    }

    /// Writes one line; in bcc's formats nothing if the connection began before we looked.
    pub fn line(&mut self, out: &mut BytesMut, life: &Finished) {
        let Self { style, times } = self;
        match style.format {
            Format::Table => table::line(out, style, times, life),
            Format::Bcc => bcc::lifetime(out, style, times, life),
            Format::BccCsv => bcc::lifetime_csv(out, style, times, life),
            Format::Csv => fields::csv(out, times, life),
            Format::Json => fields::json(out, times, life),
        }
    }
}
