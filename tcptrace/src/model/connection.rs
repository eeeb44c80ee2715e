//! One connection, as the tracker remembers it.

mod first_seen;

use std::{
    net::IpAddr,
    num::{NonZeroU16, NonZeroU64},
};

use tcptrace_common::tcp_state::TcpState;

use crate::{
    event::{Comm, Counters, Endpoint, Process, Socket, Transition, Tuple},
    model::{
        change::{
            ConnectionId, Dwell, End, Finished, Identity, Owner, Role, STATE_SLOTS, state_slot,
        },
        classify::owning_task,
        since::{Since, can_become},
    },
    time::Timestamp,
};

/// What [`Since`] is, without the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinceKind {
    Exact,
    AtLeast,
    Estimated,
    Unknown,
}

/// What [`Owner`] is, without the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnerKind {
    Task,
    Fd,
    Opener,
    Nobody,
    Unknown,
}

/// What a helper hook told of a connection last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// None told anything.
    Nothing,
    /// A reset arrived.
    ResetReceived,
    /// A minisock in TIME_WAIT takes its place.
    TimeWait,
    /// A minisock in FIN_WAIT2 takes its place.
    Orphan,
    /// There was no room for a minisock.
    NoMinisock,
}

/// Time never measured, in [`Connection::states`], and moment never seen, in [`Connection::established`].
const NEVER: u64 = u64::MAX;

/// Network namespace not known, in [`Connection::netns`]; the kernel numbers them from 4026531840 on.
const NO_NETNS: u32 = u32::MAX;

/// A connection that is being followed.
///
/// There may be a million, and an event of each finds it in no cache. So what an event changes comes
/// first, then what it only reads, then the times in states, of which it writes one.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Connection {
    skaddr: Option<NonZeroU64>,
    cookie: Option<NonZeroU64>,
    first_seen: Timestamp,
    /// What [`ConnectionId::socket`] is.
    name: u64,
    since: u64,
    last_seen: Timestamp,
    established: u64,
    netns: u32,
    owner_pid: u32,
    local_port: Option<NonZeroU16>,
    remote_port: Option<NonZeroU16>,
    local: Option<IpAddr>,
    remote: Option<IpAddr>,
    v4mapped: bool,
    ipv6: bool,
    owner_comm: Comm,
    owner_kind: OwnerKind,
    since_kind: SinceKind,
    state: TcpState,
    role: Option<Role>,
    kernel: bool,
    opened: bool,
    missed: bool,
    told: Told,
    states: [u64; STATE_SLOTS],
}

/// Three lines of a processor's cache.
const _: () = assert!(size_of::<Connection>() == 192);

