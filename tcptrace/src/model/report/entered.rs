//! Who entered a state how often.

use std::{collections::HashSet, net::IpAddr};

use super::tally::Tally;
use crate::{
    event::Process,
    model::change::{ConnectionId, Moved},
};

/// Connections of which the owner is waited for.
const MAX_UNCLAIMED: usize = 65_536;

/// Who entered a state how often.
///
/// When the peer's FIN arrives, it is often not known yet who has the connection; whoever moves it on,
/// or is found holding it, has had it then too.
#[derive(Clone, Debug, Default)]
pub struct Entered {
    /// By the owner's process.
    pub processes: Tally<Process>,
    /// By the address of the other end.
    pub peers: Tally<IpAddr>,
    /// Those counted without an owner that are still in the state.
    unclaimed: HashSet<ConnectionId>,
}

impl Entered {
    /// Counts a connection that entered the state.
    pub(super) fn enter(&mut self, moved: &Moved) {
        let owner = moved.owner.process().copied();
        if owner.is_none() && self.unclaimed.len() < MAX_UNCLAIMED {
            self.unclaimed.insert(moved.identity.id);
        }
        self.processes.add(owner);
        self.peers.add(moved.identity.tuple.remote.addr);
    }

    /// It is known, or will never be, who has had this connection since it entered the state.
    pub(super) fn claim(&mut self, id: ConnectionId, process: Option<Process>) {
        if self.unclaimed.remove(&id)
            && let Some(process) = process
        {
            self.processes.claim(process);
        }
    }
}
