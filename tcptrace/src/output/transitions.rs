//! One line per transition.

use bytes::BytesMut;

use super::{
    bcc,
    fields::transitions as fields,
    style::{Format, Style},
    table::transitions as table,
    times::Times,
};
use crate::{model::change::Moved, time::ClockSample};

/// Writes transitions in one style.
#[derive(Clone, Debug)]
pub struct Transitions {
    style: Style,
    times: Times,
}

impl Transitions {
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
            Format::Bcc => bcc::transition_header(out, &self.style),
            Format::BccCsv => bcc::transition_csv_header(out, &self.style),
            Format::Csv => fields::csv_header(out),
            Format::Json => {}
        }
    }

    /// Writes one line.
    pub fn line(&mut self, out: &mut BytesMut, moved: &Moved) {
        let Self { style, times } = self;
        match style.format {
            Format::Table => table::line(out, style, times, moved),
            Format::Bcc => bcc::transition(out, style, times, moved),
            Format::BccCsv => bcc::transition_csv(out, style, times, moved),
            Format::Csv => fields::csv(out, times, moved),
            Format::Json => fields::json(out, times, moved),
        }
    }
}
