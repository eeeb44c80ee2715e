//! The lookout: when a recorder should look at the machine, and at what.
//!
//! A recorder tells nothing, so it need not follow connections: of each socket it knows the state and
//! since when, and of each namespace when a dump of it would tell something. Where that is too little
//! to be sure it looks once too often.

use std::time::Duration;

use tcptrace_common::tcp_state::TcpState;

use super::{judge::kind_of, limits::Limits, snapshot::Snapshot};
use crate::{
    event::{Event, Holder, Hook, HookKind, Shape, Socket, SocketFields, TIME_WAIT, Transition},
    model::{
        classify::{Outcome, classify_close},
        map::HashMap,
        summary::Summary,
    },
    time::Timestamp,
};

mod looks;

use looks::Looks;

/// Sockets followed at a time.
const MAX_SOCKETS: usize = 2_000_000;

/// How often time passes while minisocks are ending.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of a full socket.
#[derive(Clone, Copy, Debug)]
struct Followed {
    state: TcpState,
    /// Since when, as far as that is known.
    entered: Timestamp,
    /// Somebody is known who uses it.
    has_user: bool,
}

/// Tells when to look.
#[derive(Debug, Default)]
pub struct Lookout {
    limits: Limits,
    /// The shortest of them.
    shortest: Duration,
    /// `tcp_destroy_sock` is being traced.
    destroy_hook: bool,
    sockets: HashMap<u64, Followed>,
    looks: Looks,
    snapshot: Snapshot,
    /// When the last complete snapshot began.
    looked: Timestamp,
    next_look: Timestamp,
    /// When the next socket may pass its limit; none does before.
    next: Timestamp,
    /// Something was missed by then, and no dump that began later has come.
    resync: Option<Timestamp>,
    /// After that dump another is wanted: whose end was missed is told by two that do not show it.
    wants_another: bool,
    ticked: Timestamp,
    summary: Summary,
}

impl Lookout {
    /// A lookout for what passes these limits; a snapshot is due at once. `destroy_hook` is whether
    /// `tcp_destroy_sock` is being traced.
    #[must_use]
    pub fn new(limits: Limits, destroy_hook: bool) -> Self {
        Self { shortest: limits.shortest(), limits, destroy_hook, ..Self::default() }
    }

