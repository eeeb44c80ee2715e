//! What programs on functions of the kernel add to a scenario: the lines of its row, with what is only
//! known by them. No line of a minisock may then rest on arithmetic, and who accepts is named.

use std::{process::Command, sync::OnceLock};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    expect::{Expected, Length, Owner},
    guest,
    mode::{self, Mode},
    script::{Deed, Step},
};

/// The functions, as `doctor` names them.
pub(crate) const FUNCTIONS: [&str; 4] =
    ["inet_csk_accept", "inet_twsk_alloc", "tcp_timewait_state_process", "inet_twsk_kill"];

/// What a kernel lacks that forbids them.
pub(crate) const LEAVE: &str = "programs on functions";

/// Whether programs on functions are at work in this run. The kernels of guests take them all; elsewhere a
/// kernel may forbid them, and then only all together.
pub(crate) fn works() -> Result<bool> {
    static WORKS: OnceLock<Result<bool, String>> = OnceLock::new();
    match mode::of_run()? {
        Some(Mode::Btf | Mode::Classic) => return Ok(false),
        Some(Mode::Fentry) if guest::is_guest() => return Ok(true),
        Some(Mode::Fentry) | None => {}
    }
    match WORKS.get_or_init(|| look().map_err(|error| format!("{error:#}"))) {
        Ok(works) => Ok(*works),
        Err(error) => bail!("{error}"),
    }
}

/// Whether this run is about them, and this kernel forbids them.
pub(crate) fn is_forbidden() -> Result<bool> {
    Ok(mode::of_run()? == Some(Mode::Fentry) && !works()?)
}

fn look() -> Result<bool> {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    let output = doctor.args(["doctor", "--json"]).output().context("cannot start tcptrace")?;
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let working = FUNCTIONS.iter().filter(|function| {
        lines.iter().any(|line| line["name"] == **function && line["status"] == "good")
    });
    match working.count() {
        0 => Ok(false),
        count if count == FUNCTIONS.len() => Ok(true),
        _ => bail!("some functions can be traced and others not: {text}"),
    }
}

/// The lines to expect.
pub(crate) fn expected(row: Vec<Expected>, steps: &[Step]) -> Vec<Expected> {
    let accepts = |socket: &str, actor: &str| {
        steps.iter().any(|step| {
            matches!(&step.deed, Deed::Act { actor: a, verb, socket: s, .. }
                if verb == "accept" && s == socket && a == actor)
        })
    };
    let was_seen = !steps.iter().any(|step| matches!(step.deed, Deed::Trace));
    // Their subflows are no sockets of anybody.
    let is_plain = !steps.iter().any(|step| step.text.ends_with(" mptcp"));
    let mut lines = row;
    for line in &mut lines {
        if let Owner::Perhaps(actor) = &line.owner
            && was_seen
            && is_plain
            && accepts(&line.socket, actor)
        {
            line.owner = Owner::Actor(actor.clone());
            line.known_by = vec!["opener".to_owned()];
        }
        if is_of_minisock(line) {
            line.evidence = vec!["confirmed".to_owned()];
            if line.dwell.iter().any(|dwell| dwell == "estimated") {
                line.dwell = vec!["exact".to_owned()];
            }
        }
        if line.from == "TIME_WAIT" && line.reasons.len() > 1 {
            // Only one that lasts as long as it may ends by its timer.
            let by_timer = matches!(line.length, Length::Between(..));
            line.reasons = vec![if by_timer { "fin" } else { "null" }.to_owned()];
        }
    }
    lines
}

/// Whether a minisock begins, becomes TIME_WAIT or ends with this line. What an event of a full socket says
/// alone is no such thing.
pub(crate) fn is_of_minisock(line: &Expected) -> bool {
    let rests_on_event = line.evidence.iter().any(|evidence| evidence == "event");
    line.to == "TIME_WAIT"
        || line.from == "TIME_WAIT"
        || line.from == "FIN_WAIT2" && !rests_on_event
}
