//! What a snapshot shows to be stuck, in groups.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    iter,
};

use tcptrace_common::tcp_state::TcpState;

use super::{
    advice::{Advices, Case, Unread},
    detector::Options,
    finding::{Finding, FindingOwner, HeldBy, Peer, Service},
    group::{GroupKey, Size},
    kind::Kind,
    pressure::{UnderPressure, under_pressure},
    snapshot::{Index, Snapshot},
    waiting::{Subject, Waiting},
};
use crate::{
    event::{Process, Shape, Socket, Sysctl, TIME_WAIT, TimerKind, Tuple},
    model::{
        change::Dwell,
        filter::Verdict,
        tracker::{Tracker, known::Known},
    },
    time::{Timestamp, nanoseconds},
};

/// Everything that a snapshot shows to be stuck and that was asked for.
pub(super) struct Report<'a> {
    pub(super) found: Vec<Found<'a>>,
    pub(super) sizes: HashMap<GroupKey, Size>,
    snapshot: &'a Snapshot,
    index: Index<'a>,
    advices: RefCell<Advices>,
}

/// One of them.
pub(super) struct Found<'a> {
    pub(super) subject: Subject,
    pub(super) key: GroupKey,
    /// What doubling is about: the age in ns; of time-wait pressure the used ports in hundredths.
    pub(super) size: u64,
    held_by: HeldBy,
    owners: Vec<FindingOwner>,
    user: Option<Process>,
    what: What<'a>,
}

enum What<'a> {
    Socket(&'a Waiting<'a>),
    Destination(Box<UnderPressure>),
}

impl<'a> Report<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        waiting: &'a [Waiting<'a>],
        tracker: &Tracker,
        options: &Options,
    ) -> Self {
        let asked = waiting.iter().any(Waiting::is_over_limit);
        let index = if asked { snapshot.index() } else { snapshot.no_index() };
        let mut report = Self {
            found: Vec::new(),
            sizes: HashMap::new(),
            snapshot,
            index,
            advices: RefCell::default(),
        };
        for waiting in waiting.iter().filter(|waiting| waiting.is_over_limit()) {
            let found = report.of_socket(waiting);
            report.add(found, waiting.age, options);
        }
        for pressure in
            under_pressure(snapshot.sockets(), |netns| snapshot.sysctls(netns).map(AsRef::as_ref))
        {
            let user = report.busiest(&pressure.time_waits, tracker);
            let found = of_destination(pressure, user);
            report.add(found, Dwell::Unknown, options);
        }
        report
    }

    /// Who closed most of these, as far as the tracker remembers.
    fn busiest(&self, places: &[usize], tracker: &Tracker) -> Option<Process> {
        let memory = tracker.memory(&[]);
        let mut counts: BTreeMap<u32, (usize, Process)> = BTreeMap::new();
        for &place in places {
            if let Known::Here(connection) = memory.known(&self.snapshot.sockets()[place])
                && let Some(&process) = connection.owner().process()
            {
                counts.entry(process.pid).or_insert((0, process)).0 += 1;
            }
        }
        counts.into_values().max_by_key(|(count, _)| *count).map(|(_, process)| process)
    }

    fn add(&mut self, found: Found<'a>, age: Dwell, options: &Options) {
        if found.is_wanted(options) {
            self.sizes.entry(found.key).or_default().add(age);
            self.found.push(found);
        }
    }

    fn of_socket(&self, waiting: &'a Waiting<'a>) -> Found<'a> {
        let socket = waiting.socket;
        let (held_by, owners) = self.index.holding(socket);
        let service = if waiting.passive || self.index.listeners(socket).next().is_some() {
            socket.tuple.local.port.map(Service::Local)
        } else {
            None
        };
        let remote = socket.tuple.remote;
        let service = service.unwrap_or(Service::Remote(remote.addr, remote.port));
        let user = waiting.user.filter(|_| held_by != HeldBy::Processes);
        let process = owners.first().map(|owner| &owner.process).or(user.as_ref());
        let case = self.case(waiting, held_by);
        Found {
            subject: waiting.subject,
            key: GroupKey { case, pid: process.map(|process| process.pid), service },
            size: waiting.size(),
            held_by,
            user,
            owners,
            what: What::Socket(waiting),
        }
    }

    /// All that is known about one of [`Self::found`].
    pub(super) fn finding(&self, found: &Found<'a>) -> Finding {
        match &found.what {
            What::Socket(waiting) => self.finding_of_socket(found, waiting),
            What::Destination(pressure) => self.finding_of_destination(found, pressure),
        }
    }

    fn finding_of_socket(&self, found: &Found<'a>, waiting: &Waiting<'a>) -> Finding {
        let socket = waiting.socket;
        let conn = match waiting.subject {
            Subject::Connection(id) => Some(id),
            Subject::Destination(_) => None,
        };
        let peer = self.index.peer(socket).map(|peer| {
            let (held_by, owners) = self.index.holding(peer);
            Peer { state: peer.state, netns: peer.netns, held_by, owners }
        });
        Finding {
            at: socket.at,
            again: false,
            conn,
            tuple: socket.tuple,
            netns: socket.netns,
            kind: waiting.kind,
            age: waiting.age,
            age_source: waiting.source,
            limit: Some(waiting.limit),
            held_by: found.held_by,
            owners: found.owners.clone(),
            closed_by: found.user,
            peer,
            recv_q: socket.recv_q,
            send_q: socket.send_q,
            timer: socket.timer,
            expires: self.expires(socket),
            pressure: None,
            advice: self.advice(found.key.case),
        }
    }

    /// What the advice depends on, and only that: what makes no difference would split groups.
    fn case(&self, waiting: &Waiting<'_>, held_by: HeldBy) -> Case {
        let Waiting { socket, kind, .. } = *waiting;
        let mut case = Case::new(kind, held_by, socket.netns);
        match kind {
            Kind::CloseWaitNotClosed => case.unread = Unread::of(socket.recv_q),
            Kind::SynSentUnanswered | Kind::SynRecvUnacked => {
                case.queue_full = self.queue_is_full(socket);
            }
            Kind::LastAckUnacked => {
                case.window_closed =
                    socket.timer.is_some_and(|timer| timer.kind == TimerKind::Probe);
            }
            _ => {}
        }
        let names_the_peer = matches!(
            kind,
            Kind::FinWait2HalfClosed | Kind::FinWait2Orphan | Kind::FinWait1ZeroWindow
        ) || case.window_closed;
        let peer = if names_the_peer { self.index.peer(socket) } else { None };
        case.peer_here = peer.is_some_and(|peer| !self.index.holding(peer).1.is_empty());
        case
    }

    fn finding_of_destination(&self, found: &Found<'a>, pressure: &UnderPressure) -> Finding {
        Finding {
            at: pressure.at,
            again: false,
            conn: None,
            tuple: pressure.tuple,
            netns: pressure.destination.netns,
            kind: Kind::TimeWaitPressure,
            age: Dwell::Unknown,
            age_source: None,
            limit: None,
            held_by: found.held_by,
            owners: Vec::new(),
            closed_by: found.user,
            peer: None,
            recv_q: 0,
            send_q: 0,
            timer: None,
            expires: None,
            pressure: Some(pressure.pressure),
            advice: self.advice(found.key.case),
        }
    }

    fn advice(&self, case: Case) -> std::rc::Rc<super::advice::Advice> {
        let sysctls = self.snapshot.sysctls(case.netns).map(AsRef::as_ref);
        self.advices.borrow_mut().of(case, sysctls)
    }

    /// Whether the accept queue that stands in the way of this handshake is full: a connection more
    /// than the limit is let in (`sk_acceptq_is_full`, 5.10 to 7.2).
    fn queue_is_full(&self, socket: &Socket) -> bool {
        let is_full = |listener: &Socket| listener.recv_q > listener.send_q;
        match socket.state {
            TcpState::SynRecv => self.index.listeners(socket).any(is_full),
            TcpState::SynSent => self.index.called(socket).any(is_full),
            _ => false,
        }
    }

    /// When the kernel ends an orphan in FIN_WAIT2. A full socket has half of its time before it
    /// still, as a minisock (`tcp_keepalive_timer`, 5.10 to 7.2), if its limit is the namespace's.
    fn expires(&self, socket: &Socket) -> Option<Timestamp> {
        let timer = socket.timer?;
        match (socket.state, socket.shape, timer.kind) {
            (TcpState::FinWait2, Shape::Minisock, TimerKind::Timewait) => Some(timer.expires),
            (TcpState::FinWait2, Shape::Full, TimerKind::Keepalive)
                if socket.inode.is_none() && socket.kernel != Some(true) =>
            {
                let sysctls = self.snapshot.sysctls(socket.netns)?;
                let limit = u64::try_from(sysctls.number(Sysctl::TcpFinTimeout)?).ok()?;
                let half = (limit * 1_000_000_000).checked_sub(nanoseconds(TIME_WAIT))?;
                let left = timer.expires.since(socket.at).unwrap_or(0);
                // More than that, and the program has set TCP_LINGER2.
                (left <= half).then(|| timer.expires + std::time::Duration::from_nanos(half))
            }
            _ => None,
        }
    }
}

