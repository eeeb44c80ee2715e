//! What a view would write, kept in every format, and what it was about, counted.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use tcptrace::{
    commands::tracing::{WithLosses, times},
    live::Sink,
    model::change::Change,
    output::{
        connections::Connections,
        stuck::Findings,
        style::{Format, Style},
        transitions::Transitions,
    },
    time::ClockSample,
};

use super::run::View;

/// A kind that belongs to no namespace.
const TICKS: &str = "ticks";

const FORMATS: [Format; 3] = [Format::Table, Format::Csv, Format::Json];

/// What changes were about, by kind and network namespace.
#[derive(Debug, Default)]
pub(super) struct Seen {
    counts: Mutex<HashMap<(&'static str, u64), u64>>,
    changed: Condvar,
}

impl Seen {
    /// Waits until so many of a kind were seen in this namespace; false if they do not come.
    pub(super) fn wait(&self, count: u64, kind: &str, netns: u64, patience: Duration) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let too_few = |counts: &mut HashMap<(&'static str, u64), u64>| {
            let seen = counts.iter().find(|((kind_of, of), _)| *kind_of == kind && *of == netns);
            seen.is_none_or(|(_, seen)| *seen < count)
        };
        let waited = self.changed.wait_timeout_while(counts, patience, too_few);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until what was told together has been told: what comes now is told apart.
    pub(super) fn wait_for_tick(&self, patience: Duration) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let ticks = counts.get(&(TICKS, 0)).copied().unwrap_or_default();
        drop(counts);
        self.wait(ticks + 1, TICKS, 0, patience)
    }

    fn note(&self, kind: &'static str, netns: Option<u32>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((kind, netns.unwrap_or_default().into())).or_default() += 1;
        self.changed.notify_all();
    }
}

/// The sinks of a view, one of each format, whose text is kept.
pub(super) struct Kept {
    sinks: Vec<(Box<dyn Sink>, BytesMut)>,
    seen: Arc<Seen>,
    /// Called when the view is ready to tell.
    begun: Box<dyn Fn()>,
}

impl Kept {
    pub(super) fn new(
        view: View,
        clock: ClockSample,
        seen: Arc<Seen>,
        begun: impl Fn() + 'static,
    ) -> Self {
        let sink = |format| {
            let style =
                Style { time: true, seconds: true, wide: true, color: true, ..Style::new(format) };
            let (times, json) = (times(clock), format == Format::Json);
            let sink: Box<dyn Sink> = match view {
                View::Watch => Box::new(WithLosses { sink: Transitions::new(style, times), json }),
                View::Lifetimes => {
                    Box::new(WithLosses { sink: Connections::new(style, times), json })
                }
                View::Stuck => {
                    Box::new(WithLosses { sink: Findings::new(style, times, false), json })
                }
            };
            let mut text = BytesMut::new();
            sink.header(&mut text);
            (sink, text)
        };
        Self { sinks: FORMATS.map(sink).into(), seen, begun: Box::new(begun) }
    }

    /// The text in each format.
    pub(super) fn texts(self) -> Vec<BytesMut> {
        self.sinks.into_iter().map(|(_, text)| text).collect()
    }
}

impl Sink for Kept {
    fn header(&self, _: &mut BytesMut) {
        (self.begun)();
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, _: &mut BytesMut) {
        for (sink, text) in &mut self.sinks {
            sink.change(change, clock, text);
        }
        match change {
            Change::Moved(moved) => self.seen.note("transitions", moved.identity.netns),
            Change::Finished(finished) => self.seen.note("connections", finished.identity.netns),
            Change::Stuck(group) => {
                for finding in &group.news {
                    let kind = if finding.again { "again" } else { "told" };
                    self.seen.note(kind, Some(finding.netns));
                }
            }
            Change::Resolved(resolved) => self.seen.note("resolved", Some(resolved.netns)),
            Change::Forgotten(_) | Change::Released(_) | Change::Lost(_) => {}
        }
    }

    fn flush(&mut self, _: &mut BytesMut) {
        for (sink, text) in &mut self.sinks {
            sink.flush(text);
        }
        self.seen.note(TICKS, None);
    }
}
