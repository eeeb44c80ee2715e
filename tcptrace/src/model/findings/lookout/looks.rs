//! When a dump of a namespace would tell of the end of a minisock, of which no event tells.

use std::{collections::VecDeque, mem, time::Duration};

use crate::{event::DumpEnd, model::map::HashMap, time::Timestamp};

/// When to look whether a minisock has ended, counted from its deadline. Ends that come so close
/// together share a look.
const LOOK_AFTER_DEADLINE: Duration = Duration::from_millis(300);
/// When to look whether an orphan in FIN_WAIT2 has received its FIN meanwhile.
const LOOK_AT_ORPHAN: Duration = Duration::from_secs(1);
/// When to try again to look into a namespace that could not be walked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Who reads a recording gives a minisock up 6 s after its deadline.
const GIVEN_UP: Duration = Duration::from_secs(7);
/// Ends that are remembered of a namespace: TIME_WAIT lasts a minute, in which fewer looks fit.
const MAX_ENDS: usize = 1_000;

/// Looks at minisocks, by network namespace.
#[derive(Debug, Default)]
pub(super) struct Looks {
    namespaces: HashMap<u32, Namespace>,
    last_end: Timestamp,
    /// The look that the last end has, if that is still planned.
    last: Option<(u32, Timestamp)>,
}

#[derive(Debug, Default)]
struct Namespace {
    /// When to look for ends, ascending.
    ends: VecDeque<Timestamp>,
    /// When to look at orphans, if there may be any.
    orphans: Option<Timestamp>,
    /// The dump that is being read shows some.
    shows_orphans: bool,
}

impl Namespace {
    fn next(&self) -> Option<Timestamp> {
        self.ends.front().copied().into_iter().chain(self.orphans).min()
    }
}

impl Looks {
    /// A minisock ends then, if nothing happens to it.
    pub(super) fn ends(&mut self, netns: u32, deadline: Timestamp) {
        let look = deadline + LOOK_AFTER_DEADLINE;
        self.last_end = self.last_end.max(deadline + GIVEN_UP);
        let is_near = |other: &Timestamp| {
            *other <= look + LOOK_AFTER_DEADLINE && look <= *other + LOOK_AFTER_DEADLINE
        };
        // Those that begin together end together.
        if self.last.is_some_and(|(last, look)| last == netns && is_near(&look)) {
            return;
        }
        let ends = &mut self.namespaces.entry(netns).or_default().ends;
        // Nearly all come in order.
        let place = match ends.back() {
            Some(last) if *last + LOOK_AFTER_DEADLINE > look => {
                ends.partition_point(|other| *other < look)
            }
            _ => ends.len(),
        };
        let before = place.checked_sub(1).and_then(|before| ends.get(before));
        let near = before.filter(|at| is_near(at)).or(ends.get(place).filter(|at| is_near(at)));
        if let Some(near) = near {
            self.last = Some((netns, *near));
        } else if ends.len() < MAX_ENDS {
            ends.insert(place, look);
            self.last = Some((netns, look));
        }
    }

    /// An orphan has begun to wait in FIN_WAIT2.
    pub(super) fn orphan(&mut self, netns: u32, at: Timestamp) {
        let orphans = &mut self.namespaces.entry(netns).or_default().orphans;
        orphans.get_or_insert(at + LOOK_AT_ORPHAN);
    }

    /// A dump shows an orphan in FIN_WAIT2.
    pub(super) fn shown_orphan(&mut self, netns: u32) {
        self.namespaces.entry(netns).or_default().shows_orphans = true;
    }

    /// Plans the next looks after a dump. A namespace that was due and is not among them could not
    /// be walked.
    pub(super) fn plan(&mut self, end: &DumpEnd) {
        self.last = None;
        for (netns, namespace) in &mut self.namespaces {
            let is_over = |look: &Timestamp| *look <= end.started;
            let was_due = namespace.next().is_some_and(|next| is_over(&next));
            while namespace.ends.front().is_some_and(is_over) {
                namespace.ends.pop_front();
            }
            let again = mem::take(&mut namespace.shows_orphans);
            let again = again.then(|| end.started + LOOK_AT_ORPHAN);
            namespace.orphans = namespace.orphans.filter(|look| !is_over(look)).or(again);
            if was_due && end.netns.binary_search(netns).is_err() {
                namespace.orphans = Some(end.started + LOOK_AGAIN);
            }
        }
        self.namespaces.retain(|_, namespace| namespace.next().is_some());
    }

    /// The namespaces in which a dump could tell something by now, ascending.
    pub(super) fn due(&self, now: Timestamp) -> Vec<u32> {
        let due = |namespace: &Namespace| namespace.next().is_some_and(|next| next <= now);
        let due = self.namespaces.iter().filter(|(_, namespace)| due(namespace));
        let mut netns: Vec<_> = due.map(|(netns, _)| *netns).collect();
        netns.sort_unstable();
        netns
    }

    /// When a look is worth it next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.namespaces.values().filter_map(Namespace::next).min()
    }

    /// When the last minisock that is known has ended for sure.
    pub(super) fn last_end(&self) -> Timestamp {
        self.last_end
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DumpEnd, Looks, MAX_ENDS, Timestamp};

    const MS: u64 = 1_000_000;

    #[test]
    fn ends_that_come_together_share_a_look() {
        let mut looks = Looks::default();
        for ms in (0..60_000).rev().chain(0..60_000) {
            looks.ends(7, Timestamp(ms * MS));
        }
        let ends = &looks.namespaces[&7].ends;
        assert!(ends.len() <= 61_000 / 300 && ends.iter().is_sorted(), "{}", ends.len());
        // Each end is followed by a look, soon.
        for ms in 0..60_000 {
            let looked = ends.partition_point(|look| look.0 <= ms * MS);
            let wait = ends.get(looked).map(|look| look.0 - ms * MS);
            assert!(wait.is_some_and(|wait| wait <= 601 * MS), "{ms}: {wait:?}");
        }
        for second in 0..10_000 {
            looks.ends(7, Timestamp(second * 1_000 * MS));
        }
        assert_eq!(looks.namespaces[&7].ends.len(), MAX_ENDS);
    }

    #[test]
    fn a_namespace_is_looked_at_until_nothing_is_left() {
        let mut looks = Looks::default();
        let at = Timestamp(1_000_000 * MS);
        looks.ends(2, at);
        looks.orphan(1, at);
        assert!(looks.due(at).is_empty());
        let later = at + Duration::from_secs(1);
        assert_eq!(looks.due(later), [1, 2]);
        looks.plan(&DumpEnd { started: later, netns: vec![1] });
        assert!(looks.due(later).is_empty());
        assert_eq!(looks.due(later + Duration::from_secs(1)), [2], "it could not be walked");
        looks.shown_orphan(1);
        let third = later + Duration::from_secs(1);
        looks.plan(&DumpEnd { started: third, netns: vec![1, 2] });
        assert_eq!(looks.next(), Some(third + Duration::from_secs(1)));
        looks.plan(&DumpEnd { started: third + Duration::from_secs(1), netns: vec![1, 2] });
        assert_eq!(looks.next(), None);
    }
}
