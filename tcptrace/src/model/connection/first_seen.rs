//! Connections as they are first seen.

use std::num::NonZeroU64;

use tcptrace_common::tcp_state::TcpState;

use super::{Connection, NEVER, NO_NETNS, OwnerKind, SinceKind, Told};
use crate::{
    event::{Comm, Shape, Socket, Transition, Tuple},
    model::{
        change::{Dwell, Role, STATE_SLOTS},
        since::Since,
        socket_list::age,
    },
    time::Timestamp,
};

impl Connection {
    /// A connection first seen in an event. `opened` says that the event began it.
    #[must_use]
    pub fn from_transition(transition: &Transition, opened: bool) -> Self {
        let role = match transition.to {
            TcpState::SynSent if opened => Some(Role::Active),
            TcpState::SynRecv if opened => Some(Role::Passive),
            _ => None,
        };
        let kernel = transition.socket.is_some_and(|fields| fields.kernel);
        let mut connection =
            Self::new(transition.at, transition.skaddr, transition.from, &transition.tuple);
        connection.skaddr = NonZeroU64::new(transition.skaddr);
        connection.learn_names(transition.cookie, transition.netns);
        Self { role, kernel, opened, ..connection }
    }

    /// A connection first seen in a dump.
    #[must_use]
    pub fn from_socket(socket: &Socket) -> Self {
        let since = match age(socket) {
            Dwell::Estimated(ns) => Since::Estimated(Timestamp(socket.at.0.saturating_sub(ns))),
            Dwell::AtLeast(ns) => Since::AtLeast(Timestamp(socket.at.0.saturating_sub(ns))),
            Dwell::Exact(_) | Dwell::Unknown => Since::AtLeast(socket.at),
        };
        let name = socket.skaddr.or(socket.cookie).unwrap_or_default();
        let mut connection = Self::new(socket.at, name, socket.state, &socket.tuple);
        if socket.shape == Shape::Minisock {
            connection.owner_kind = OwnerKind::Nobody;
        } else {
            // The address of a minisock is not that of the socket it stands for.
            connection.skaddr = socket.skaddr.and_then(NonZeroU64::new);
        }
        connection.learn_names(socket.cookie, Some(socket.netns));
        connection.set_since(since);
        connection.kernel = socket.kernel.unwrap_or(false);
        connection
    }

    /// Nothing is known of it but this.
    fn new(at: Timestamp, name: u64, state: TcpState, tuple: &Tuple) -> Self {
        let mut connection = Self {
            skaddr: None,
            cookie: None,
            first_seen: at,
            name,
            since: 0,
            last_seen: at,
            established: NEVER,
            netns: NO_NETNS,
            owner_pid: 0,
            local_port: None,
            remote_port: None,
            local: None,
            remote: None,
            v4mapped: false,
            ipv6: false,
            owner_comm: Comm::default(),
            owner_kind: OwnerKind::Unknown,
            since_kind: SinceKind::Unknown,
            state,
            role: None,
            kernel: false,
            opened: false,
            missed: false,
            told: Told::Nothing,
            states: [NEVER; STATE_SLOTS],
        };
        connection.learn_tuple(tuple);
        connection
    }
}
