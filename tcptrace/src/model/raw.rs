//! The tracepoint's own view: every event as it is, nothing told from it.

use std::collections::HashMap;

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Event, Transition},
    model::{
        change::{Change, ConnectionId, Dwell, Evidence, Identity, Moved, Owner},
        classify::owning_task,
        summary::Summary,
    },
    time::Timestamp,
};

/// Sockets remembered at a time.
const MAX_SOCKETS: usize = 2_000_000;

/// What is remembered of a socket.
#[derive(Debug)]
struct Known {
    id: ConnectionId,
    cookie: Option<u64>,
    state: TcpState,
    since: Timestamp,
}

/// Turns events into lines without a thought.
#[derive(Debug, Default)]
pub struct RawView {
    /// Which connection each socket carries, and when it was last heard of.
    sockets: HashMap<u64, Known>,
    summary: Summary,
}

impl RawView {
    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event, changes: &mut Vec<Change>) {
        match event {
            Event::Transition(transition) => self.transition(transition, changes),
            Event::Lost(lost) => {
                self.summary.lost.count(lost);
                changes.push(Change::Lost(*lost));
            }
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition, changes: &mut Vec<Change>) {
        let begins = match transition.from {
            TcpState::Close => transition.to != TcpState::Close,
            from => from == TcpState::Listen && transition.to == TcpState::SynRecv,
        };
        let known = self.sockets.get(&transition.skaddr).filter(|known| {
            let cookies = (known.cookie, transition.cookie);
            !begins && !matches!(cookies, (Some(ours), Some(theirs)) if ours != theirs)
        });
        let fresh = ConnectionId { first_seen: transition.at, socket: transition.skaddr };
        let (id, dwell) = match known {
            Some(known) if known.state == transition.from => {
                (known.id, transition.at.since(known.since).map_or(Dwell::Unknown, Dwell::Exact))
            }
            Some(known) => (known.id, Dwell::Unknown),
            None => (fresh, Dwell::Unknown),
        };
        let fields = transition.socket;
        let owner = owning_task(transition).map_or(Owner::Unknown, Owner::Task);
        changes.push(Change::Moved(Moved {
            at: transition.at,
            identity: Identity {
                id,
                tuple: transition.tuple,
                netns: transition.netns,
                cookie: transition.cookie,
                skaddr: Some(transition.skaddr),
                kernel: fields.is_some_and(|fields| fields.kernel),
            },
            from: transition.from,
            to: transition.to,
            dwell,
            evidence: Evidence::Event,
            reason: None,
            owner,
            on_cpu: transition.on_cpu,
        }));
        if transition.to == TcpState::Close {
            self.sockets.remove(&transition.skaddr);
            changes.push(Change::Forgotten(id));
        } else if self.sockets.len() < MAX_SOCKETS || known.is_some() {
            let Transition { at: since, cookie, to: state, .. } = *transition;
            self.sockets.insert(transition.skaddr, Known { id, cookie, state, since });
        } else {
            self.summary.evicted += 1;
            changes.push(Change::Forgotten(id));
        }
    }
}
