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
        self.wants_socket(tuple, *netns)
            && self.judge_states(&[*state]) == Verdict::Yes
            && (owned || self.judge_process(None) == Verdict::Yes)
    }

    /// Whether the addresses, ports, family and namespace are wanted: what is not known is not.
    #[must_use]
    pub fn wants_socket(&self, tuple: &Tuple, netns: u32) -> bool {
        self.netns.is_none_or(|wanted| wanted == netns) && self.judge_tuple(tuple) == Verdict::Yes
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

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState::{CloseWait, Established, LastAck};

    use super::{
        Family, Filter,
        Verdict::{self, Never, NotYet, Yes},
    };
    use crate::event::{Comm, Endpoint, Process, Tuple};

    fn end(text: &str) -> Endpoint {
        let (addr, port) = text.split_once('/').expect("address/port");
        Endpoint { addr: addr.parse().ok(), port: port.parse().ok() }
    }

    fn tuple(local: &str, remote: &str) -> Tuple {
        let (local, remote) = (end(local), end(remote));
        let ipv6 = [local, remote].iter().any(|end| end.addr.is_some_and(|addr| addr.is_ipv6()));
        Tuple { local, remote, v4mapped: false, ipv6 }
    }

    fn check(filter: &Filter, rows: &[(Tuple, Verdict)]) {
        for (tuple, verdict) in rows {
            assert_eq!(filter.judge_tuple(tuple), *verdict, "{tuple:?} by {filter:?}");
        }
    }

    #[test]
    fn a_mapped_connection_is_an_ipv4_one() {
        let v4 = tuple("10.0.0.1/1", "10.0.0.2/2");
        let mapped = Tuple { v4mapped: true, ipv6: true, ..v4 };
        let v6 = tuple("2001:db8::1/1", "2001:db8::2/2");
        let child = Tuple { ipv6: true, ..Tuple::default() };
        let listener = tuple("::/80", "-/-");
        let only = |family| Filter { family: Some(family), ..Filter::default() };
        check(
            &only(Family::V4),
            &[(v4, Yes), (mapped, Yes), (v6, Never), (child, NotYet), (listener, Never)],
        );
        check(
            &only(Family::V6),
            &[(v4, Never), (mapped, Never), (v6, Yes), (child, NotYet), (listener, Yes)],
        );
    }

    #[test]
    fn a_port_that_is_not_known_yet_decides_nothing() {
        let known = tuple("10.0.0.1/4000", "10.0.0.2/80");
        let no_local = tuple("10.0.0.1/-", "10.0.0.2/80");
        let no_remote = tuple("0.0.0.0/80", "-/-");
        let local = |ports: &[u16]| Filter { local_ports: ports.to_vec(), ..Filter::default() };
        let remote = |ports: &[u16]| Filter { remote_ports: ports.to_vec(), ..Filter::default() };
        check(&local(&[1, 4000]), &[(known, Yes), (no_local, NotYet), (no_remote, Never)]);
        check(&local(&[1]), &[(known, Never), (no_local, NotYet)]);
        check(&remote(&[80]), &[(known, Yes), (no_local, Yes), (no_remote, NotYet)]);
        check(&remote(&[443]), &[(known, Never), (no_local, Never), (no_remote, NotYet)]);
        let both = Filter { remote_ports: vec![443], ..local(&[4000]) };
        check(&both, &[(known, Never), (no_local, Never)]);
    }

    #[test]
    fn either_end_may_lie_in_the_network() {
        let in_network =
            |network: &str| Filter { network: network.parse().ok(), ..Filter::default() };
        let both = tuple("10.0.0.1/1", "192.0.2.7/2");
        let mapped = Tuple { v4mapped: true, ipv6: true, ..both };
        let one = tuple("10.0.0.1/1", "-/-");
        check(&in_network("10.0.0.0/8"), &[(both, Yes), (mapped, Yes), (one, Yes)]);
        check(&in_network("192.0.2.7/32"), &[(both, Yes), (mapped, Yes), (one, NotYet)]);
        check(&in_network("172.16.0.0/12"), &[(both, Never), (one, NotYet)]);
        let v6 = tuple("2001:db8::1/1", "2001:db8::2/2");
        check(&in_network("2001:db8::/32"), &[(v6, Yes), (both, Never)]);
        check(&in_network("0.0.0.0/0"), &[(v6, Never), (both, Yes)]);
    }

    #[test]
    fn a_state_or_a_process_may_still_come() {
        let filter = Filter { states: vec![CloseWait], ..Filter::default() };
        assert_eq!(filter.judge_states(&[Established, CloseWait]), Yes);
        assert_eq!(filter.judge_states(&[CloseWait, LastAck]), Yes);
        assert_eq!(filter.judge_states(&[Established, LastAck]), NotYet);
        let srv = Process { pid: 7, comm: Comm::from("srv") };
        let other = Process { pid: 8, comm: Comm::from("srv") };
        let by_pid = Filter { pids: vec![7], ..Filter::default() };
        let by_both = Filter { comm: Some(Comm::from("cli")), ..by_pid.clone() };
        for (filter, process, verdict) in [
            (&by_pid, Some(&srv), Yes),
            (&by_pid, Some(&other), NotYet),
            (&by_pid, None, NotYet),
            (&by_both, Some(&srv), NotYet),
            (&Filter::default(), None, Yes),
        ] {
            assert_eq!(filter.judge_process(process), verdict);
        }
    }

    #[test]
    fn what_one_condition_rules_out_no_other_can_save() {
        assert_eq!(Never.and(NotYet), Never);
        assert_eq!(Yes.and(Never), Never);
        assert_eq!(NotYet.and(Yes), NotYet);
        assert_eq!(Yes.and(Yes), Yes);
    }
}
