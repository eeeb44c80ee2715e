//! What was stuck in a trace, in groups: since when, how many, how fast they became more.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use super::stuck_group::StuckGroup;
use crate::{
    event::Endpoint,
    model::{
        change::{ConnectionId, Dwell},
        findings::{
            finding::{Finding, Group, HeldBy, Resolved, Service},
            kind::Kind,
        },
    },
    time::{ClockSample, Timestamp},
};

/// Groups kept.
const MAX_GROUPS: usize = 256;
/// Findings followed to their ends at a time: as many as the tracker follows connections.
const MAX_STUCK: usize = 2_000_000;

/// What findings of a group have in common. The cause is part of it, so that what is said of the group
/// is true of each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    held_by: HeldBy,
    netns: u32,
    pid: Option<u32>,
    service: Service,
    cause: Rc<str>,
}

/// What is stuck: a connection, or a destination and its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Connection(ConnectionId),
    Destination(Endpoint, u32),
}

/// A finding that is not over.
#[derive(Clone, Copy, Debug)]
struct Open {
    group: usize,
    seen_to_begin: bool,
}

/// All findings of a trace.
#[derive(Debug, Default)]
pub struct Findings {
    groups: Vec<StuckGroup>,
    places: HashMap<Key, usize>,
    open: HashMap<Subject, Open>,
    others: u64,
}

impl Findings {
    /// Takes in what is news of a group; for each connection that is new, `entered` is told when it
    /// entered its state, if that is known.
    pub fn add(
        &mut self,
        group: &Group,
        clock: &ClockSample,
        mut entered: impl FnMut(Option<Timestamp>),
    ) {
        for finding in &group.news {
            let Some(place) = self.place(group, finding, clock) else {
                self.others += u64::from(!finding.again);
                continue;
            };
            let seen_to_begin = matches!(finding.age, Dwell::Exact(_));
            let is_full = self.open.len() >= MAX_STUCK;
            match self.open.entry(subject(finding.conn, &finding.tuple.remote, finding.netns)) {
                Entry::Vacant(_) if is_full => {
                    self.others += 1;
                    continue;
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(Open { group: place, seen_to_begin });
                    self.groups[place].found(finding);
                    if finding.conn.is_some() {
                        let since = |ns| Timestamp(finding.at.0.saturating_sub(ns));
                        entered(finding.age.ns().map(since));
                    }
                }
                // It may have become a finding of another kind.
                Entry::Occupied(mut known) if known.get().group != place => {
                    let before =
                        std::mem::replace(known.get_mut(), Open { group: place, seen_to_begin });
                    self.groups[before.group].over(before.seen_to_begin);
                    self.groups[place].found(finding);
                }
                Entry::Occupied(_) => {}
            }
            self.groups[place].tell(group, finding, clock);
        }
    }

    fn place(&mut self, group: &Group, finding: &Finding, clock: &ClockSample) -> Option<usize> {
        let process = finding.owners.first().map(|owner| owner.process).or(finding.closed_by);
        let key = Key {
            kind: finding.kind,
            held_by: finding.held_by,
            netns: finding.netns,
            pid: process.map(|process| process.pid),
            service: group.service,
            cause: finding.advice.cause.as_str().into(),
        };
        match self.places.entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(_) if self.groups.len() >= MAX_GROUPS => None,
            Entry::Vacant(vacant) => {
                vacant.insert(self.groups.len());
                self.groups.push(StuckGroup::new(group, finding, *clock));
                Some(self.groups.len() - 1)
            }
        }
    }

    /// Takes in the end of a finding; whether it was that of a connection that was told.
    pub fn resolve(&mut self, resolved: &Resolved) -> bool {
        let subject = subject(resolved.conn, &resolved.tuple.remote, resolved.netns);
        let Some(open) = self.open.remove(&subject) else {
            return false;
        };
        self.groups[open.group].over(open.seen_to_begin);
        resolved.conn.is_some()
    }

    /// The groups: the largest at the end of the trace first, then what was largest, then the oldest.
    #[must_use]
    pub fn groups(&self) -> Vec<&StuckGroup> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups
            .sort_by_key(|group| (Reverse(group.now()), Reverse(group.found), group.first_told()));
        groups
    }

    /// Findings that no longer fitted into the tables.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// How many connections are stuck at the end of the trace.
    #[must_use]
    pub fn now(&self) -> u64 {
        let of_connections = self
            .groups
            .iter()
            .filter(|group| group.told.news.iter().all(|told| told.conn.is_some()));
        of_connections.map(StuckGroup::now).sum()
    }
}

fn subject(conn: Option<ConnectionId>, remote: &Endpoint, netns: u32) -> Subject {
    conn.map_or(Subject::Destination(*remote, netns), Subject::Connection)
}
