//! Compares the lines that came with those expected. Pure, so that its own tests need no kernel.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use crate::{
    expect::{Expected, Length, Owner},
    line::Line,
    script::Deed,
    stage::{Connection, End, Kind, Person, Record},
};

/// A line that the kernel's softirq caused may come a little after the step that caused it.
const DEFERRED_NS: u64 = 200_000_000;

/// What is wrong, or nothing. `ready_ns` is when the tracer was there for certain, if that was after
/// the first step.
pub(crate) fn compare(
    expected: &[Expected],
    lines: &[Line],
    record: &Record,
    ready_ns: u64,
) -> Option<String> {
    let groups = name_groups(lines, record);
    let mut wrong = Vec::new();
    let mut listed: Vec<&str> = Vec::new();
    for line in expected {
        if !listed.contains(&line.socket.as_str()) {
            listed.push(&line.socket);
        }
    }
    for socket in &listed {
        let wanted: Vec<&Expected> =
            expected.iter().filter(|line| line.socket == *socket).collect();
        let got =
            groups.iter().find(|(name, ..)| name == socket).map_or(&[][..], |(_, _, lines)| lines);
        let check = Check { record, ready_ns, connection: record.connection(socket) };
        check.sequence(socket, &wanted, got, &mut wrong);
    }
    for (name, kind, _) in &groups {
        if !listed.contains(&name.as_str()) && *kind != Some(Kind::Listening) {
            wrong.push(format!("{name} is not expected at all"));
        }
    }
    wrong.extend(cookies(&groups));
    if wrong.is_empty() {
        return None;
    }
    let mut report = wrong.join("\n");
    report.push_str("\nThese lines came:\n");
    for (name, _, lines) in &groups {
        for line in lines {
            _ = writeln!(report, "  {name} {}", notation(line, &record.people));
        }
    }
    for (_, _, lines) in &groups {
        for line in lines {
            _ = writeln!(report, "  {line}");
        }
    }
    Some(report)
}

/// A socket has one cookie, and no other socket has it. (A child of a listener shows the listener's in
/// its first event, up to 6.12.)
fn cookies(groups: &[Group<'_>]) -> Vec<String> {
    let mut sockets: HashMap<u64, &str> = HashMap::new();
    let mut wrong = Vec::new();
    for (name, _, lines) in groups {
        let socket = name.split('.').next().unwrap_or(name);
        let mut known = lines.iter().filter_map(|line| line.cookie);
        let Some(first) = known.next() else { continue };
        if known.any(|cookie| cookie != first) {
            wrong.push(format!("{name} has more than one cookie"));
        }
        match sockets.insert(first, socket) {
            Some(other) if other != socket => {
                wrong.push(format!("{name} has the cookie of {other}"));
            }
            _ => {}
        }
    }
    wrong
}

/// A line in the words of [`crate::expect`].
fn notation(line: &Line, people: &HashMap<String, Person>) -> String {
    let owner = match line.pid {
        None => "-".to_owned(),
        Some(pid) => people.iter().find(|(_, person)| person.pid == pid).map_or_else(
            || format!("{}[{pid}]", line.comm.as_deref().unwrap_or("null")),
            |(name, _)| name.clone(),
        ),
    };
    let mut text = format!("{} -> {} {owner}", line.from, line.to);
    for word in
        [line.owner.as_deref(), Some(&line.evidence), line.reason.as_deref(), Some(&line.dwell)]
    {
        if let Some(word) = word.filter(|word| *word != "event") {
            _ = write!(text, " {word}");
        }
    }
    if let Some(dwell) = line.dwell_ns {
        _ = write!(text, " {:?}", Duration::from_nanos(dwell));
    }
    text
}

type Group<'a> = (String, Option<Kind>, Vec<&'a Line>);

/// The lines by connection, each under its name in the script; `?1`, `?2` where it has none.
fn name_groups<'a>(lines: &'a [Line], record: &Record) -> Vec<Group<'a>> {
    let mut groups: Vec<Vec<&Line>> = Vec::new();
    for line in lines.iter().filter(|line| !line.is_fence()) {
        match groups.iter_mut().find(|group| group[0].conn == line.conn) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    // Two passive ends may have the same addresses one after the other.
    groups.sort_by_key(|group| group[0].boot_ns);
    let mut named: Vec<Group<'_>> = Vec::new();
    for group in groups {
        let taken: Vec<&str> = named.iter().map(|(name, ..)| name.as_str()).collect();
        let (name, kind) =
            record.name(&group, &taken).unwrap_or_else(|| (format!("?{}", named.len() + 1), None));
        named.push((name, kind, group));
    }
    named
}

