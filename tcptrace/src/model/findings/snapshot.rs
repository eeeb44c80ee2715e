//! A snapshot: everything that one look at the machine told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter,
    rc::Rc,
};

use tcptrace_common::tcp_state::TcpState;

use super::{
    finding::{FindingOwner, HeldBy},
    judge::may_be_found,
};
use crate::{
    event::{DumpEnd, Endpoint, Event, Holder, ProcessDetails, Shape, Socket, Sysctls, Tuple},
    time::Timestamp,
};

/// What one look at the machine told.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    sockets: Vec<Socket>,
    holders: Vec<Holder>,
    processes: HashMap<u32, Rc<ProcessDetails>>,
    sysctls: HashMap<u32, Rc<Sysctls>>,
    /// The end of the dump, once it has come.
    dump: Option<DumpEnd>,
}

impl Snapshot {
    /// Takes in what belongs to a snapshot.
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            // The rows of a closed socket come from its descriptors, after the dump.
            Event::Socket(socket) if self.dump.is_some() && socket.state != TcpState::Close => {
                *self = Self::default();
                self.sockets.push(*socket);
            }
            Event::Socket(socket) => self.sockets.push(*socket),
            Event::DumpEnd(end) => {
                if self.dump.is_some() {
                    *self = Self::default();
                }
                self.dump = Some(end.clone());
            }
            Event::Holder(holder) if self.dump.is_some() => self.holders.push(*holder),
            Event::Process(details) if self.dump.is_some() => {
                _ = self.processes.insert(details.pid, Rc::new(details.clone()));
            }
            Event::Sysctls(sysctls) if self.dump.is_some() => {
                _ = self.sysctls.insert(sysctls.netns, Rc::new(sysctls.clone()));
            }
            _ => {}
        }
    }

    pub(super) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// When it began.
    pub(super) fn started(&self) -> Option<Timestamp> {
        self.dump.as_ref().map(|dump| dump.started)
    }

    /// Whether it would show what is in this namespace.
    pub(super) fn covers(&self, netns: u32) -> bool {
        self.dump.as_ref().is_some_and(|dump| dump.netns.binary_search(&netns).is_ok())
    }

    pub(super) fn sysctls(&self, netns: u32) -> Option<&Rc<Sysctls>> {
        self.sysctls.get(&netns)
    }

    /// The namespaces whose settings matter for what it shows so far, ascending.
    pub(super) fn wanted_sysctls(&self) -> Vec<u32> {
        let waiting = self.sockets.iter().filter(|socket| may_be_found(socket));
        let netns: BTreeSet<u32> = waiting.map(|socket| socket.netns).collect();
        netns.into_iter().collect()
    }

    /// A descriptor of each process that has to do with these sockets of it, by process.
    pub(super) fn holders_near(&self, sockets: &[&Socket]) -> Vec<Holder> {
        let mut wanted: BTreeMap<u32, Holder> = BTreeMap::new();
        let index = if sockets.is_empty() { self.no_index() } else { self.index() };
        for socket in sockets {
            for holder in index.everyone_near(socket) {
                wanted.entry(holder.process.pid).or_insert(*holder);
            }
        }
        wanted.into_values().collect()
    }

    /// For a snapshot of which nothing will be asked, as of most, for making an index takes time.
    pub(super) fn no_index(&self) -> Index<'_> {
        Index {
            snapshot: self,
            by_ends: HashMap::new(),
            listeners: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// Answers questions about it. The snapshot must not change meanwhile.
    pub(super) fn index(&self) -> Index<'_> {
        let mut index = self.no_index();
        index.by_ends.reserve(self.sockets.len());
        index.holders.reserve(self.holders.len());
        for socket in &self.sockets {
            let Socket { tuple, netns, .. } = socket;
            if socket.state == TcpState::Listen {
                let port = (*netns, tuple.local.port);
                index.listeners.entry(port).or_default().push(socket);
            } else if socket.state != TcpState::Close {
                index.by_ends.entry((tuple.local, tuple.remote)).or_default().push(socket);
            }
        }
        for holder in &self.holders {
            index.holders.entry(holder.inode).or_default().push(holder);
        }
        index
    }
}

/// A snapshot, ready for questions.
pub(super) struct Index<'a> {
    snapshot: &'a Snapshot,
    by_ends: HashMap<(Endpoint, Endpoint), Vec<&'a Socket>>,
    listeners: HashMap<(u32, Option<u16>), Vec<&'a Socket>>,
    holders: HashMap<u32, Vec<&'a Holder>>,
}

