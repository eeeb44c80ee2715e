//! The tracker: follows every connection through its states.
//!
//! Events go in by time, facts come out. Every table is bounded, and what does not fit is counted.

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Event, Holder, Process, Transition},
    model::{
        change::{Change, Evidence, Identity, Moved},
        connection::Connection,
        filter::{Filter, Verdict},
        map::HashMap,
        minisocks::Minisocks,
        since::Since,
        summary::Summary,
    },
    time::Timestamp,
};

mod closing;
mod dumps;
mod found;
mod held;
mod hooks;
pub mod known;
mod sockets;

use closing::MinisockEnd;
use dumps::{Index, Unplaced};
use found::Found;
use held::HeldLines;
use sockets::Sockets;

/// Holders of sockets that no event has named yet.
const MAX_UNPLACED_HOLDERS: usize = 65_536;

/// What the tracker may assume and how much it may keep.
#[derive(Clone, Debug)]
pub struct Options {
    /// `tcp_send_reset` is being traced, so that its absence means something.
    pub reset_hook: bool,
    /// `tcp_destroy_sock` is being traced, so that closed sockets can be kept until it speaks.
    pub destroy_hook: bool,
    /// Connections followed at a time.
    pub max_connections: usize,
    /// Minisocks followed at a time.
    pub max_minisocks: usize,
    /// Which connections are asked for. The kernel may drop the events of others, so that missing
    /// them means nothing, and dumps are not searched for them.
    pub only: Filter,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reset_hook: true,
            destroy_hook: true,
            max_connections: 2_000_000,
            max_minisocks: 1_000_000,
            only: Filter::default(),
        }
    }
}

