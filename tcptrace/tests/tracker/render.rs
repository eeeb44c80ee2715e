//! Changes as text that a test can compare.

use std::{collections::HashMap, fmt::Write as _, net::IpAddr};

use tcptrace::model::{
    change::{Change, ConnectionId, DWELL_STATES, Dwell, Finished, Identity, Moved, Owner},
    findings::finding::{FindingOwner, Group, HeldBy, Resolved, Service},
};

/// Names connections by the letter of their socket and writes what became of them.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    names: HashMap<ConnectionId, String>,
    per_socket: HashMap<char, u32>,
    /// Lines end in the addresses of the connection.
    pub(crate) addresses: bool,
}

impl Renderer {
    pub(crate) fn change(&mut self, change: &Change) -> String {
        match change {
            Change::Moved(moved) => self.moved(moved),
            Change::Finished(finished) => self.finished(finished),
            Change::Forgotten(id) => format!("{} forgotten", self.name(*id)),
            Change::Released(released) => {
                format!("{} released {}", self.name(released.id), dwell(released.dwell))
            }
            Change::Stuck(group) => self.group(group),
            Change::Resolved(resolved) => self.resolved(resolved),
            Change::Lost(lost) => format!("{} lost", lost.count),
        }
    }

    /// One line for each finding, then what is true of the group.
    fn group(&mut self, group: &Group) -> String {
        let mut text = String::new();
        for finding in &group.news {
            let again = if finding.again { " again" } else { "" };
            let name = finding.conn.map_or("-".to_owned(), |id| self.name(id));
            let source = finding.age_source.map_or("-", |source| source.name());
            _ = write!(
                text,
                "{name} {}{again} {} {source}",
                finding.kind.name(),
                dwell(finding.age)
            );
            _ = write!(text, " {}", holder(finding.held_by, &finding.owners));
            if let Some(process) = &finding.closed_by {
                _ = write!(text, " closed_by {:?}", process.comm);
            }
            if let Some(peer) = &finding.peer {
                _ = write!(text, " | {} {}", peer.state, holder(peer.held_by, &peer.owners));
            }
            if finding.advice.cause.contains("waits behind data") {
                text.push_str(" behind_data");
            }
            if finding.advice.cause.contains("accept queue of the listener")
                && finding.advice.cause.contains("is full")
            {
                text.push_str(" queue_full");
            }
            if let Some(expires) = finding.expires {
                _ = write!(text, " expires {}", duration(expires.0 - finding.at.0));
            }
            if let Some(pressure) = &finding.pressure {
                _ = write!(text, " {}+{}/{}", pressure.time_wait, pressure.in_use, pressure.ports);
            }
            text.push('\n');
        }
        let service = match group.service {
            Service::Local(port) => format!("port {port}"),
            Service::Remote(addr, port) => {
                let addr = addr.map_or("-".to_owned(), |addr| addr.to_string());
                format!("to {addr}/{}", port.map_or("-".to_owned(), |port| port.to_string()))
            }
        };
        let first = if group.first { " first" } else { "" };
        _ = write!(text, "= {service} count {} oldest {}{first}", group.count, dwell(group.oldest));
        text
    }

    fn resolved(&mut self, resolved: &Resolved) -> String {
        let name = resolved.conn.map_or("-".to_owned(), |id| self.name(id));
        let now = resolved.now.map_or("gone", |state| state.name());
        format!("{name} resolved {} {} now {now}", resolved.kind.name(), dwell(resolved.age))
    }

    /// `A` for the first connection that socket A carries, `A2` for the second.
    fn name(&mut self, id: ConnectionId) -> String {
        let count = &mut self.per_socket;
        self.names
            .entry(id)
            .or_insert_with(|| {
                let letter = letter_of(id.socket);
                let number = count.entry(letter).or_default();
                *number += 1;
                if *number == 1 { letter.to_string() } else { format!("{letter}{number}") }
            })
            .clone()
    }

    fn moved(&mut self, moved: &Moved) -> String {
        let mut line = format!(
            "{} {} -> {} {} {} {}",
            self.name(moved.identity.id),
            moved.from,
            moved.to,
            dwell(moved.dwell),
            moved.evidence.name(),
            owner(&moved.owner),
        );
        if let Some(reason) = moved.reason {
            _ = write!(line, " {}", reason.name());
        }
        if self.addresses {
            _ = write!(line, " {}", addresses(&moved.identity));
        }
        line
    }

    fn finished(&mut self, finished: &Finished) -> String {
        let role = finished.role.map_or("?", |role| role.name());
        let end = finished.end.name().unwrap_or("?");
        let lifetime =
            finished.opened.map_or("?".to_owned(), |opened| duration(finished.closed.0 - opened.0));
        let mut line = format!("{} over: {role} {end} {lifetime}", self.name(finished.identity.id));
        for (state, ns) in DWELL_STATES.iter().zip(finished.states) {
            if let Some(ns) = ns {
                _ = write!(line, " {state}={}", duration(ns));
            }
        }
        line
    }
}

/// The letter of the socket with this address or cookie.
pub(crate) fn letter_of(socket: u64) -> char {
    char::from(u8::try_from(socket & 0xff).expect("a letter"))
}

fn dwell(dwell: Dwell) -> String {
    dwell.ns().map_or_else(String::new, |ns| duration(ns) + " ") + dwell.name()
}

fn holder(held_by: HeldBy, owners: &[FindingOwner]) -> String {
    let owners: Vec<String> =
        owners.iter().map(|owner| format!(" {:?} {:?}", owner.process.comm, owner.fds)).collect();
    format!("{}{}", held_by.name(), owners.concat())
}

fn owner(owner: &Owner) -> String {
    let Some(name) = owner.name() else {
        return "-".to_owned();
    };
    match owner.process() {
        Some(process) => format!("{name} {:?}", process.comm),
        None => "none".to_owned(),
    }
}

/// A duration in the largest unit that needs no fraction.
pub(crate) fn duration(ns: u64) -> String {
    for (unit, length) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if ns.is_multiple_of(length) && ns > 0 {
            return format!("{}{unit}", ns / length);
        }
    }
    format!("{ns}ns")
}

fn addresses(identity: &Identity) -> String {
    let end = |addr: Option<IpAddr>, port: Option<u16>| {
        let addr = addr.map_or("-".to_owned(), |addr| addr.to_string());
        let port = port.map_or("-".to_owned(), |port| port.to_string());
        format!("{addr}/{port}")
    };
    let tuple = identity.tuple;
    let mapped = if tuple.v4mapped { " v4mapped" } else { "" };
    format!(
        "{} {}{mapped}",
        end(tuple.local.addr, tuple.local.port),
        end(tuple.remote.addr, tuple.remote.port)
    )
}
