//! What the classic tracepoint can tell of a scenario: the lines of its row without what only the
//! fields of the socket show. These must then be null, and never wrong.

use std::collections::HashSet;

use crate::{
    expect::{Expected, Length, Owner},
    line::Line,
    script::{Deed, Step},
};

/// Among the limits: whose namespace it is.
pub(crate) const NAMESPACE: &str = "network namespace";

/// The first thing in these lines, in order of time, that the classic tracepoint cannot have told. Each
/// line of a trace is asked, whatever its scenario expects.
pub(crate) fn too_much(lines: &[&Line]) -> Option<String> {
    let mut begun = HashSet::new();
    lines.iter().find_map(|line| {
        if begins(&line.from, &line.to) {
            begun.insert(line.conn.as_str());
        }
        // What was there before the tracer is known from a dump, which names these two.
        let is_of_dump = !begun.contains(line.conn.as_str());
        // That a listener's end is nobody else's doing is in its states.
        let is_listener = line.from == "LISTEN" && line.to == "CLOSE";
        let told = [
            ("netns", line.netns.is_some() && !is_of_dump),
            ("cookie", line.cookie.is_some() && !is_of_dump),
            ("pid", line.pid.is_some()),
            ("comm", line.comm.is_some()),
            ("owner", line.owner.as_deref().is_some_and(|owner| owner != "none")),
            ("reason", line.reason.is_some() && !is_listener),
            ("evidence", line.evidence != "event"),
            ("from", line.from == "TIME_WAIT"),
            ("to", line.to == "TIME_WAIT"),
        ];
        let (field, _) = told.into_iter().find(|(_, is_told)| *is_told)?;
        Some(format!("`{field}` is told, which the classic tracepoint cannot know, in {line}"))
    })
}

/// Whether a connection, or a listener, begins with this transition.
fn begins(from: &str, to: &str) -> bool {
    from == "CLOSE" || from == "LISTEN" && to != "CLOSE"
}

/// The lines to expect, and the names of what is missing in them.
pub(crate) fn expected(row: &[Expected], steps: &[Step]) -> (Vec<Expected>, Vec<&'static str>) {
    let mut limits = Vec::new();
    let mut limit = |what| {
        if !limits.contains(&what) {
            limits.push(what);
        }
    };
    let mut lines: Vec<Expected> = Vec::new();
    for (index, line) in row.iter().enumerate() {
        if line.from == "TIME_WAIT" {
            // Its begin, which went before, was not seen either.
            continue;
        }
        let mut line = line.clone();
        if begins(&line.from, &line.to) {
            limit(NAMESPACE);
        }
        if line.owner != Owner::Nobody {
            limit("owner");
            line.owner = Owner::Nobody;
            line.known_by.clear();
        }
        if line.from != "LISTEN" && !line.reasons.iter().any(|reason| reason == "null") {
            limit("reason");
            line.reasons = vec!["null".to_owned()];
        }
        line.evidence = vec!["event".to_owned()];
        let is_last = !row[index + 1..].iter().any(|later| later.socket == line.socket);
        let orphan = is_last && line.to == "FIN_WAIT2" && is_closed(&line.socket, steps);
        if line.to == "TIME_WAIT" {
            limit("TIME_WAIT");
            line.to = "CLOSE".to_owned();
        }
        if line.from == "FIN_WAIT2" && line.to == "CLOSE" {
            ends_somehow(&mut line);
        }
        lines.push(line.clone());
        if orphan {
            // Without fields it looks the same as every other end.
            limit("orphan FIN_WAIT2");
            line.from = "FIN_WAIT2".to_owned();
            line.to = "CLOSE".to_owned();
            ends_somehow(&mut line);
            lines.push(line);
        }
    }
    (lines, limits)
}

/// A full socket ends here; the connection may go on in FIN_WAIT2 as a minisock.
fn ends_somehow(line: &mut Expected) {
    line.dwell = vec!["at_least".to_owned(), "unknown".to_owned()];
    line.length = Length::Any;
}

fn is_closed(socket: &str, steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.deed {
        Deed::Act { verb, socket: closed, .. } => verb == "close" && closed == socket,
        Deed::Kill(_) => true,
        _ => false,
    })
}
