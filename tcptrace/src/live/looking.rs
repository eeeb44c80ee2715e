//! Looking around: dumps, holders, and snapshots that have all that findings need.

use super::{Live, time_of};
use crate::{
    event::{Event, Socket},
    kernel::{Dump, clock, processes, sysctls},
    time::Timestamp,
};

impl Live<'_> {
    /// Existing sockets and their owners, merged with what has happened since attaching.
    /// For findings also what else they need, which makes the snapshot complete.
    pub(super) fn snapshot(&mut self) {
        let begun = clock::processor_time();
        self.dump(None);
        let held = self.look_for_holders(self.teller.pipeline.takes_snapshots());
        // Without holders nothing could be said of who holds what, nor that a descriptor is gone.
        if held && self.teller.pipeline.takes_snapshots() {
            for sysctls in sysctls::of(&self.teller.pipeline.wanted_sysctls()) {
                self.feed(&Event::Sysctls(sysctls));
            }
            for holder in self.teller.pipeline.wanted_processes() {
                if let Some(details) = processes::details(&holder) {
                    self.feed(&Event::Process(details));
                }
            }
            self.feed(&Event::SnapshotEnd(clock::now()));
            log::debug!("a snapshot is complete");
        }
        log::debug!("a snapshot cost {:?}", clock::processor_time().saturating_sub(begun));
        self.snapshots.spend(begun);
        self.looks.spend(begun);
    }

    /// Feeds who holds what, `with_closed` also what only its descriptors keep; false if that cannot be
    /// told. The closed come among the events of the same time, so not while a batch is being fed:
    /// what came meanwhile would go before the rest of that.
    pub(super) fn look_for_holders(&mut self, with_closed: bool) -> bool {
        let begun = clock::processor_time();
        let held = self.source.holders();
        let found = held.is_ok();
        match held {
            Ok(holders) => {
                if with_closed {
                    self.merge(holders.over);
                }
                for holder in holders.descriptors {
                    self.feed(&Event::Holder(holder));
                }
            }
            Err(error) => {
                let level = if self.incomplete { log::Level::Debug } else { log::Level::Warn };
                self.incomplete = true;
                log::log!(level, "owners cannot be looked up: {error:#}");
            }
        }
        self.holders.spend(begun);
        found
    }

    pub(super) fn dump_if_wanted(&mut self, now: Timestamp) {
        if !self.dumps.is_ready() {
            return;
        }
        match self.teller.pipeline.wanted_dump(now) {
            Some(netns) if netns.is_empty() => {}
            wanted => self.dump(wanted.as_deref()),
        }
    }

    /// Dumps sockets and feeds them among the events of the same time.
    fn dump(&mut self, netns: Option<&[u32]>) {
        let begun = clock::processor_time();
        let Dump { sockets, end, failed } = self.source.dump(netns);
        if let Some((inode, problem)) = failed.first() {
            self.incomplete |= netns.is_none();
            let level = if netns.is_none() { log::Level::Warn } else { log::Level::Debug };
            log::log!(
                level,
                "existing sockets of {} network namespaces are not known (first: {inode}, {problem})",
                failed.len()
            );
        }
        self.merge(sockets);
        if let Some(end) = end {
            self.feed(&Event::DumpEnd(end));
        }
        self.dumps.spend(begun);
    }

    /// Feeds sockets that were looked at among the events of the same time.
    fn merge(&mut self, sockets: Vec<Socket>) {
        self.drain_some();
        let usual = self.batch.capacity();
        self.batch.extend(sockets.into_iter().map(Event::Socket));
        // Stable, so that events of one socket stay in their order.
        self.batch.sort_by_key(time_of);
        self.feed_batch();
        // The next of that size may be hours away.
        self.batch.shrink_to(usual);
    }
}