    /// What was counted so far: transitions, as they were told, and losses.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Transition(transition) => return self.transition(transition),
            Event::Hook(hook) if hook.kind == HookKind::Destroyed => {
                self.sockets.remove(&hook.skaddr);
            }
            Event::Hook(Hook { skaddr, kind: HookKind::Accepted(_), .. }) => {
                if let Some(socket) = self.sockets.get_mut(skaddr) {
                    socket.has_user = true;
                }
            }
            Event::Socket(socket) => self.socket(socket),
            Event::DumpEnd(end) => {
                self.looks.plan(end);
                if self.resync.is_some_and(|missed| missed < end.started) {
                    self.resync = std::mem::take(&mut self.wants_another).then_some(end.started);
                }
            }
            Event::Holder(holder) => {
                let socket = holder.skaddr.and_then(|skaddr| self.sockets.get_mut(&skaddr));
                if let Some(socket) = socket {
                    socket.has_user = true;
                }
            }
            Event::Lost(lost) => {
                self.summary.lost.count(lost);
                self.resync = self.resync.max(Some(lost.at));
                self.wants_another = true;
            }
            Event::Tick(now) => self.ticked = *now,
            Event::SnapshotEnd(at) => return self.judge(*at),
            Event::Hook(_)
            | Event::Fork(_)
            | Event::Process(_)
            | Event::Sysctls(_)
            | Event::Clock(_) => return,
        }
        self.snapshot.apply(event);
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { skaddr, at, from, to, socket: fields, .. } = *transition;
        let SocketFields { owned, dead, kernel, .. } = fields.unwrap_or_default();
        if from == to {
            // `close()` after `shutdown()`: no new state.
            if let Some(socket) = self.sockets.get_mut(&skaddr) {
                socket.has_user |= owned;
            }
            return;
        }
        self.summary.count(to);
        if to == TcpState::Close {
            self.note_minisock(transition);
            // Without the hook nobody says when the descriptor goes.
            if fields.is_none() || dead || kernel || !self.destroy_hook {
                self.sockets.remove(&skaddr);
                return;
            }
        }
        let entered = Followed { state: to, entered: at, has_user: owned };
        if let Some(socket) = self.sockets.get_mut(&skaddr) {
            let goes_on = socket.state == from;
            *socket = Followed { has_user: owned || goes_on && socket.has_user, ..entered };
        } else if self.sockets.len() < MAX_SOCKETS {
            // Of what finds no room nothing is lost: it is looked for every few seconds too.
            self.sockets.insert(skaddr, entered);
        }
        // Of nearly all, another comes first.
        if at + self.shortest < self.next {
            self.may_pass(to, at);
        }
    }

    fn note_minisock(&mut self, transition: &Transition) {
        let Some(netns) = transition.netns else {
            return;
        };
        match classify_close(transition.from, transition.socket.as_ref()) {
            Outcome::TimeWait => self.looks.ends(netns, transition.at + TIME_WAIT),
            Outcome::OrphanFinWait2 => {
                let lifetime = transition.orphan_lifetime.unwrap_or(TIME_WAIT);
                self.looks.ends(netns, transition.at + lifetime);
                self.looks.orphan(netns, transition.at);
            }
            Outcome::Closed(_) => {}
        }
    }

    fn socket(&mut self, socket: &Socket) {
        let Socket { at, state, shape, netns, .. } = *socket;
        let since = socket.waiting.unwrap_or(at);
        if shape == Shape::Minisock {
            // A timer that is overdue has not fired yet.
            let ends = socket.timer.map_or(at + TIME_WAIT, |timer| timer.expires.max(at));
            self.looks.ends(netns, ends);
            if state == TcpState::FinWait2 {
                self.looks.shown_orphan(netns);
            }
        } else if let Some(skaddr) = socket.skaddr
            && shape == Shape::Full
            && self.sockets.len() < MAX_SOCKETS
        {
            let found = Followed { state, entered: since, has_user: false };
            self.sockets.entry(skaddr).or_insert(found);
        }
        if kind_of(socket).is_some() {
            self.may_pass(state, since);
        }
    }

    /// Something that has been in a state since then may pass its limit, or has since the last look.
    fn may_pass(&mut self, state: TcpState, since: Timestamp) {
        if let Some(due) = self.limits.of(state).map(|limit| since + limit)
            && due > self.looked
        {
            self.next = self.next.min(due);
        }
    }

    fn judge(&mut self, at: Timestamp) {
        self.looked = self.snapshot.started().unwrap_or(at);
        self.next_look = at + self.limits.look_interval();
        let snapshot = std::mem::take(&mut self.snapshot);
        self.next = self.next_due();
        for socket in snapshot.sockets().iter().filter(|socket| kind_of(socket).is_some()) {
            self.may_pass(socket.state, socket.waiting.unwrap_or(socket.at));
        }
    }

    /// When the first socket passes its limit, of those that had not at the last look.
    fn next_due(&self) -> Timestamp {
        let due = |socket: &Followed| Some(socket.entered + self.limits.of(socket.state)?);
        let due = self.sockets.values().filter_map(due).filter(|due| *due > self.looked);
        due.min().unwrap_or(Timestamp(u64::MAX))
    }

    /// Whether knowing who holds the socket of this event would complete its line.
    #[must_use]
    pub fn wants_holder(&self, transition: &Transition) -> bool {
        transition.socket.is_some_and(|fields| {
            let is_held = fields.inode.is_some() && !fields.owned && !fields.kernel;
            is_held
                && self
                    .sockets
                    .get(&transition.skaddr)
                    .is_some_and(|socket| socket.state == transition.from && !socket.has_user)
        })
    }

    /// Whether a snapshot would tell something by now; `may_look` that one may also be made for what
    /// no event tells of.
    pub fn wants_snapshot(&mut self, now: Timestamp, may_look: bool) -> bool {
        if self.next <= now {
            // Most sockets leave a state long before its limit, and then nothing is due yet.
            self.next = self.next_due();
        }
        self.next <= now || may_look && self.next_look <= now
    }

    /// When a snapshot or a dump may tell something next.
    #[must_use]
    pub fn next_deadline(&self) -> Timestamp {
        let looks = self.looks.next().unwrap_or(Timestamp(u64::MAX));
        self.next.min(self.next_look).min(looks)
    }

    /// Namespaces whose dump would tell something by now; `None` means all of them.
    #[must_use]
    pub fn wanted_dump(&self, now: Timestamp) -> Option<Vec<u32>> {
        self.resync.is_none().then(|| self.looks.due(now))
    }

    /// Whether time should pass by now: minisocks are ending, of which no event tells.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.ticked < self.looks.last_end() && self.ticked + TICK_INTERVAL <= now
    }

    /// The namespaces whose settings a snapshot needs, its sockets being known.
    #[must_use]
    pub fn wanted_sysctls(&self) -> Vec<u32> {
        self.snapshot.wanted_sysctls()
    }

    /// A descriptor of each process behind what waits, its sockets and holders being known. Not only
    /// behind what has passed a limit: somebody may judge the same snapshot by other limits.
    #[must_use]
    pub fn wanted_processes(&self) -> Vec<Holder> {
        let waits =
            |socket: &&Socket| kind_of(socket).is_some() && self.limits.of(socket.state).is_some();
        let sockets: Vec<_> = self.snapshot.sockets().iter().filter(waits).collect();
        self.snapshot.holders_near(&sockets)
    }
}
