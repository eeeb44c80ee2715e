//! The pipeline: events in, the changes that the user asked for out. Live and replay run this.

use std::time::Duration;

use crate::{
    event::{Event, Holder, Transition},
    model::{
        change::Change,
        filter::Filter,
        findings::{
            descendants::Descendants,
            detector::{self, Detector},
            limits::Limits,
            lookout::Lookout,
        },
        raw::RawView,
        selection::Selection,
        span::Span,
        summary::Summary,
        tracker::{Options, Tracker},
    },
    time::{ClockSample, Timestamp},
};

/// Events that are looked at before the first of them is fed, where many come at once.
pub const GROUP: usize = 16;

/// How events are understood.
#[derive(Debug)]
enum View {
    Tracked(Box<Tracker>),
    Raw(Box<RawView>),
    /// Nothing is told of them.
    Untold,
}

/// What is shown of what events come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Transitions and ends of connections.
    Connections,
    /// What is stuck, and what no longer is.
    Findings,
    /// All of it.
    Everything,
}

/// Understands events and selects what is shown.
#[derive(Debug)]
pub struct Pipeline {
    view: View,
    detector: Option<Box<Detector>>,
    /// For a recording.
    lookout: Option<Box<Lookout>>,
    shows: Shows,
    selection: Selection,
    clock: ClockSample,
    changes: Vec<Change>,
    shown: Vec<Change>,
    /// Lines shown, counted.
    told: Summary,
    span: Span,
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
        Self::new(View::Raw(Box::default()), filter, clock)
    }

    /// A pipeline that tracks connections and tells which are stuck.
    #[must_use]
    pub fn stuck(mut options: Options, stuck: detector::Options, clock: ClockSample) -> Self {
        options.only = stuck.filter.clone();
        let view = View::Tracked(Box::new(Tracker::new(options)));
        let detector = Some(Box::new(Detector::new(stuck)));
        Self { detector, shows: Shows::Findings, ..Self::new(view, Filter::default(), clock) }
    }

    /// A pipeline that asks for what a recording needs so that findings can be told from it too, by
    /// these limits or others. `prints` is whether what connections do is shown meanwhile.
    #[must_use]
    pub fn recorded(
        options: Options,
        filter: Filter,
        limits: Limits,
        clock: ClockSample,
        prints: bool,
    ) -> Self {
        let lookout = Lookout::new(limits, options.destroy_hook);
        let pipeline = if prints {
            Self::tracked(options, filter, clock)
        } else {
            Self::new(View::Untold, filter, clock)
        };
        Self { lookout: Some(Box::new(lookout)), ..pipeline }
    }

    /// A pipeline that tracks connections and tells everything: what they did and which are stuck.
    #[must_use]
    pub fn reported(options: Options, stuck: detector::Options, clock: ClockSample) -> Self {
        let filter = stuck.filter.clone();
        let detector = Some(Box::new(Detector::new(stuck)));
        Self { detector, shows: Shows::Everything, ..Self::tracked(options, filter, clock) }
    }

    fn new(view: View, filter: Filter, clock: ClockSample) -> Self {
        Self {
            view,
            detector: None,
            lookout: None,
            shows: Shows::Connections,
            selection: Selection::new(filter),
            clock,
            changes: Vec::new(),
            shown: Vec::new(),
            told: Summary::default(),
            span: Span::default(),
        }
    }

    /// Has what these events need at hand when they are fed, which saves time where there are many
    /// connections; at most [`GROUP`] of them.
    pub fn expect(&self, events: &[Event]) {
        if let View::Tracked(tracker) = &self.view {
            tracker.expect(events);
        }
    }

    /// Takes in one event.
    pub fn feed(&mut self, event: &Event) {
        if let Event::Clock(sample) = event {
            self.clock = *sample;
        }
        self.span.note(event, &self.clock);
        match &mut self.view {
            View::Tracked(tracker) => tracker.apply(event, &mut self.changes),
            View::Raw(raw) => raw.apply(event, &mut self.changes),
            View::Untold => {
                if let Event::Lost(lost) = event {
                    self.changes.push(Change::Lost(*lost));
                }
            }
        }
        if let Some(lookout) = &mut self.lookout {
            lookout.apply(event);
        }
        if let (Some(detector), View::Tracked(tracker)) = (&mut self.detector, &self.view) {
            detector.apply(event, tracker, &mut self.changes);
        }
        self.select();
    }

    /// Ends the trace: tells what was still held back.
    pub fn finish(&mut self) {
        if let View::Tracked(tracker) = &mut self.view {
            tracker.finish(&mut self.changes);
        }
        self.note();
        self.select();
    }

    fn note(&mut self) {
        if let (Some(detector), View::Tracked(tracker)) = (&mut self.detector, &self.view) {
            detector.note(tracker, &mut self.changes);
        }
    }

    fn select(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let shows_all = matches!(self.shows, Shows::Connections | Shows::Everything);
        if shows_all && self.shown.is_empty() && self.selection.takes_all() {
            // The usual case, for every event: nothing is moved.
            std::mem::swap(&mut self.changes, &mut self.shown);
            return;
        }
        for change in self.changes.drain(..) {
            let is_finding = matches!(change, Change::Stuck(_) | Change::Resolved(_));
            let is_shown = match self.shows {
                Shows::Findings => is_finding || matches!(change, Change::Lost(_)),
                Shows::Connections | Shows::Everything => true,
            };
            if is_shown {
                self.selection.pass(change, &mut self.shown);
            } else if let Change::Moved(moved) = &change {
                self.told.count(moved.to);
            }
        }
    }

    /// Whether there is no change to be shown.
    #[must_use]
    pub fn shows_nothing(&self) -> bool {
        self.shown.is_empty()
    }

    /// Takes out the changes that are to be shown, in order.
    pub fn shown(&mut self) -> impl Iterator<Item = Change> {
        let told = &mut self.told;
        self.shown.drain(..).inspect(|change| told.count_shown(change))
    }

    /// Hands the changes that are to be shown to `tell`, in order, where they are: they are large.
    pub fn tell_shown(&mut self, mut tell: impl FnMut(&Change)) {
        for change in &self.shown {
            self.told.count_shown(change);
            tell(change);
        }
        self.shown.clear();
    }

    /// The clock sample in force.
    #[must_use]
    pub fn clock(&self) -> &ClockSample {
        &self.clock
    }

    /// Whether knowing who holds the socket of this event would complete its line.
    #[must_use]
    pub fn wants_holder(&self, transition: &Transition) -> bool {
        match (&self.view, &self.lookout) {
            (View::Tracked(tracker), _) if self.shows != Shows::Findings => {
                tracker.wants_holder(transition)
            }
            (View::Untold, Some(lookout)) => lookout.wants_holder(transition),
            _ => false,
        }
    }

    /// From now on no limit of a finding is longer than this.
    pub fn limit_all(&mut self, longest: Duration) {
        if let Some(detector) = &mut self.detector {
            detector.limit_all(longest);
        }
    }

    /// The processes whose connections are looked for, if not all are.
    #[must_use]
    pub fn descendants(&self) -> Option<&Descendants> {
        self.detector.as_ref()?.descendants()
    }

    /// Whether snapshots are to be made at all.
    #[must_use]
    pub fn takes_snapshots(&self) -> bool {
        self.detector.is_some() || self.lookout.is_some()
    }

    /// Whether a snapshot would tell something by now; `may_look` that one may also be made for what
    /// no event tells of.
    pub fn wants_snapshot(&mut self, now: Timestamp, may_look: bool) -> bool {
        if let Some(lookout) = &mut self.lookout {
            return lookout.wants_snapshot(now, may_look);
        }
        match (&mut self.detector, &self.view) {
            (Some(detector), View::Tracked(tracker)) => {
                detector.wants_snapshot(now, may_look, tracker)
            }
            _ => false,
        }
    }

    /// The network namespaces whose settings a snapshot needs, its sockets being known.
    #[must_use]
    pub fn wanted_sysctls(&self) -> Vec<u32> {
        match (&self.lookout, &self.detector) {
            (Some(lookout), _) => lookout.wanted_sysctls(),
            (None, Some(detector)) => detector.wanted_sysctls(),
            (None, None) => Vec::new(),
        }
    }

    /// A descriptor of each process of which a snapshot needs to know more, its sockets, holders and
    /// settings being known.
    #[must_use]
    pub fn wanted_processes(&self) -> Vec<Holder> {
        match (&self.lookout, &self.detector, &self.view) {
            (Some(lookout), ..) => lookout.wanted_processes(),
            (None, Some(detector), View::Tracked(tracker)) => detector.wanted_processes(tracker),
            _ => Vec::new(),
        }
    }

    /// Namespaces whose dump would tell something by now: `None` means all, an empty list nothing.
    #[must_use]
    pub fn wanted_dump(&self, now: Timestamp) -> Option<Vec<u32>> {
        match (&self.view, &self.lookout) {
            (View::Tracked(tracker), _) => tracker.wanted_dump(now),
            (View::Untold, Some(lookout)) => lookout.wanted_dump(now),
            _ => Some(Vec::new()),
        }
    }

    /// Whether there is something to tell once time has passed up to `now`.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.tracker().is_some_and(|tracker| tracker.is_due(now))
            || self.lookout.as_ref().is_some_and(|lookout| lookout.is_due(now))
    }

    /// When time alone has something to tell next, or a dump or snapshot may.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let of_tracker = self.tracker().and_then(Tracker::next_deadline);
        let of_detector = self.detector.as_ref().map(|detector| detector.next_deadline());
        let of_lookout = self.lookout.as_ref().map(|lookout| lookout.next_deadline());
        of_tracker.into_iter().chain(of_detector).chain(of_lookout).min()
    }

    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let (counted, entered) = match (&self.view, &self.lookout) {
            (View::Tracked(tracker), _) => (*tracker.summary(), self.told.entered),
            (View::Raw(raw), _) => (*raw.summary(), self.told.entered),
            (View::Untold, Some(lookout)) => (*lookout.summary(), lookout.summary().entered),
            (View::Untold, None) => Default::default(),
        };
        Summary {
            entered,
            kinds: self.told.kinds,
            resolved: self.told.resolved,
            span: self.span,
            uncertain: counted.uncertain + self.selection.overflowed(),
            ..counted
        }
    }

    fn tracker(&self) -> Option<&Tracker> {
        match &self.view {
            View::Tracked(tracker) => Some(tracker),
            View::Raw(_) | View::Untold => None,
        }
    }
}
