//! The processes that descend from one, by the forks that were seen.

use std::collections::HashSet;

use crate::event::Fork;

/// All that a process began, and they began, whether they still run or not; itself not counted.
#[derive(Clone, Debug)]
pub struct Descendants {
    root: u32,
    pids: HashSet<u32>,
}

impl Descendants {
    /// Those that `root` will have.
    #[must_use]
    pub fn of(root: u32) -> Self {
        Self { root, pids: HashSet::new() }
    }

    /// The process from which all descend.
    #[must_use]
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Takes in a fork. The pid of a process that has ended may be that of a stranger from here on.
    pub fn fork(&mut self, fork: &Fork) {
        if fork.parent == self.root || self.pids.contains(&fork.parent) {
            self.pids.insert(fork.child);
        } else {
            self.pids.remove(&fork.child);
        }
    }

    /// Whether the process is one of them.
    #[must_use]
    pub fn contains(&self, pid: u32) -> bool {
        self.pids.contains(&pid)
    }

    /// All of them, ascending.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.pids.iter().copied().collect();
        pids.sort_unstable();
        pids
    }
}

#[cfg(test)]
mod tests {
    use super::{Descendants, Fork};
    use crate::time::Timestamp;

    #[test]
    fn children_and_their_children_belong_until_a_stranger_has_their_pid() {
        let mut descendants = Descendants::of(1);
        for (parent, child) in [(1, 10), (10, 11), (2, 12), (12, 13)] {
            descendants.fork(&Fork { at: Timestamp(0), parent, child });
        }
        assert_eq!(descendants.pids(), [10, 11]);
        assert!(descendants.contains(11) && !descendants.contains(13) && !descendants.contains(1));
        descendants.fork(&Fork { at: Timestamp(1), parent: 12, child: 11 });
        assert_eq!(descendants.pids(), [10]);
    }
}
