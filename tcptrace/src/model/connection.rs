//! One connection, as the tracker remembers it.

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Counters, Process, Shape, Socket, Transition, Tuple},
    model::{
        change::{
            ConnectionId, Dwell, End, Finished, Identity, Owner, Role, STATE_SLOTS, state_slot,
        },
        classify::owning_task,
        socket_list::age,
    },
    time::Timestamp,
};

/// Since when a connection has been in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// We saw it enter.
    Exact(Timestamp),
    /// It was there then, perhaps before.
    AtLeast(Timestamp),
    /// Told from a timer of the socket.
    Estimated(Timestamp),
    /// Not known.
    Unknown,
}

impl Since {
    /// Time from then to `now`; unknown if the clock stood before that.
    #[must_use]
    pub fn dwell(self, now: Timestamp) -> Dwell {
        let (entered, dwell): (_, fn(u64) -> Dwell) = match self {
            Self::Exact(entered) => (entered, Dwell::Exact),
            Self::AtLeast(entered) => (entered, Dwell::AtLeast),
            Self::Estimated(entered) => (entered, Dwell::Estimated),
            Self::Unknown => return Dwell::Unknown,
        };
        now.since(entered).map_or(Dwell::Unknown, dwell)
    }
}

/// Whether a connection that was in `before` can be in `after` later on. One that could not, on the
/// same socket, is another connection.
#[must_use]
pub fn can_become(before: TcpState, after: TcpState) -> bool {
    use TcpState::{
        CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynRecv, SynSent,
    };
    match before {
        SynSent => after == SynRecv || after == Established || can_become(Established, after),
        SynRecv => after == Established || can_become(Established, after),
        Established => matches!(after, FinWait1 | FinWait2 | Closing | CloseWait | LastAck),
        FinWait1 => matches!(after, FinWait2 | Closing),
        CloseWait => after == LastAck,
        _ => false,
    }
}

/// Time never measured, in [`Connection::states`].
const NEVER: u64 = u64::MAX;

/// A connection that is being followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Who it is.
    pub identity: Identity,
    /// State it is in.
    pub state: TcpState,
    /// Since when.
    pub since: Since,
    /// Who opened it.
    pub role: Option<Role>,
    /// Its last known user, if any.
    pub owner: Owner,
    /// When an event or a dump last spoke of it.
    pub last_seen: Timestamp,
    /// A dump that should have named it did not.
    pub missed: bool,
    /// A reset arrived for it.
    pub reset_received: bool,
    opened: bool,
    established: Option<Timestamp>,
    states: [u64; STATE_SLOTS],
}

impl Connection {
    /// A connection first seen in an event. `opened` says that the event began it.
    #[must_use]
    pub fn from_transition(transition: &Transition, opened: bool) -> Self {
        let role = match transition.to {
            TcpState::SynSent if opened => Some(Role::Active),
            TcpState::SynRecv if opened => Some(Role::Passive),
            _ => None,
        };
        Self {
            identity: Identity {
                id: ConnectionId { first_seen: transition.at, socket: transition.skaddr },
                tuple: transition.tuple,
                netns: transition.netns,
                cookie: transition.cookie,
                skaddr: Some(transition.skaddr),
                kernel: transition.socket.is_some_and(|fields| fields.kernel),
            },
            state: transition.from,
            since: Since::Unknown,
            role,
            owner: Owner::Unknown,
            last_seen: transition.at,
            missed: false,
            reset_received: false,
            opened,
            established: None,
            states: [NEVER; STATE_SLOTS],
        }
    }

    /// A connection first seen in a dump.
    #[must_use]
    pub fn from_socket(socket: &Socket) -> Self {
        let since = match age(socket) {
            Dwell::Estimated(ns) => Since::Estimated(Timestamp(socket.at.0.saturating_sub(ns))),
            Dwell::AtLeast(ns) => Since::AtLeast(Timestamp(socket.at.0.saturating_sub(ns))),
            Dwell::Exact(_) | Dwell::Unknown => Since::AtLeast(socket.at),
        };
        Self {
            identity: Identity {
                id: ConnectionId {
                    first_seen: socket.at,
                    socket: socket.skaddr.or(socket.cookie).unwrap_or_default(),
                },
                tuple: socket.tuple,
                netns: Some(socket.netns),
                cookie: socket.cookie,
                // The address of a minisock is not that of the socket it stands for.
                skaddr: socket.skaddr.filter(|_| socket.shape == Shape::Full),
                kernel: socket.kernel.unwrap_or(false),
            },
            state: socket.state,
            since,
            role: None,
            owner: if socket.shape == Shape::Minisock { Owner::Nobody } else { Owner::Unknown },
            last_seen: socket.at,
            missed: false,
            reset_received: false,
            opened: false,
            established: None,
            states: [NEVER; STATE_SLOTS],
        }
    }

