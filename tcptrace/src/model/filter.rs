//! Filters: which connections a user wants to see.

use ipnet::IpNet;
use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Comm, Process, Socket, Tuple},
    model::{
        change::{Identity, Moved},
        socket_list::ListedSocket,
    },
};

/// What a connection must have to be shown. Empty lists ask for nothing; filled ones must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Address family: 4, 6 or any. A v4-mapped connection is an IPv4 one.
    pub family: Option<Family>,
    /// One of these local ports.
    pub local_ports: Vec<u16>,
    /// One of these remote ports.
    pub remote_ports: Vec<u16>,
    /// Owned by one of these processes.
    pub pids: Vec<u32>,
    /// Owned by a process of this name.
    pub comm: Option<Comm>,
    /// Either end in this network.
    pub network: Option<IpNet>,
    /// Entering or leaving one of these states.
    pub states: Vec<TcpState>,
    /// In this network namespace.
    pub netns: Option<u32>,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, v4-mapped included.
    V4,
    /// IPv6, v4-mapped excluded.
    V6,
}

/// Whether a connection is wanted, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It matches.
    Yes,
    /// It does not match yet, but may when more is known or happens.
    NotYet,
    /// It can never match.
    Never,
}

impl Verdict {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::NotYet,
        }
    }
}

/// `Yes` or `Never` if the value is known, else `NotYet`.
fn decide(known: Option<bool>) -> Verdict {
    match known {
        Some(true) => Verdict::Yes,
        Some(false) => Verdict::Never,
        None => Verdict::NotYet,
    }
}

impl Filter {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Judges a connection by one of its lines.
    #[must_use]
    pub fn judge(&self, moved: &Moved) -> Verdict {
        self.judge_identity(&moved.identity)
            .and(self.judge_states(&[moved.from, moved.to]))
            .and(self.judge_process(moved.owner.process()))
    }

    /// Whether a socket of a list is wanted: now or never, so what is not known does not match.
    #[must_use]
    pub fn wants(&self, listed: &ListedSocket) -> bool {
        let Socket { state, tuple, netns, .. } = &listed.socket;
        let owned = listed
            .owners
            .iter()
            .any(|owner| self.judge_process(Some(&owner.process)) == Verdict::Yes);
        self.netns.is_none_or(|wanted| wanted == *netns)
            && self.judge_tuple(tuple) == Verdict::Yes
            && self.judge_states(&[*state]) == Verdict::Yes
            && (owned || self.judge_process(None) == Verdict::Yes)
    }

    /// Judges by addresses, ports, family and namespace.
    #[must_use]
    pub fn judge_identity(&self, identity: &Identity) -> Verdict {
        let netns = match self.netns {
            None => Verdict::Yes,
            Some(wanted) => decide(identity.netns.map(|netns| netns == wanted)),
        };
        netns.and(self.judge_tuple(&identity.tuple))
    }

    fn judge_tuple(&self, tuple: &Tuple) -> Verdict {
        let family = self
            .family
            .map_or(Verdict::Yes, |wanted| decide(family_of(tuple).map(|family| family == wanted)));
        family
            .and(judge_port(&self.local_ports, tuple.local.port))
            .and(judge_port(&self.remote_ports, tuple.remote.port))
            .and(self.judge_network(tuple))
    }

    fn judge_network(&self, tuple: &Tuple) -> Verdict {
        let Some(network) = &self.network else {
            return Verdict::Yes;
        };
        let ends = [tuple.local.addr, tuple.remote.addr];
        if ends.iter().flatten().any(|addr| network.contains(addr)) {
            return Verdict::Yes;
        }
        decide(ends.iter().all(Option::is_some).then_some(false))
    }

    /// A connection may yet enter a wanted state, so a mismatch never decides.
    #[must_use]
    pub fn judge_states(&self, states: &[TcpState]) -> Verdict {
        if self.states.is_empty() || states.iter().any(|state| self.states.contains(state)) {
            Verdict::Yes
        } else {
            Verdict::NotYet
        }
    }

    /// A descriptor may be handed to another process, so a mismatch never decides.
    #[must_use]
    pub fn judge_process(&self, process: Option<&Process>) -> Verdict {
        if self.pids.is_empty() && self.comm.is_none() {
            return Verdict::Yes;
        }
        let matches = process.is_some_and(|process| {
            (self.pids.is_empty() || self.pids.contains(&process.pid))
                && self.comm.is_none_or(|comm| comm == process.comm)
        });
        if matches { Verdict::Yes } else { Verdict::NotYet }
    }
}

fn judge_port(wanted: &[u16], port: Option<u16>) -> Verdict {
    if wanted.is_empty() {
        return Verdict::Yes;
    }
    decide(port.map(|port| wanted.contains(&port)))
}

/// The family of a tuple. Until an IPv6 socket that is no listener has a remote address it may turn
/// out to be v4-mapped.
fn family_of(tuple: &Tuple) -> Option<Family> {
    if !tuple.ipv6 || tuple.v4mapped {
        return Some(Family::V4);
    }
    let listens_everywhere = tuple.local.addr.is_some_and(|addr| addr.is_unspecified());
    (tuple.remote.addr.is_some() || listens_everywhere).then_some(Family::V6)
}