/// Follows every connection through its states.
#[derive(Debug, Default)]
pub struct Tracker {
    options: Options,
    sockets: Sockets,
    unplaced: Unplaced,
    unplaced_holders: HashMap<u32, Process>,
    /// Only while a netlink dump is being read.
    index: Option<Index>,
    minisocks: Minisocks,
    held: HeldLines,
    /// Something was missed by then, and no dump that began later has been compared.
    resync: Option<Timestamp>,
    /// When records were lost the last time, at the latest.
    lost: Option<Timestamp>,
    /// A dump has told which sockets there were before the trace.
    compared: bool,
    summary: Summary,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Number of full sockets that are being followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len() + self.unplaced.len()
    }

    /// Whether no full socket is being followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has what these events are about at hand when they come. It changes nothing but the time that
    /// they take; some ten to twenty at a time are best.
    pub fn expect(&self, events: &[Event]) {
        self.sockets.fetch(events.iter().filter_map(|event| match event {
            Event::Transition(transition) => Some(transition.skaddr),
            _ => None,
        }));
    }

    /// Takes in one event. Events of one socket must come in their order.
    pub fn apply(&mut self, event: &Event, changes: &mut Vec<Change>) {
        match event {
            Event::Transition(transition) => {
                self.advance_to(transition.at, changes);
                self.transition(transition, changes);
            }
            Event::Hook(hook) => {
                self.advance_to(hook.at, changes);
                self.hook(hook, changes);
            }
            Event::Socket(socket) => {
                self.advance_to(socket.at, changes);
                self.socket(socket, changes);
            }
            Event::DumpEnd(end) => {
                self.advance_to(end.started, changes);
                self.dump_end(end, changes);
            }
            Event::Holder(holder) => self.holder(holder),
            Event::Lost(lost) => {
                self.summary.lost.count(lost);
                self.resync = self.resync.max(Some(lost.at));
                self.lost = self.lost.max(Some(lost.at));
                changes.push(Change::Lost(*lost));
            }
            Event::Tick(now) => self.advance_to(*now, changes),
            Event::Fork(_)
            | Event::Process(_)
            | Event::Sysctls(_)
            | Event::SnapshotEnd(_)
            | Event::Clock(_) => {}
        }
    }

    /// Lets time pass: tells what was held, and what ended by timer without a word. `now` must not
    /// be later than the last event that can still come.
    pub fn advance_to(&mut self, now: Timestamp, changes: &mut Vec<Change>) {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            if self.held.due() == Some(due) {
                let held = self.held.pop();
                held.into_iter().for_each(|held| self.tell_held(held, changes));
            } else if let Some(minisock) = self.minisocks.remove_first() {
                self.end_minisock(minisock, MinisockEnd::Overdue, changes);
            }
        }
    }

    /// Whether [`Self::advance_to`] has something to tell by now.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// When the next line is to be told without an event.
    fn due(&self) -> Option<Timestamp> {
        match (self.held.due(), self.minisocks.overdue_at()) {
            (Some(held), Some(overdue)) => Some(held.min(overdue)),
            (held, overdue) => held.or(overdue),
        }
    }

    /// Tells what is still held, at the end of the trace.
    pub fn finish(&mut self, changes: &mut Vec<Change>) {
        while let Some(held) = self.held.pop() {
            self.tell_held(held, changes);
        }
    }

    /// When [`Self::advance_to`] or a dump has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.due(), self.minisocks.next_look()].into_iter().flatten().min()
    }

    /// Namespaces whose dump would tell something by now; `None` means all of them.
    #[must_use]
    pub fn wanted_dump(&self, now: Timestamp) -> Option<Vec<u32>> {
        if self.resync.is_some() {
            return None;
        }
        Some(self.minisocks.worth_a_look(now))
    }

    /// Whether knowing who holds the socket of this event would complete its line.
    #[must_use]
    pub fn wants_holder(&self, transition: &Transition) -> bool {
        let Some(fields) = &transition.socket else {
            return false;
        };
        fields.inode.is_some()
            && !fields.owned
            && !fields.kernel
            && self.sockets.get(transition.skaddr).is_some_and(|connection| {
                connection.state() == transition.from && connection.lacks_owner()
            })
    }

    fn transition(&mut self, transition: &Transition, changes: &mut Vec<Change>) {
        if transition.from == transition.to {
            self.repeated(transition);
            return;
        }
        let begins = transition.from == TcpState::Close
            || (transition.from == TcpState::Listen && transition.to == TcpState::SynRecv);
        let found =
            if begins { self.begin(transition, changes) } else { self.go_on(transition, changes) };
        let Found { place, dwell, is_new } = found;
        let holder = self.unplaced_holder(transition);
        let connection = &mut self.sockets[place];
        connection.learn(transition);
        if let Some(process) = holder {
            connection.learn_holder(process);
        }
        let owner = connection.owner_at(transition);
        let identity = connection.identity();
        if proves_its_addresses_free(transition) {
            self.displace_minisock(&identity, transition.at, changes);
        }
        let moved = Moved {
            at: transition.at,
            identity,
            from: transition.from,
            to: transition.to,
            dwell,
            evidence: Evidence::Event,
            reason: None,
            owner,
            on_cpu: transition.on_cpu,
        };
        if transition.to == TcpState::Close {
            self.close(place, moved, transition, changes);
        } else {
            changes.push(Change::Moved(moved));
            self.sockets[place].enter(transition.to, Since::Exact(transition.at), dwell);
        }
        if is_new {
            self.bound(transition.skaddr, changes);
        }
        self.note_in_index(transition.skaddr);
    }

    /// `close()` after `shutdown()`: no new state, but it shows who let go.
    fn repeated(&mut self, transition: &Transition) {
        if let Some(connection) = self.sockets.get_mut(transition.skaddr)
            && connection.may_be(transition.cookie, &transition.tuple)
        {
            connection.learn(transition);
            connection.owner_at(transition);
        }
    }

    fn unplaced_holder(&mut self, transition: &Transition) -> Option<Process> {
        if self.unplaced_holders.is_empty() {
            return None;
        }
        self.unplaced_holders.remove(&transition.socket?.inode?)
    }

    /// Gives up a connection that must be gone, although its end was never seen.
    fn lose(&mut self, state: TcpState, identity: &Identity, changes: &mut Vec<Change>) {
        if state != TcpState::Close {
            self.count_uncertain(identity);
            changes.push(Change::Forgotten(identity.id));
        }
    }

    /// Notes that something of this connection was missed, if that is of interest.
    fn count_uncertain(&mut self, identity: &Identity) {
        if self.options.only.judge_identity(identity) == Verdict::Yes {
            self.summary.uncertain += 1;
        }
    }

    /// Follows the connection of a socket at this address from now on.
    fn keep(&mut self, skaddr: u64, connection: Connection, changes: &mut Vec<Change>) {
        if let Some(place) = self.sockets.find(skaddr) {
            self.sockets[place] = connection;
        } else {
            self.sockets.insert(skaddr, connection);
            self.bound(skaddr, changes);
        }
        self.note_in_index(skaddr);
    }

    /// While a netlink dump is being read, its rows may mean this socket.
    fn note_in_index(&mut self, skaddr: u64) {
        if let Some(index) = &mut self.index
            && let Some(connection) = self.sockets.get(skaddr)
        {
            index.add(skaddr, connection);
        }
    }

    /// Gives the connection up that was added last, if it is one too many.
    fn bound(&mut self, skaddr: u64, changes: &mut Vec<Change>) {
        if self.len() <= self.options.max_connections {
            return;
        }
        // Of one that ended, all has been told.
        if let Some(connection) = self.sockets.remove(skaddr)
            && connection.state() != TcpState::Close
        {
            self.summary.evicted += 1;
            changes.push(Change::Forgotten(connection.id()));
        }
    }

    /// The holder was looked up after the events that are told now, and meanwhile the kernel may have
    /// given the socket's memory to another, so an address names nothing without its cookie.
    fn holder(&mut self, holder: &Holder) {
        let named = holder
            .skaddr
            .and_then(|skaddr| self.sockets.get_mut(skaddr))
            .filter(|known| holder.cookie.is_some() && known.cookie() == holder.cookie);
        if let Some(connection) = named {
            connection.learn_holder(holder.process);
        } else {
            // What was found first is the most likely to be gone.
            if self.unplaced_holders.len() >= MAX_UNPLACED_HOLDERS {
                self.unplaced_holders.clear();
            }
            self.unplaced_holders.insert(holder.inode, holder.process);
        }
    }
}

/// Whether no minisock can be left at the addresses of this event. At CLOSE to SYN_SENT the kernel
/// has yet to check them (`tcp_v4_connect`, 5.10 to 7.2), and a local failure may mean that they
/// were taken.
fn proves_its_addresses_free(transition: &Transition) -> bool {
    match (transition.from, transition.to) {
        (_, TcpState::SynRecv | TcpState::Established) => true,
        (TcpState::SynSent, TcpState::Close) => {
            transition.socket.is_some_and(|fields| fields.err != 0)
        }
        _ => false,
    }
}
