//! The detector: from snapshots and changes to findings, each told when it is news.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::{
    deadlines::{Deadlines, Entry},
    descendants::Descendants,
    finding::{Finding, Resolved},
    group::{GroupKey, Growth, Size},
    kind::Kind,
    limits::Limits,
    report::Report,
    snapshot::Snapshot,
    waiting::{StrangerKey, Subject, Waiting, waiting},
};
use crate::{
    event::{Event, Holder, Process, Tuple},
    model::{
        change::{Change, ConnectionId, Dwell, Moved, Released},
        filter::Filter,
        findings::finding::Group,
        map::HashMap,
        tracker::Tracker,
    },
    time::Timestamp,
};

/// How long a finding is remembered whose namespace no dump covers any more, as it may be gone.
const UNSEEN_FOR: Duration = Duration::from_secs(60);

/// What counts as a finding.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long is too long.
    pub limits: Limits,
    /// Only these kinds; empty for all.
    pub kinds: Vec<Kind>,
    /// Only these connections.
    pub filter: Filter,
    /// Only groups of at least this many.
    pub min_count: u64,
    /// Only what these processes opened, accepted or hold.
    pub only_of: Option<Descendants>,
}

/// A finding that has been told.
#[derive(Debug)]
struct Told {
    finding: Resolved,
    /// How old it was then, ns; of time-wait pressure the used ports in hundredths.
    size: u64,
}

/// Finds what is stuck.
#[derive(Debug)]
pub struct Detector {
    options: Options,
    snapshot: Snapshot,
    deadlines: Deadlines,
    /// When a socket of the last snapshot passes its limit, or one that was told is twice as old.
    next: Option<Timestamp>,
    next_look: Timestamp,
    told: HashMap<Subject, Told>,
    groups: HashSet<GroupKey>,
    growth: Growth,
    /// Names for sockets that the tracker does not follow, by what they are.
    strangers: BTreeMap<StrangerKey, ConnectionId>,
}

