//! A group of findings, as all forms of a report tell it.

use std::borrow::Cow;

use super::Account;
use crate::{
    event::Process,
    model::{
        change::Dwell, findings::finding::Finding, report::stuck_group::StuckGroup, since::Since,
        span::Moment,
    },
};

/// A group of findings with what can be said at the end of the trace.
pub(super) struct Told<'a> {
    pub(super) group: &'a StuckGroup,
    /// The oldest one told.
    pub(super) first: &'a Finding,
    /// How long the oldest has been in its state.
    pub(super) oldest: Dwell,
    /// How many more there were per minute, to a tenth.
    pub(super) per_minute: Option<f64>,
}

/// All groups of which anything was told, the largest first.
pub(super) fn told<'a>(account: &Account<'a>) -> Vec<Told<'a>> {
    let end = account.end();
    let groups = account.report.findings.groups().into_iter();
    let told = groups.filter_map(|group| {
        Some(Told {
            group,
            first: group.told.news.first()?,
            oldest: group.oldest(end),
            per_minute: group.per_minute(end).map(|more| (more * 10.0).round() / 10.0),
        })
    });
    told.collect()
}

impl Told<'_> {
    /// Who holds the connections, or closed them.
    pub(super) fn process(&self) -> Option<Process> {
        self.first.owners.first().map(|owner| owner.process).or(self.first.closed_by)
    }

    /// Since when the first was stuck.
    pub(super) fn since(&self) -> Option<Moment> {
        let clock = self.group.clock;
        match self.group.since {
            Since::Exact(at) | Since::AtLeast(at) | Since::Estimated(at) => {
                Some(Moment { at, clock })
            }
            Since::Unknown => None,
        }
    }

    /// When the last that was seen to enter the state did.
    pub(super) fn newest(&self) -> Option<Moment> {
        Some(Moment { at: self.group.newest?, clock: self.group.clock })
    }

    /// How well `since` is known, as a time in JSON.
    pub(super) const fn since_name(&self) -> &'static str {
        match self.group.since {
            Since::Exact(_) => Dwell::Exact(0).name(),
            Since::AtLeast(_) => Dwell::AtLeast(0).name(),
            Since::Estimated(_) => Dwell::Estimated(0).name(),
            Since::Unknown => Dwell::Unknown.name(),
        }
    }
}

/// The name of a process as text.
pub(super) fn comm(process: &Process) -> Cow<'_, str> {
    String::from_utf8_lossy(process.comm.as_bytes())
}