impl<'a> Index<'a> {
    /// Who holds a socket.
    pub(super) fn holding(&self, socket: &Socket) -> (HeldBy, Vec<FindingOwner>) {
        let Some(inode) = socket.inode else {
            let waits = matches!(
                socket.state,
                TcpState::SynRecv | TcpState::Established | TcpState::CloseWait
            );
            return match socket.shape {
                Shape::Full if socket.kernel == Some(true) => (HeldBy::Kernel, Vec::new()),
                // A full socket without a descriptor that nobody has closed was never accepted.
                Shape::Full | Shape::Request if waits => {
                    (HeldBy::AcceptQueue, self.owners_of_listener(socket))
                }
                _ => (HeldBy::Nobody, Vec::new()),
            };
        };
        let owners = self.owners(inode);
        if !owners.is_empty() {
            return (HeldBy::Processes, owners);
        }
        let kernel = socket.kernel == Some(true);
        (if kernel { HeldBy::Kernel } else { HeldBy::Unseen }, owners)
    }

    fn owners(&self, inode: u32) -> Vec<FindingOwner> {
        let mut owners: Vec<FindingOwner> = Vec::new();
        for holder in self.holders.get(&inode).into_iter().flatten() {
            match owners.iter_mut().find(|owner| owner.process.pid == holder.process.pid) {
                Some(owner) => owner.fds.push(holder.fd),
                None => owners.push(FindingOwner {
                    process: holder.process,
                    fds: vec![holder.fd],
                    details: self.snapshot.processes.get(&holder.process.pid).cloned(),
                }),
            }
        }
        for owner in &mut owners {
            owner.fds.sort_unstable();
            owner.fds.dedup();
        }
        owners.sort_by_key(|owner| owner.process.pid);
        owners
    }

    fn owners_of_listener(&self, socket: &Socket) -> Vec<FindingOwner> {
        let mut owners: Vec<FindingOwner> = Vec::new();
        let mut listeners: Vec<_> = self.listeners(socket).collect();
        // Of several that share a port, it is in no queue that is empty. (A request is in none.)
        if socket.shape == Shape::Full && listeners.iter().any(|listener| listener.recv_q > 0) {
            listeners.retain(|listener| listener.recv_q > 0);
        }
        for inode in listeners.into_iter().filter_map(|listener| listener.inode) {
            for owner in self.owners(inode) {
                match owners.iter_mut().find(|known| known.process.pid == owner.process.pid) {
                    Some(known) => known.fds.extend(owner.fds),
                    None => owners.push(owner),
                }
            }
        }
        owners
    }

    /// A descriptor of everyone who holds the socket, its other end, or the listener of either.
    pub(super) fn everyone_near(&self, socket: &'a Socket) -> impl Iterator<Item = &'a Holder> {
        let ends = iter::once(socket).chain(self.peer(socket));
        let sockets = ends.flat_map(|end| iter::once(end).chain(self.listeners(end)));
        let inodes = sockets.filter_map(|socket| socket.inode);
        inodes.flat_map(|inode| self.holders.get(&inode).into_iter().flatten().copied())
    }

    /// The listeners that the socket may have come from: several may share a port. It has the family
    /// of its listener, also where the addresses are IPv4 (`inet_csk_clone_lock`, 5.10 to 7.2).
    pub(super) fn listeners(&self, socket: &Socket) -> impl Iterator<Item = &'a Socket> {
        let Tuple { local, ipv6, .. } = socket.tuple;
        self.listening_at(socket.netns, local).filter(move |listener| listener.tuple.ipv6 == ipv6)
    }

    /// The listeners that the SYNs of this socket reach, if the other end is in its namespace: what
    /// listens on all addresses here has no part in a call to another host.
    pub(super) fn called(&self, socket: &Socket) -> impl Iterator<Item = &'a Socket> {
        let Tuple { local, remote, .. } = socket.tuple;
        // To call an address of one's own the kernel takes the same one.
        let own = remote.addr.is_some_and(|addr| addr.is_loopback() || local.addr == Some(addr));
        self.listening_at(socket.netns, remote).filter(move |listener| {
            let reaches = listener.tuple.ipv6 || remote.addr.is_some_and(|addr| addr.is_ipv4());
            reaches && (own || listener.tuple.local.addr == remote.addr)
        })
    }

    fn listening_at(&self, netns: u32, at: Endpoint) -> impl Iterator<Item = &'a Socket> {
        let candidates = self.listeners.get(&(netns, at.port)).into_iter().flatten();
        candidates.copied().filter(move |listener| {
            let bound = listener.tuple.local.addr.filter(|addr| !addr.is_unspecified());
            bound.is_none_or(|bound| Some(bound) == at.addr)
        })
    }

    /// The other end, if it is on this host. Of several namespaces with the same ends our own is
    /// meant, which always is for loopback addresses; else nobody knows which.
    pub(super) fn peer(&self, socket: &Socket) -> Option<&'a Socket> {
        let Endpoint { addr: Some(addr), port: Some(_) } = socket.tuple.remote else {
            return None;
        };
        let found = self.by_ends.get(&(socket.tuple.remote, socket.tuple.local))?;
        let mut of_ours = found.iter().filter(|peer| peer.netns == socket.netns);
        if let Some(peer) = of_ours.next() {
            return of_ours.next().is_none().then_some(*peer);
        }
        match found.as_slice() {
            [peer] if !addr.is_loopback() => Some(*peer),
            _ => None,
        }
    }
}