    /// Whether `cookie` and `tuple` may be this connection's: what is known on both sides agrees.
    /// The cookie alone names the socket, which may be connected again, from another port.
    #[must_use]
    pub fn may_be(&self, cookie: Option<u64>, tuple: &Tuple) -> bool {
        fn agree<T: Copy + PartialEq>(ours: Option<T>, theirs: Option<T>) -> bool {
            ours.is_none() || theirs.is_none() || ours == theirs
        }
        let ours = &self.identity;
        agree(ours.cookie, cookie)
            && agree(ours.tuple.local.port, tuple.local.port)
            && agree(ours.tuple.remote.port, tuple.remote.port)
    }

    /// Whether the event may be this connection's, perhaps with others missed in between.
    #[must_use]
    pub fn can_go_on_with(&self, transition: &Transition) -> bool {
        self.may_be(transition.cookie, &transition.tuple)
            && (self.state == transition.from || can_become(self.state, transition.from))
    }

    /// Takes over what an event knows of the socket itself.
    pub fn learn(&mut self, transition: &Transition) {
        self.last_seen = transition.at;
        self.missed = false;
        self.learn_tuple(&transition.tuple);
        let identity = &mut self.identity;
        identity.cookie = transition.cookie.or(identity.cookie);
        identity.netns = transition.netns.or(identity.netns);
        identity.skaddr = Some(transition.skaddr);
        if let Some(fields) = &transition.socket {
            identity.kernel = fields.kernel;
        }
    }

    /// Takes over what a dump knows of the socket.
    pub fn learn_row(&mut self, socket: &Socket) {
        self.last_seen = socket.at;
        self.missed = false;
        self.learn_tuple(&socket.tuple);
        let identity = &mut self.identity;
        identity.cookie = socket.cookie.or(identity.cookie);
        identity.netns = Some(socket.netns);
    }

    fn learn_tuple(&mut self, tuple: &Tuple) {
        let ours = &mut self.identity.tuple;
        for (known, new) in [(&mut ours.local, tuple.local), (&mut ours.remote, tuple.remote)] {
            known.addr = new.addr.or(known.addr);
            known.port = new.port.or(known.port);
        }
        ours.v4mapped |= tuple.v4mapped;
        ours.ipv6 = tuple.ipv6;
    }

    /// Who owns the connection at this event; a task that owned the lock is remembered.
    pub fn owner_at(&mut self, transition: &Transition) -> Owner {
        let Some(fields) = &transition.socket else {
            return self.owner;
        };
        if fields.kernel {
            return Owner::Nobody;
        }
        if let Some(process) = owning_task(transition) {
            self.owner = Owner::Opener(process);
            return Owner::Task(process);
        }
        match self.owner {
            Owner::Unknown if fields.inode.is_none() => Owner::Nobody,
            owner => owner,
        }
    }

    /// Remembers a process found with a descriptor, unless a better witness spoke before.
    pub fn learn_holder(&mut self, process: Process) {
        if matches!(self.owner, Owner::Unknown | Owner::Nobody) {
            self.owner = Owner::Fd(process);
        }
    }

    /// Moves on to `state`, adding the time spent in the one left.
    pub fn enter(&mut self, state: TcpState, since: Since, dwell: Dwell) {
        if let (Dwell::Exact(ns), Some(slot)) = (dwell, state_slot(self.state)) {
            let total = &mut self.states[slot];
            *total = if *total == NEVER { ns } else { total.saturating_add(ns) };
        }
        if let (TcpState::Established, Since::Exact(at)) = (state, since) {
            self.established = Some(at);
        }
        self.state = state;
        self.since = since;
    }

    /// The summary of a connection that ended at `closed`. Listeners are not connections.
    #[must_use]
    pub fn finished(
        &self,
        closed: Timestamp,
        end: End,
        owner: Owner,
        counters: Option<Counters>,
        on_cpu: Option<Process>,
    ) -> Finished {
        Finished {
            closed,
            identity: self.identity,
            opened: self.opened.then_some(self.identity.id.first_seen),
            established: self.established,
            role: self.role,
            states: self.states.map(|ns| (ns != NEVER).then_some(ns)),
            counters,
            end,
            owner,
            on_cpu,
        }
    }
}