impl Detector {
    /// A detector that has seen nothing yet; a snapshot is due at once.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            deadlines: Deadlines::new(&options.limits),
            options,
            snapshot: Snapshot::default(),
            next: None,
            next_look: Timestamp::default(),
            told: HashMap::default(),
            groups: HashSet::new(),
            growth: Growth::default(),
            strangers: BTreeMap::new(),
        }
    }

    /// Takes in an event, after the tracker, with the changes that came of it; adds what it finds.
    pub fn apply(&mut self, event: &Event, tracker: &Tracker, changes: &mut Vec<Change>) {
        self.note(tracker, changes);
        self.snapshot.apply(event);
        if let (Event::Fork(fork), Some(descendants)) = (event, &mut self.options.only_of) {
            descendants.fork(fork);
        }
        if let Event::SnapshotEnd(at) = event {
            self.judge(*at, tracker, changes);
        }
    }

    /// From now on no limit is longer than this.
    pub fn limit_all(&mut self, longest: Duration) {
        self.options.limits = self.options.limits.at_most(longest);
        self.deadlines = Deadlines::new(&self.options.limits);
        self.next_look = Timestamp::default();
    }

    /// The processes whose connections are looked for, if not all are.
    #[must_use]
    pub fn descendants(&self) -> Option<&Descendants> {
        self.options.only_of.as_ref()
    }

    /// Takes in what time alone has brought.
    pub fn note(&mut self, tracker: &Tracker, changes: &mut Vec<Change>) {
        let mut resolved = Vec::new();
        for change in &*changes {
            match change {
                Change::Moved(moved) => {
                    resolved.extend(self.left(moved));
                    self.entered(moved, tracker);
                }
                Change::Released(Released { at, id, dwell }) => {
                    resolved.extend(self.over(*id, *at, *dwell));
                }
                // What was forgotten the next snapshot shows, as a stranger, or as gone.
                _ => {}
            }
        }
        changes.extend(resolved.into_iter().map(|resolved| Change::Resolved(Box::new(resolved))));
    }

    fn entered(&mut self, moved: &Moved, tracker: &Tracker) {
        let Moved { identity, at, to, .. } = moved;
        let entry = Entry { entered: *at, id: identity.id, skaddr: identity.skaddr };
        self.deadlines
            .push(*to, entry, |entry, state| tracker.is_in(entry.skaddr, entry.id, state));
    }

    fn left(&mut self, moved: &Moved) -> Option<Resolved> {
        let subject = Subject::Connection(moved.identity.id);
        let told =
            self.told.get(&subject).filter(|told| told.finding.kind.state() == moved.from)?;
        let resolved = Resolved {
            at: moved.at,
            age: moved.dwell,
            now: Some(moved.to),
            ..told.finding.clone()
        };
        self.told.remove(&subject);
        Some(resolved)
    }

    fn over(&mut self, id: ConnectionId, at: Timestamp, age: Dwell) -> Option<Resolved> {
        let told = self.told.remove(&Subject::Connection(id))?;
        Some(Resolved { at, age, now: None, ..told.finding })
    }

    /// Whether a snapshot would tell something by now; `may_look` that one may also be made for what
    /// no event tells of.
    pub fn wants_snapshot(&mut self, now: Timestamp, may_look: bool, tracker: &Tracker) -> bool {
        (may_look && self.next_look <= now)
            || self.next.is_some_and(|next| next <= now)
            || self
                .deadlines
                .is_due(now, |entry, state| tracker.is_in(entry.skaddr, entry.id, state))
    }

    /// When a snapshot may tell something next.
    #[must_use]
    pub fn next_deadline(&self) -> Timestamp {
        let next = self.next.into_iter().chain(self.deadlines.next()).min();
        next.map_or(self.next_look, |next| next.min(self.next_look))
    }

    /// The namespaces whose settings matter for what the snapshot holds so far, ascending.
    #[must_use]
    pub fn wanted_sysctls(&self) -> Vec<u32> {
        self.snapshot.wanted_sysctls()
    }

    /// A descriptor of each process that findings would name, by process.
    #[must_use]
    pub fn wanted_processes(&self, tracker: &Tracker) -> Vec<Holder> {
        let mut over = self.waiting(tracker);
        over.retain(|waiting| {
            waiting.is_over_limit() && self.is_news(&waiting.subject, waiting.kind, waiting.size())
        });
        let sockets: Vec<_> = over.iter().map(|waiting| waiting.socket).collect();
        self.snapshot.holders_near(&sockets)
    }

    fn waiting(&self, tracker: &Tracker) -> Vec<Waiting<'_>> {
        waiting(&self.snapshot, tracker, &self.options.limits, &self.strangers)
    }

    fn judge(&mut self, at: Timestamp, tracker: &Tracker, changes: &mut Vec<Change>) {
        let snapshot = std::mem::take(&mut self.snapshot);
        let all = waiting(&snapshot, tracker, &self.options.limits, &self.strangers);
        self.strangers = all.iter().filter_map(Waiting::stranger).collect();
        let looked_at = snapshot.started().unwrap_or(at);
        self.deadlines.forget_before(looked_at);
        self.next_look = at + self.options.limits.look_interval();
        self.next = all.iter().filter_map(Waiting::due).min();

        let mut report = Report::new(&snapshot, &all, tracker, &self.options);
        self.growth.note(looked_at, &report.sizes);
        self.resolve_absent(at, &all, &report, &snapshot, changes);
        let mut news: BTreeMap<GroupKey, Vec<Finding>> = BTreeMap::new();
        for found in std::mem::take(&mut report.found) {
            let Some(size) = report.sizes.get(&found.key) else {
                continue;
            };
            if size.count < self.options.min_count {
                continue;
            }
            if self.is_news(&found.subject, found.key.case.kind, found.size) {
                let mut finding = report.finding(&found);
                let told = Told { finding: told_of(&finding), size: found.size };
                finding.again = self.told.insert(found.subject, told).is_some();
                news.entry(found.key).or_default().push(finding);
            }
        }
        self.next = self.next.into_iter().chain(self.next_repetition(&all)).min();
        for (key, mut news) in news {
            news.sort_by_key(|finding| {
                let Tuple { local, remote, .. } = finding.tuple;
                (Reverse(finding.age.ns()), local.port, remote.port)
            });
            let Size { count, oldest } = report.sizes.get(&key).copied().unwrap_or_default();
            changes.push(Change::Stuck(Box::new(Group {
                at: looked_at,
                service: key.service,
                count,
                oldest: oldest.unwrap_or(Dwell::Unknown),
                growth: self.growth.per_minute(&key),
                first: self.groups.insert(key),
                news,
            })));
        }
        self.groups.retain(|key| report.sizes.contains_key(key));
    }

    /// Whether it has not been told as what it is, or is twice as large by now.
    fn is_news(&self, subject: &Subject, kind: Kind, size: u64) -> bool {
        let told = self.told.get(subject).filter(|told| told.finding.kind.is_like(kind));
        let told = told.map(|told| match subject {
            Subject::Connection(_) => told.size.saturating_mul(2),
            // Ports in hundredths: each further tenth counts.
            Subject::Destination(_) => told.size + 10,
        });
        told.is_none_or(|again| size >= again.max(1))
    }

    /// When the first of what was told will be twice as old.
    fn next_repetition(&self, all: &[Waiting<'_>]) -> Option<Timestamp> {
        let again = |waiting: &Waiting<'_>| {
            let told = self.told.get(&waiting.subject)?;
            let wait = told.size.saturating_mul(2).checked_sub(waiting.size())?;
            // One that is that old and was not told again is not asked for any more.
            (wait > 0).then(|| waiting.socket.at + Duration::from_nanos(wait))
        };
        all.iter().filter_map(again).min()
    }

    /// What was told and is not there any more has ended between two looks, at the latest when this one
    /// was complete: descriptors are looked at after sockets. What has become something else meanwhile,
    /// say accepted but not closed, is no longer what was told either.
    fn resolve_absent(
        &mut self,
        at: Timestamp,
        all: &[Waiting<'_>],
        report: &Report<'_>,
        snapshot: &Snapshot,
        changes: &mut Vec<Change>,
    ) {
        let found = report.found.iter().map(|found| (found.subject, found.key.case.kind));
        let here: HashMap<Subject, Kind> =
            all.iter().map(|waiting| (waiting.subject, waiting.kind)).chain(found).collect();
        let is_over = |subject, finding: &Resolved| match here.get(subject) {
            Some(kind) => !finding.kind.is_like(*kind),
            None => snapshot.covers(finding.netns),
        };
        // Of what is in a namespace that can no longer be looked into, nothing will be heard.
        self.told.retain(|subject, told| {
            let Resolved { at: told_at, netns, .. } = told.finding;
            here.contains_key(subject) || snapshot.covers(netns) || told_at + UNSEEN_FOR > at
        });
        let over = self.told.iter().filter(|(subject, told)| is_over(*subject, &told.finding));
        let mut gone: Vec<_> = over.map(|(subject, _)| *subject).collect();
        gone.sort_unstable();
        for subject in gone {
            if let Some(told) = self.told.remove(&subject) {
                let now = here.get(&subject).map(|kind| kind.state());
                let resolved = Resolved { at, age: Dwell::Unknown, now, ..told.finding };
                changes.push(Change::Resolved(Box::new(resolved)));
            }
        }
    }
}

fn told_of(finding: &Finding) -> Resolved {
    let first: Option<Process> = finding.owners.first().map(|owner| owner.process);
    Resolved {
        at: finding.at,
        conn: finding.conn,
        tuple: finding.tuple,
        netns: finding.netns,
        kind: finding.kind,
        process: first.or(finding.closed_by),
        age: finding.age,
        now: None,
    }
}