fn of_destination<'a>(pressure: UnderPressure, user: Option<Process>) -> Found<'a> {
    let Tuple { remote, .. } = pressure.tuple;
    let service = Service::Remote(remote.addr, remote.port);
    let netns = pressure.destination.netns;
    Found {
        subject: Subject::Destination(pressure.destination),
        key: GroupKey {
            case: Case::new(Kind::TimeWaitPressure, HeldBy::Nobody, netns),
            pid: user.map(|user| user.pid),
            service,
        },
        size: pressure.pressure.percent().into(),
        held_by: HeldBy::Nobody,
        owners: Vec::new(),
        user,
        what: What::Destination(Box::new(pressure)),
    }
}

impl Found<'_> {
    fn is_wanted(&self, options: &Options) -> bool {
        let (kind, tuple, netns) = match &self.what {
            What::Socket(waiting) => (waiting.kind, &waiting.socket.tuple, waiting.socket.netns),
            What::Destination(pressure) => {
                (Kind::TimeWaitPressure, &pressure.tuple, pressure.destination.netns)
            }
        };
        let filter = &options.filter;
        let users = self.owners.iter().map(|owner| &owner.process).chain(&self.user);
        let belongs = match &options.only_of {
            None => true,
            Some(descendants) => users.clone().any(|user| descendants.contains(user.pid)),
        };
        let users = users.map(Some).chain(iter::once(None));
        (options.kinds.is_empty() || options.kinds.contains(&kind))
            && filter.wants_socket(tuple, netns)
            && filter.judge_states(&[kind.state()]) == Verdict::Yes
            && belongs
            && users.into_iter().any(|user| filter.judge_process(user) == Verdict::Yes)
    }
}
