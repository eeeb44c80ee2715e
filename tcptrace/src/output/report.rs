//! A report of a whole trace: as text, as JSON, and as a page for a browser, all of the same numbers.

mod fields;
mod html;
mod stuck;
mod text;
mod words;

use bytes::BytesMut;

use super::times::Times;
use crate::{
    model::{
        report::Report,
        span::{Moment, Span},
        summary::Summary,
    },
    time::Timestamp,
};

/// Rows of a table of who or what is most frequent.
const TOP: usize = 10;

/// What is told of a trace that is over.
#[derive(Debug)]
pub struct Account<'a> {
    /// What connections did and which were stuck.
    pub report: &'a Report,
    /// What was counted besides.
    pub summary: &'a Summary,
    /// Existing sockets, or who holds them, could not all be looked at.
    pub incomplete: bool,
    /// What turns event times into text.
    pub times: &'a Times,
}

impl Account<'_> {
    fn span(&self) -> &Span {
        &self.summary.span
    }

    /// The end of the trace.
    fn end(&self) -> Timestamp {
        self.span().last.map(|last| last.at).unwrap_or_default()
    }

    /// When a bucket of the timeline or a finding was; by the clock of the trace's end where none is
    /// remembered, which differs only if the wall clock was set meanwhile.
    fn moment(&self, at: Timestamp) -> Moment {
        let clock = self.span().last.map(|last| last.clock).unwrap_or_default();
        Moment { at, clock }
    }

    /// From when on a chart tells: its first bucket may begin a little before the trace.
    fn chart_begun(&self, begun: Timestamp) -> Moment {
        self.span().first.filter(|first| first.at >= begun).unwrap_or_else(|| self.moment(begun))
    }
}

/// Writes the report as one line of JSON.
pub fn json(out: &mut BytesMut, account: &Account<'_>) {
    fields::json(out, account);
}

/// Writes the report for people.
pub fn table(out: &mut BytesMut, account: &Account<'_>, color: bool) {
    text::table(out, account, color);
}

/// Writes the report as a page.
pub fn html(out: &mut BytesMut, account: &Account<'_>) {
    html::page(out, account);
}