impl Record {
    fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.name == name)
    }

    /// The name of the connection that these lines are about.
    fn name(&self, group: &[&Line], taken: &[&str]) -> Option<(String, Option<Kind>)> {
        let first = group.first()?;
        let free = |connection: &&Connection| !taken.contains(&connection.name.as_str());
        let ends = group.iter().rev().find_map(|line| Some((line.local()?, line.remote()?)));
        let by_step = |kind: Kind| {
            let within = |c: &&Connection| {
                let (begin, end) = self.windows[c.step];
                c.kind == kind && (begin..=end).contains(&first.boot_ns)
            };
            self.connections.iter().filter(free).find(within)
        };
        let by_ends = || {
            let (local, remote) = ends?;
            let same = |c: &&Connection| {
                c.kind != Kind::Listening
                    && matches(c.local, (Some(local.ip()), Some(local.port())))
                    && matches(c.remote, (Some(remote.ip()), Some(remote.port())))
            };
            self.connections.iter().filter(free).find(same)
        };
        let found = match (first.from.as_str(), first.to.as_str()) {
            ("CLOSE", "SYN_SENT") => by_step(Kind::Connected),
            ("CLOSE", "LISTEN") => by_step(Kind::Listening),
            ("LISTEN", "CLOSE") => self
                .connections
                .iter()
                .filter(free)
                .find(|c| c.kind == Kind::Listening && matches(c.local, first.local)),
            _ => by_ends(),
        };
        if let Some(found) = found {
            return Some((found.name.clone(), Some(found.kind)));
        }
        // The other end of a connect, which nobody accepted.
        let (local, remote) = ends?;
        let opposite = |c: &&Connection| {
            c.kind == Kind::Connected
                && matches(c.local, (Some(remote.ip()), Some(remote.port())))
                && matches(c.remote, (Some(local.ip()), Some(local.port())))
        };
        let found = self.connections.iter().find(opposite)?;
        Some((format!("{}'", found.name), None))
    }
}

/// Whether the known parts of `known` are those of `other`.
fn matches(known: End, other: End) -> bool {
    known.0.is_none_or(|address| other.0 == Some(address))
        && known.1.is_none_or(|port| other.1 == Some(port))
}

struct Check<'a> {
    record: &'a Record,
    ready_ns: u64,
    connection: Option<&'a Connection>,
}