impl Connection {
    /// Which connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        ConnectionId { first_seen: self.first_seen, socket: self.name }
    }

    /// Loads something of each of its lines in the cache. The sum means nothing.
    pub(super) fn load(&self) -> u64 {
        let first = self.skaddr.map_or(0, NonZeroU64::get);
        let last = self.states[STATE_SLOTS - 1];
        first.wrapping_add(u64::from(self.owner_pid)).wrapping_add(last)
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id(),
            tuple: self.tuple(),
            netns: self.netns(),
            cookie: self.cookie(),
            skaddr: self.skaddr(),
            kernel: self.kernel,
        }
    }

    /// Its ends, as far as known by now.
    #[must_use]
    pub fn tuple(&self) -> Tuple {
        let end =
            |addr, port: Option<NonZeroU16>| Endpoint { addr, port: port.map(NonZeroU16::get) };
        Tuple {
            local: end(self.local, self.local_port),
            remote: end(self.remote, self.remote_port),
            v4mapped: self.v4mapped,
            ipv6: self.ipv6,
        }
    }

    /// Inode number of its network namespace.
    #[must_use]
    pub fn netns(&self) -> Option<u32> {
        (self.netns != NO_NETNS).then_some(self.netns)
    }

    /// Its socket cookie.
    #[must_use]
    pub fn cookie(&self) -> Option<u64> {
        self.cookie.map(NonZeroU64::get)
    }

    /// Address of its `struct sock`.
    #[must_use]
    pub fn skaddr(&self) -> Option<u64> {
        self.skaddr.map(NonZeroU64::get)
    }

    /// State it is in.
    #[must_use]
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Since {
        let at = Timestamp(self.since);
        match self.since_kind {
            SinceKind::Exact => Since::Exact(at),
            SinceKind::AtLeast => Since::AtLeast(at),
            SinceKind::Estimated => Since::Estimated(at),
            SinceKind::Unknown => Since::Unknown,
        }
    }

    /// When an event or a dump last spoke of it.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// Who opened it.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Its last known user, if any.
    #[must_use]
    pub fn owner(&self) -> Owner {
        let process = Process { pid: self.owner_pid, comm: self.owner_comm };
        match self.owner_kind {
            OwnerKind::Task => Owner::Task(process),
            OwnerKind::Fd => Owner::Fd(process),
            OwnerKind::Opener => Owner::Opener(process),
            OwnerKind::Nobody => Owner::Nobody,
            OwnerKind::Unknown => Owner::Unknown,
        }
    }

    /// Whether nothing is known of its user.
    #[must_use]
    pub fn lacks_owner(&self) -> bool {
        self.owner_kind == OwnerKind::Unknown
    }

    /// Whether a dump that should have named it did not.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.missed
    }

    /// Notes whether a dump that should have named it did not.
    pub fn set_missed(&mut self, missed: bool) {
        self.missed = missed;
    }

    /// What a helper hook told of it last.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told
    }

    /// A helper hook tells this of it.
    pub fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// A dump spoke of it.
    pub fn seen(&mut self, at: Timestamp) {
        self.last_seen = at;
    }

    /// It lies at this address, which the dump that showed it did not tell.
    pub fn set_skaddr(&mut self, skaddr: Option<u64>) {
        self.skaddr = skaddr.and_then(NonZeroU64::new);
    }

    /// It turns out to be in this state, since some time, no time in the one before being told.
    pub fn correct(&mut self, state: TcpState, since: Since) {
        self.state = state;
        self.set_since(since);
    }

    /// The user is this one.
    pub fn set_owner(&mut self, owner: Owner) {
        self.owner_kind = match owner {
            Owner::Task(_) => OwnerKind::Task,
            Owner::Fd(_) => OwnerKind::Fd,
            Owner::Opener(_) => OwnerKind::Opener,
            Owner::Nobody => OwnerKind::Nobody,
            Owner::Unknown => OwnerKind::Unknown,
        };
        if let Some(process) = owner.process() {
            (self.owner_pid, self.owner_comm) = (process.pid, process.comm);
        }
    }

    fn set_since(&mut self, since: Since) {
        (self.since_kind, self.since) = match since {
            Since::Exact(at) => (SinceKind::Exact, at.0),
            Since::AtLeast(at) => (SinceKind::AtLeast, at.0),
            Since::Estimated(at) => (SinceKind::Estimated, at.0),
            Since::Unknown => (SinceKind::Unknown, 0),
        };
    }

    /// Whether `cookie` and `tuple` may be this connection's: what is known on both sides agrees.
    /// The cookie alone names the socket, which may be connected again, from another port.
    #[must_use]
    pub fn may_be(&self, cookie: Option<u64>, tuple: &Tuple) -> bool {
        fn agree<T: Copy + PartialEq>(ours: Option<T>, theirs: Option<T>) -> bool {
            ours.is_none() || theirs.is_none() || ours == theirs
        }
        agree(self.cookie, cookie.and_then(NonZeroU64::new))
            && agree(self.local_port, tuple.local.port.and_then(NonZeroU16::new))
            && agree(self.remote_port, tuple.remote.port.and_then(NonZeroU16::new))
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
        self.learn_names(transition.cookie, transition.netns);
        self.skaddr = NonZeroU64::new(transition.skaddr);
        if let Some(fields) = &transition.socket {
            self.kernel = fields.kernel;
        }
    }

    /// Takes over what a dump knows of the socket.
    pub fn learn_row(&mut self, socket: &Socket) {
        self.last_seen = socket.at;
        self.missed = false;
        self.learn_tuple(&socket.tuple);
        self.learn_names(socket.cookie, Some(socket.netns));
    }

    fn learn_names(&mut self, cookie: Option<u64>, netns: Option<u32>) {
        self.cookie = cookie.and_then(NonZeroU64::new).or(self.cookie);
        self.netns = netns.unwrap_or(self.netns);
    }

    fn learn_tuple(&mut self, tuple: &Tuple) {
        self.local = tuple.local.addr.or(self.local);
        self.remote = tuple.remote.addr.or(self.remote);
        self.local_port = tuple.local.port.and_then(NonZeroU16::new).or(self.local_port);
        self.remote_port = tuple.remote.port.and_then(NonZeroU16::new).or(self.remote_port);
        self.v4mapped |= tuple.v4mapped;
        self.ipv6 = tuple.ipv6;
    }

    /// Who owns the connection at this event; a task that owned the lock is remembered.
    pub fn owner_at(&mut self, transition: &Transition) -> Owner {
        let Some(fields) = &transition.socket else {
            return self.owner();
        };
        if fields.kernel {
            return Owner::Nobody;
        }
        if let Some(process) = owning_task(transition) {
            self.set_owner(Owner::Opener(process));
            return Owner::Task(process);
        }
        if self.lacks_owner() && fields.inode.is_none() {
            return Owner::Nobody;
        }
        self.owner()
    }

    /// Remembers a process found with a descriptor, unless a better witness spoke before.
    pub fn learn_holder(&mut self, process: Process) {
        if matches!(self.owner_kind, OwnerKind::Unknown | OwnerKind::Nobody) {
            self.set_owner(Owner::Fd(process));
        }
    }

    /// Moves on to `state`, adding the time spent in the one left.
    pub fn enter(&mut self, state: TcpState, since: Since, dwell: Dwell) {
        if let (Dwell::Exact(ns), Some(slot)) = (dwell, state_slot(self.state)) {
            let total = &mut self.states[slot];
            *total = if *total == NEVER { ns } else { total.saturating_add(ns) };
        }
        if let (TcpState::Established, Since::Exact(at)) = (state, since) {
            self.established = at.0;
        }
        self.correct(state, since);
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
            identity: self.identity(),
            opened: self.opened.then_some(self.first_seen),
            established: (self.established != NEVER).then_some(Timestamp(self.established)),
            role: self.role,
            states: self.states.map(|ns| (ns != NEVER).then_some(ns)),
            counters,
            end,
            owner,
            on_cpu,
        }
    }
}
