//! Findings, and their ends.

use bytes::BytesMut;

use super::{
    fields::{stuck as fields, stuck_csv as columns},
    style::{Format, Style},
    table::stuck as table,
    times::Times,
};
use crate::{
    event::Process,
    model::findings::{
        finding::{Group, Resolved},
        kind::Kind,
    },
    time::ClockSample,
};

/// Writes findings in one style.
///
/// bcc has no tool that finds anything; asked for its format, this is a table or CSV of ours.
#[derive(Clone, Debug)]
pub struct Findings {
    style: Style,
    times: Times,
    each: bool,
    /// What ended in this turn: a process that goes takes all its connections with it, and a line for
    /// each would push what matters off the screen.
    resolved: Vec<Resolved>,
}

impl Findings {
    /// A writer of this style; `each` shows every connection of a group in the table.
    #[must_use]
    pub fn new(style: Style, times: Times, each: bool) -> Self {
        let times = times.for_format(style.format);
        Self { style, times, each, resolved: Vec::new() }
    }

    /// The clocks were compared again.
    pub const fn set_clock(&mut self, clock: ClockSample) {
        self.times.set_clock(clock);
    }

    /// Writes what precedes the first finding: the names of the columns, if the format has any.
    pub fn header(&self, out: &mut BytesMut) {
        if matches!(self.style.format, Format::Csv | Format::BccCsv) {
            columns::header(out);
        }
    }

    /// Writes what is news of a group.
    pub fn group(&mut self, out: &mut BytesMut, group: &Group) {
        self.flush(out);
        match self.style.format {
            Format::Table | Format::Bcc => {
                table::group(out, &self.style, &mut self.times, self.each, group);
            }
            Format::Csv | Format::BccCsv => {
                group.news.iter().for_each(|finding| columns::finding(out, &self.times, finding));
            }
            Format::Json => {
                group.news.iter().for_each(|finding| fields::json(out, &self.times, finding));
            }
        }
    }

    /// Writes the end of a finding, in a table perhaps only at the next [`Self::flush`].
    pub fn resolved(&mut self, out: &mut BytesMut, resolved: &Resolved) {
        match self.style.format {
            Format::Table | Format::Bcc => {
                let alike = |other: &Resolved| of(other) == of(resolved);
                if self.each || !self.resolved.last().is_none_or(alike) {
                    self.flush(out);
                }
                self.resolved.push(resolved.clone());
            }
            Format::Csv | Format::BccCsv => columns::resolved(out, &self.times, resolved),
            Format::Json => fields::resolved_json(out, &self.times, resolved),
        }
    }

    /// Writes what was held back.
    pub fn flush(&mut self, out: &mut BytesMut) {
        table::resolved(out, &self.style, &mut self.times, &self.resolved);
        self.resolved.clear();
    }
}

fn of(resolved: &Resolved) -> (Kind, Option<Process>) {
    (resolved.kind, resolved.process)
}