impl Check<'_> {
    fn sequence(&self, socket: &str, wanted: &[&Expected], got: &[&Line], wrong: &mut Vec<String>) {
        let mut rest = got.iter();
        let mut next = rest.next();
        let mut before: Option<&Line> = None;
        for wanted in wanted {
            match next {
                Some(line) if line.from == wanted.from && line.to == wanted.to => {
                    for complaint in self.complaints(wanted, line, before) {
                        wrong.push(format!("{socket} {} -> {}: {complaint}", line.from, line.to));
                    }
                    before = Some(line);
                    next = rest.next();
                }
                Some(line) => {
                    wrong.push(format!(
                        "{socket}: `{} -> {}` should come, not `{} -> {}`",
                        wanted.from, wanted.to, line.from, line.to
                    ));
                    return;
                }
                None => {
                    wrong
                        .push(format!("{socket}: `{} -> {}` did not come", wanted.from, wanted.to));
                    return;
                }
            }
        }
        if let Some(line) = next {
            wrong.push(format!("{socket}: `{} -> {}` is too much", line.from, line.to));
        }
    }

    fn complaints(&self, wanted: &Expected, line: &Line, before: Option<&Line>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut one_of = |what: &str, wanted: &[String], got: &str| {
            if !wanted.is_empty() && !wanted.iter().any(|word| word == got) {
                wrong.push(format!("{what} should be {}, not {got}", wanted.join(" or ")));
            }
        };
        one_of("the owner's kind", &wanted.known_by, line.owner.as_deref().unwrap_or("null"));
        one_of("the evidence", &wanted.evidence, &line.evidence);
        one_of("the reason", &wanted.reasons, line.reason.as_deref().unwrap_or("null"));
        one_of("the dwell's kind", &wanted.dwell, &line.dwell);
        // That an IPv6 socket has IPv4 addresses is known with them.
        let has_addresses = line.local.0.or(line.remote.0).is_some();
        if line.v4mapped != (wanted.v4mapped && has_addresses) {
            wrong.push(format!("v4mapped should be {}", wanted.v4mapped));
        }
        wrong.extend(self.owner(wanted, line));
        wrong.extend(self.ends(line));
        wrong.extend(self.dwell(wanted, line, before));
        wrong
    }

    fn owner(&self, wanted: &Expected, line: &Line) -> Option<String> {
        let (name, may_be_null) = match &wanted.owner {
            Owner::Nobody => {
                return (line.pid.is_some() || line.comm.is_some()).then(|| {
                    format!("nobody should be named, not {:?} {:?}", line.comm, line.pid)
                });
            }
            Owner::Actor(name) => (name, false),
            Owner::Perhaps(name) => (name, true),
        };
        if may_be_null && line.pid.is_none() && line.comm.is_none() {
            return None;
        }
        let Some(person) = self.record.people.get(name) else {
            return Some(format!("there is no actor {name}"));
        };
        let is_person = line.pid == Some(person.pid)
            && line.comm.as_ref().is_some_and(|comm| person.comms.contains(comm));
        if !is_person {
            return Some(format!(
                "{name}, pid {}, should be named, not {:?} {:?}",
                person.pid, line.comm, line.pid
            ));
        }
        if line.owner.as_deref() == Some("task") && !self.is_within_a_step_of(name, wanted, line) {
            return Some(format!("its boot_ns is in no step of {name} on this socket"));
        }
        None
    }

    /// A task that owns the socket's lock is in a system call on that socket, or dying.
    fn is_within_a_step_of(&self, actor: &str, wanted: &Expected, line: &Line) -> bool {
        let socket = wanted.socket.split(['.', '\'']).next().unwrap_or_default();
        self.record.steps.iter().zip(&self.record.windows).any(|(step, (begin, end))| {
            (begin..=end).contains(&&line.boot_ns)
                && (step.actor_and_socket() == Some((actor, socket))
                    || matches!(&step.deed, Deed::Kill(killed) if killed == actor))
        })
    }

    /// Addresses and ports: right, or null where the kernel's event does not hold them yet.
    fn ends(&self, line: &Line) -> Option<String> {
        let connection = self.connection?;
        let early = matches!(line.from.as_str(), "CLOSE" | "LISTEN");
        let differs = |known: End, got: End| {
            known.0.is_some_and(|known| got.0.map_or(!early, |got| got != known))
                || known.1.is_some_and(|known| got.1.map_or(!early, |got| got != known))
        };
        if differs(connection.local, line.local) {
            return Some(format!(
                "the local end should be {:?}, not {:?}",
                connection.local, line.local
            ));
        }
        if connection.kind != Kind::Listening && differs(connection.remote, line.remote) {
            return Some(format!(
                "the remote end should be {:?}, not {:?}",
                connection.remote, line.remote
            ));
        }
        let known = line.local.0.or(line.remote.0);
        let family = known.map(|address| if address.is_ipv6() { "ipv6" } else { "ipv4" });
        let is_told = line.family.as_deref() == family;
        // Without addresses it may be known all the same.
        (!is_told && family.is_some() || family.is_none() && !early)
            .then(|| format!("the family should be that of the addresses, not {:?}", line.family))
    }

    fn dwell(&self, wanted: &Expected, line: &Line, before: Option<&Line>) -> Option<String> {
        if let Some(before) = before
            && before.boot_ns > line.boot_ns
        {
            return Some("it came after a later line".to_owned());
        }
        let Some(dwell) = line.dwell_ns else {
            return (line.dwell != "unknown" || wanted.length != Length::Any)
                .then(|| format!("the dwell is {} and null", line.dwell));
        };
        match (line.dwell.as_str(), before) {
            ("unknown", _) => return Some(format!("the dwell is unknown and yet {dwell} ns")),
            ("exact", Some(before)) if dwell != line.boot_ns - before.boot_ns => {
                return Some(format!(
                    "the exact dwell is {dwell} ns, but {} ns lie between the two lines",
                    line.boot_ns - before.boot_ns
                ));
            }
            ("at_least", None) if dwell < line.boot_ns.saturating_sub(self.ready_ns) => {
                return Some(format!(
                    "a dwell of at least {dwell} ns is less than the tracer saw itself"
                ));
            }
            _ => {}
        }
        match wanted.length {
            Length::Any => None,
            Length::Between(least, most) => {
                let (least, most) = (nanoseconds(least), nanoseconds(most));
                (!(least..=most).contains(&dwell)).then(|| {
                    format!("the dwell should lie between {least} and {most} ns, not be {dwell}")
                })
            }
            Length::Wait(wait) => self.around(wait, dwell, line),
        }
    }

    /// A state that lasted over one wait and no other: it was entered after the wait before and left
    /// before the wait after.
    fn around(&self, wait: Duration, dwell: u64, line: &Line) -> Option<String> {
        let waits = || {
            let all = self.record.steps.iter().zip(&self.record.windows);
            all.filter(|(step, _)| matches!(step.deed, Deed::Wait(_)))
        };
        let Some(at) = waits().position(|(step, _)| step.deed == Deed::Wait(wait)) else {
            return Some(format!("the script has no step `wait {wait:?}`"));
        };
        let windows: Vec<(u64, u64)> = waits().map(|(_, window)| *window).collect();
        let first = self.record.windows.first()?.0;
        let last = self.record.windows.last()?.1 + DEFERRED_NS;
        let (begin, end) = windows[at];
        let entered = at.checked_sub(1).map_or(first, |before| windows[before].1)..=begin;
        let left = end..=windows.get(at + 1).map_or(last, |after| after.0);
        let was_entered = line.boot_ns.saturating_sub(dwell);
        if entered.contains(&was_entered) && left.contains(&line.boot_ns) {
            return None;
        }
        Some(format!(
            "the state should have been entered in {entered:?} and left in {left:?}, around the wait of {wait:?}, \
             but it was entered at {was_entered} and left at {}",
            line.boot_ns
        ))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
