//! The report: what a trace comes to. Changes go in one by one; however many there are, the memory it
//! takes is bounded.

pub mod dwells;
pub mod entered;
pub mod findings;
pub mod quantiles;
pub mod stuck_group;
pub mod tally;
pub mod timeline;

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::Process,
    model::{
        arrows::Arrows,
        change::{Change, Dwell, End, Finished, Moved, Role},
        span::Span,
    },
    time::{ClockSample, Timestamp},
};
use dwells::Dwells;
use entered::Entered;
use findings::Findings;
use tally::Tally;
use timeline::Timeline;

/// States with a time worth telling, in the order of a connection's life.
pub const STATES: [TcpState; 9] = [
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::Closing,
    TcpState::TimeWait,
    TcpState::CloseWait,
    TcpState::LastAck,
];

/// States of which it is told who enters them most.
pub const WAITING: [TcpState; 2] = [TcpState::TimeWait, TcpState::CloseWait];

/// Which machine a trace is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Name of the host; empty if it is not known.
    pub host: String,
    /// Release of its kernel; empty if it is not known.
    pub kernel: String,
}

/// What connections are for: our port if the other side opened them, else theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePort {
    /// Who opened them.
    pub role: Role,
    /// The port that was connected to.
    pub port: u16,
}

/// What a trace comes to.
#[derive(Debug)]
pub struct Report {
    /// Which machine it is of.
    pub origin: Origin,
    /// Transitions by both their states.
    pub arrows: Arrows,
    /// Times in each of [`STATES`].
    pub dwells: [Dwells; STATES.len()],
    /// Connections that were seen to begin.
    pub opened: u64,
    /// Connections that ended.
    pub finished: u64,
    /// From begin to end, of connections that ended.
    pub lifetimes: Dwells,
    /// Connections that ended, by who opened them.
    pub roles: Tally<Role>,
    /// Connections that ended, by service.
    pub services: Tally<ServicePort>,
    /// Connections that ended, by owner.
    pub processes: Tally<Process>,
    /// How connections ended, in the order of [`End::ALL`].
    pub ends: [u64; End::ALL.len()],
    /// Who entered each of [`WAITING`].
    pub entered: [Entered; WAITING.len()],
    /// What happened when.
    pub timeline: Timeline,
    /// What was stuck.
    pub findings: Findings,
    /// When tracing began.
    begun: Timestamp,
}

impl Report {
    /// A report of nothing yet, of a trace that began at `clock`.
    #[must_use]
    pub fn new(origin: Origin, clock: &ClockSample) -> Self {
        Self {
            origin,
            arrows: Arrows::default(),
            dwells: Default::default(),
            opened: 0,
            finished: 0,
            lifetimes: Dwells::default(),
            roles: Tally::default(),
            services: Tally::default(),
            processes: Tally::default(),
            ends: Default::default(),
            entered: Default::default(),
            timeline: Timeline::default(),
            findings: Findings::default(),
            begun: clock.boot,
        }
    }

    /// Takes a change into account.
    pub fn add(&mut self, change: &Change, clock: &ClockSample) {
        self.arrows.count(change);
        match change {
            Change::Moved(moved) => self.moved(moved),
            Change::Finished(finished) => self.finished(finished),
            Change::Stuck(group) => {
                let Self { findings, timeline, begun, entered, .. } = self;
                for finding in &group.news {
                    let holder = finding.owners.first().map(|owner| owner.process);
                    let state = finding.kind.state();
                    let slot = WAITING.iter().position(|waiting| *waiting == state);
                    if let (Some(slot), Some(id), Some(_)) = (slot, finding.conn, holder) {
                        entered[slot].claim(id, holder);
                    }
                }
                findings.add(group, clock, |entered| {
                    // What was there before has been so from the beginning, as far as the trace goes.
                    let at = entered.map_or(group.at, |at| at.max(*begun));
                    timeline.at(at).stuck += 1;
                });
            }
            Change::Resolved(resolved) => {
                if self.findings.resolve(resolved) {
                    self.timeline.at(resolved.at).resolved += 1;
                }
            }
            Change::Forgotten(id) => {
                self.entered.iter_mut().for_each(|entered| entered.claim(*id, None));
            }
            Change::Released(_) | Change::Lost(_) => {}
        }
    }

    /// The trace is over: quiet times at its ends belong to it too.
    pub fn finish(&mut self, span: &Span) {
        for moment in [span.first, span.last].into_iter().flatten() {
            self.timeline.at(moment.at);
        }
    }

    fn moved(&mut self, moved: &Moved) {
        if let Some(slot) = STATES.iter().position(|state| *state == moved.from) {
            self.dwells[slot].count(moved.dwell);
        }
        if is_opening(moved) {
            self.opened += 1;
            self.timeline.at(moved.at).opened += 1;
        }
        for (state, entered) in WAITING.iter().zip(&mut self.entered) {
            if *state == moved.from {
                entered.claim(moved.identity.id, moved.owner.process().copied());
            }
            if *state == moved.to {
                entered.enter(moved);
            }
        }
    }

    fn finished(&mut self, finished: &Finished) {
        let Finished { closed, opened, role, end, owner, identity, .. } = finished;
        self.finished += 1;
        self.timeline.at(*closed).closed += 1;
        let lifetime = opened.and_then(|opened| closed.since(opened));
        self.lifetimes.count(lifetime.map_or(Dwell::Unknown, Dwell::Exact));
        self.roles.add(*role);
        let port = match role {
            Some(Role::Active) => identity.tuple.remote.port,
            Some(Role::Passive) => identity.tuple.local.port,
            None => None,
        };
        self.services.add(role.zip(port).map(|(role, port)| ServicePort { role, port }));
        self.processes.add(owner.process().copied());
        if let Some(slot) = End::ALL.iter().position(|known| known == end) {
            self.ends[slot] += 1;
        }
    }
}

/// Whether it is the beginning of a connection: a listener is none.
fn is_opening(moved: &Moved) -> bool {
    matches!(
        (moved.from, moved.to),
        (TcpState::Close, TcpState::SynSent) | (TcpState::Listen, TcpState::SynRecv)
    )
}
