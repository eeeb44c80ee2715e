//! The pipeline: events in, the changes that the user asked for out. Live and replay run this.

use crate::{
    event::{Event, Transition},
    model::{
        change::Change,
        filter::Filter,
        raw::RawView,
        selection::Selection,
        summary::Summary,
        tracker::{Options, Tracker},
    },
    time::{ClockSample, Timestamp},
};

/// How events are understood.
#[derive(Debug)]
enum View {
    Tracked(Box<Tracker>),
    Raw(RawView),
}

/// Understands events and selects what is shown.
#[derive(Debug)]
pub struct Pipeline {
    view: View,
    selection: Selection,
    clock: ClockSample,
    changes: Vec<Change>,
    shown: Vec<Change>,
    /// Lines shown, counted.
    told: Summary,
}

impl Pipeline {
    /// A pipeline that tracks connections.
    #[must_use]
    pub fn tracked(mut options: Options, filter: Filter, clock: ClockSample) -> Self {
        options.only = filter.clone();
        Self::new(View::Tracked(Box::new(Tracker::new(options))), filter, clock)
    }

    /// A pipeline that passes on what the tracepoint says.
    #[must_use]
    pub fn raw(filter: Filter, clock: ClockSample) -> Self {
        Self::new(View::Raw(RawView::default()), filter, clock)
    }

    fn new(view: View, filter: Filter, clock: ClockSample) -> Self {
        Self {
            view,
            selection: Selection::new(filter),
            clock,
            changes: Vec::new(),
            shown: Vec::new(),
            told: Summary::default(),
        }
    }

    /// Takes in one event.
    pub fn feed(&mut self, event: &Event) {
        if let Event::Clock(sample) = event {
            self.clock = *sample;
        }
        match &mut self.view {
            View::Tracked(tracker) => tracker.apply(event, &mut self.changes),
            View::Raw(raw) => raw.apply(event, &mut self.changes),
        }
        self.select();
    }

    /// Lets time pass up to `now`; no earlier event may come afterwards.
    pub fn advance_to(&mut self, now: Timestamp) {
        if let View::Tracked(tracker) = &mut self.view {
            tracker.advance_to(now, &mut self.changes);
        }
        self.select();
    }

    /// Ends the trace: tells what was still held back.
    pub fn finish(&mut self) {
        if let View::Tracked(tracker) = &mut self.view {
            tracker.finish(&mut self.changes);
        }
        self.select();
    }

    fn select(&mut self) {
        for change in self.changes.drain(..) {
            self.selection.pass(change, &mut self.shown);
        }
    }

    /// Takes out the changes that are to be shown, in order.
    pub fn shown(&mut self) -> impl Iterator<Item = Change> {
        let told = &mut self.told;
        self.shown.drain(..).inspect(|change| {
            if let Change::Moved(moved) = change {
                told.count(moved.to);
            }
        })
    }

    /// The clock sample in force.
    #[must_use]
    pub fn clock(&self) -> &ClockSample {
        &self.clock
    }

    /// Whether knowing who holds the socket of this event would complete its line.
    #[must_use]
    pub fn wants_holder(&self, transition: &Transition) -> bool {
        self.tracker().is_some_and(|tracker| tracker.wants_holder(transition))
    }

    /// Namespaces whose dump would tell something by now: `None` means all, an empty list nothing.
    #[must_use]
    pub fn wanted_dump(&self, now: Timestamp) -> Option<Vec<u32>> {
        match self.tracker() {
            Some(tracker) => tracker.wanted_dump(now),
            None => Some(Vec::new()),
        }
    }

    /// When [`Self::advance_to`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.tracker().and_then(Tracker::next_deadline)
    }

    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let counted = match &self.view {
            View::Tracked(tracker) => tracker.summary(),
            View::Raw(raw) => raw.summary(),
        };
        Summary {
            entered: self.told.entered,
            uncertain: counted.uncertain + self.selection.overflowed(),
            ..*counted
        }
    }

    fn tracker(&self) -> Option<&Tracker> {
        match &self.view {
            View::Tracked(tracker) => Some(tracker),
            View::Raw(_) => None,
        }
    }
}
