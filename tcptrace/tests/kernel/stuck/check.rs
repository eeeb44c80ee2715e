//! Compares what was found with what happened on the stage.

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::{
    LIMIT,
    notation::{Expected, Hands, Known},
};
use crate::{
    guest,
    namespace::{self, Namespace},
    stage::{Connection, Record, Stage},
    sys,
};

/// A finding may come so much later than its limit.
const LATENCY: Duration = Duration::from_millis(500);
/// And so much more for each network namespace and each socket there is, for looking may take one part
/// in ten of the time. Looking through a namespace takes the kernel 0.7 ms here, however few sockets
/// it has; a socket takes some microseconds, and makes looking through each namespace longer.
const LATENCY_OF_NAMESPACE: Duration = Duration::from_millis(15);
const LATENCY_OF_SOCKET: Duration = Duration::from_micros(80);
/// In a machine whose processor is emulated, as slowly as the rest of this machine lets it, a finding need
/// only come: that it comes in time is tested outside.
const LATENCY_OF_GUEST: Duration = Duration::from_secs(30);
/// What the other end sends may wait for a softirq, and an acknowledgement for 40 ms.
const DELIVERY: Duration = Duration::from_millis(100);
/// Times of day are told by a clock that is compared once a second and then set if it is wrong by more
/// than a millisecond.
const CLOCK_SLACK: Duration = Duration::from_millis(3);
/// How far an estimate may be off: some of what it rests on is known to the second, and the rest of it
/// is what a timer on a busy machine may be late by.
const ESTIMATE_SLACK: Duration = Duration::from_millis(1300);

/// Where a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// The first, or a later, of the live program.
    Live {
        first: bool,
    },
    Once,
}

/// Begin and end of when something happened, in nanoseconds since boot.
type Window = (u64, u64);

impl Expected {
    /// Whether a line is about this finding.
    pub(super) fn is_about(&self, line: &Value, record: &Record) -> bool {
        line["kind"] == self.kind && self.is_of(line, record)
    }

    /// Whether a line is about this connection in this state. As its window opens or closes, another
    /// kind may be found in the same state.
    pub(super) fn is_in_state(&self, line: &Value, record: &Record) -> bool {
        state_of(&self.kind).is_some_and(|state| line["state"] == state) && self.is_of(line, record)
    }

    fn is_of(&self, line: &Value, record: &Record) -> bool {
        self.ends(record).is_ok_and(|ends| ends.iter().all(|(key, end)| line[key] == *end))
    }

    fn ends(&self, record: &Record) -> Result<Map<String, Value>> {
        let Connection { local, remote, .. } = record
            .connections
            .iter()
            .find(|connection| connection.name == self.socket)
            .with_context(|| format!("no step makes a connection {}", self.socket))?;
        let (local, remote) = if self.reversed { (remote, local) } else { (local, remote) };
        let port = |port: Option<u16>| json!(port);
        let address = |address: Option<IpAddr>| json!(address.map(|address| address.to_string()));
        Ok(Map::from_iter([
            ("laddr".to_owned(), address(local.0)),
            ("lport".to_owned(), port(local.1)),
            ("raddr".to_owned(), address(remote.0)),
            ("rport".to_owned(), port(remote.1)),
        ]))
    }

    /// The namespace it is in, and that of the other end.
    fn namespaces<'a>(&self, stage: &'a Stage) -> (&'a Namespace, &'a Namespace) {
        let here = &stage.here;
        match &stage.there {
            Some(there) if self.there => (there, here),
            Some(there) => (here, there),
            None => (here, here),
        }
    }

    /// When it can have entered its state.
    pub(super) fn window(&self, record: &Record) -> Result<Window> {
        let by_call = ["fin_wait1_unacked", "fin_wait1_zero_window", "last_ack_unacked"];
        let late = if by_call.contains(&self.kind.as_str()) { Duration::ZERO } else { DELIVERY };
        Ok((window(record, &self.since.0)?.0, window(record, &self.since.1)?.1 + ns(late)))
    }

    /// All that is wrong with a finding.
    pub(super) fn wrong(&self, line: &Value, stage: &Stage, mode: Mode) -> Result<Vec<String>> {
        let record = &stage.record;
        let mut wrong = Vec::new();
        let mut told = line.clone();
        without_cgroups(&mut told);
        for (key, value) in self.fields(stage, mode)? {
            if told[&key] != value {
                wrong.push(format!("{key} is {}, not {value}", told[&key]));
            }
        }
        for text in &self.says {
            let advice = [&line["cause"], &line["remedy"], &line["useless"]].map(Value::to_string);
            if !advice.concat().contains(text) {
                wrong.push(format!("it does not say `{text}`: {advice:?}"));
            }
        }
        for (name, value) in &self.sysctls {
            if line["sysctls"][name] != *value {
                wrong.push(format!("{name} is {}, not {value}", line["sysctls"][name]));
            }
        }
        if line["conn"].as_str().is_none_or(str::is_empty) {
            wrong.push("it has no `conn`".to_owned());
        }
        wrong.extend(self.wrong_age(line, record, mode)?);
        wrong.extend(self.wrong_end(line, record)?);
        Ok(wrong)
    }

    fn fields(&self, stage: &Stage, mode: Mode) -> Result<Map<String, Value>> {
        let record = &stage.record;
        let (netns, of_peer) = self.namespaces(stage);
        let closed_by = match (&self.closed_by, mode) {
            (Some(name), Mode::Live { .. }) => {
                let person = record.people.get(name).with_context(|| format!("no {name}"))?;
                json!({"pid": person.pid, "comm": person.comms.last()})
            }
            // Who closed it was before our time.
            _ => Value::Null,
        };
        let peer = match &self.peer {
            Some((state, hands)) => json!({
                "state": state,
                "owners": owners(hands, record)?,
                "held_by": hands.name,
                "netns": of_peer.inode(),
            }),
            None => Value::Null,
        };
        let mut fields = Map::from_iter([
            ("type".to_owned(), json!("stuck")),
            ("netns".to_owned(), json!(netns.inode())),
            ("held_by".to_owned(), json!(self.hands.name)),
            ("owners".to_owned(), owners(&self.hands, record)?),
            ("closed_by".to_owned(), closed_by),
            ("peer".to_owned(), peer),
            ("pressure".to_owned(), Value::Null),
            ("limit_ns".to_owned(), json!(ns(LIMIT))),
            ("again".to_owned(), json!(mode == Mode::Live { first: false })),
        ]);
        if let Some(state) = state_of(&self.kind) {
            fields.insert("state".to_owned(), json!(state));
        }
        Ok(fields)
    }

    fn wrong_age(&self, line: &Value, record: &Record, mode: Mode) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let text = |key: &str| line[key].as_str().unwrap_or("null").to_owned();
        let known = Known { way: text("age"), source: text("age_from") };
        let wanted = if mode == Mode::Once { &self.once } else { &self.live };
        if !wanted.contains(&known) {
            wrong.push(format!("its age is known by {known:?}, not {wanted:?}"));
        }
        let Some(age) = line["age_ns"].as_u64() else {
            wrong.push("its age is not known".to_owned());
            return Ok(wrong);
        };
        let at = time(line)?;
        let (begin, end) = self.window(record)?;
        let (longest, shortest) = (at.saturating_sub(begin), at.saturating_sub(end));
        let slack = |slack: Duration| ns(slack);
        let (below, above) = match known.way.as_str() {
            "exact" => (slack(CLOCK_SLACK), slack(CLOCK_SLACK)),
            // It never exceeds the truth.
            "at_least" => (u64::MAX, slack(CLOCK_SLACK)),
            _ => (slack(ESTIMATE_SLACK), slack(ESTIMATE_SLACK)),
        };
        if age > longest + above || age.saturating_add(below) < shortest {
            wrong.push(format!(
                "its age is {}, and the truth is {} to {}",
                seconds(age),
                seconds(shortest),
                seconds(longest)
            ));
        }
        if age < ns(LIMIT) {
            wrong.push(format!("it is told at the age of {}", seconds(age)));
        }
        let stuck_since = match &self.not_before {
            Some(step) => window(record, step)?,
            None => (begin, end),
        };
        let estimate = if known.way == "exact" { Duration::ZERO } else { ESTIMATE_SLACK };
        if at + slack(estimate + CLOCK_SLACK) < stuck_since.0 + ns(LIMIT) {
            wrong.push("it is told before its time".to_owned());
        }
        let latest = stuck_since.1 + ns(LIMIT + latency() + estimate + CLOCK_SLACK);
        if mode == (Mode::Live { first: true }) && at > latest {
            wrong.push(format!(
                "it is told {} after its limit",
                seconds(at - stuck_since.1 - ns(LIMIT))
            ));
        }
        Ok(wrong)
    }

    /// What is wrong with its timer, and with when the kernel is to end it.
    fn wrong_end(&self, line: &Value, record: &Record) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        if let Some(timer) = &self.timer
            && !timer.split(" | ").any(|timer| line["timer"]["kind"] == timer)
        {
            wrong.push(format!("its timer is {}, not {timer}", line["timer"]));
        }
        match (self.lasts, line["expires_in_ns"].as_u64()) {
            (None, None) => {}
            (Some(lasts), Some(left)) => {
                let (begin, end) = self.window(record)?;
                let over = time(line)? + left;
                let slack = ns(ESTIMATE_SLACK);
                if over + slack < begin + ns(lasts) || over > end + ns(lasts) + slack {
                    wrong.push(format!(
                        "it is to end {} after it began, not {lasts:?}",
                        seconds(over.saturating_sub(begin))
                    ));
                }
            }
            (lasts, left) => wrong.push(format!("it expires in {left:?}, and lasts {lasts:?}")),
        }
        Ok(wrong)
    }

    /// All that is wrong with the end of a finding, which came by one of the steps since `ending`.
    pub(super) fn wrong_resolved(
        &self,
        line: &Value,
        record: &Record,
        ending: u64,
    ) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let end = self.end.as_ref().context("a finding ends")?;
        let now = line["now"].as_str().unwrap_or("-");
        if end.now != "*" && end.now != now {
            wrong.push(format!("it is now {now}, not {}", end.now));
        }
        if line["age"] != *end.way {
            wrong.push(format!("its age is {}, not {}", line["age"], end.way));
        }
        if line["age_ns"].is_null() != (end.way == "unknown") {
            wrong.push(format!("its age is {} ns", line["age_ns"]));
        }
        let at = time(line)?;
        if at + ns(CLOCK_SLACK) < ending {
            wrong.push("it is over before its end".to_owned());
        }
        let (begin, last) = self.window(record)?;
        let slack = if end.way == "exact" { CLOCK_SLACK } else { ESTIMATE_SLACK };
        let longest = at.saturating_sub(begin) + ns(slack);
        // The line of an end may come later than it.
        let shortest = ending.saturating_sub(last + ns(slack));
        if let Some(age) = line["age_ns"].as_u64()
            && !(shortest..=longest).contains(&age)
        {
            wrong.push(format!(
                "its age is {}, and the truth is {} to {}",
                seconds(age),
                seconds(shortest),
                seconds(longest)
            ));
        }
        // Who is named is who was named when it was found.
        let named = self.hands.owners.first().map(|(name, _)| name).or(self.closed_by.as_ref());
        let pid = named.and_then(|name| record.people.get(name)).map(|person| person.pid);
        if line["pid"].as_u64() != pid {
            wrong.push(format!("its process is {}, not {pid:?}", line["pid"]));
        }
        Ok(wrong)
    }
}

/// How late a finding may come, by the most namespaces and sockets that were there when this was
/// asked: others on this host make and remove them too.
pub(super) fn latency() -> Duration {
    static LONGEST: Mutex<Duration> = Mutex::new(LATENCY);
    if guest::is_guest() {
        return LATENCY_OF_GUEST;
    }
    let (namespaces, sockets) = namespace::crowd();
    let now = LATENCY + LATENCY_OF_NAMESPACE * namespaces + LATENCY_OF_SOCKET * sockets;
    let mut longest = LONGEST.lock().unwrap_or_else(PoisonError::into_inner);
    *longest = now.max(*longest);
    *longest
}

/// The time of a line in nanoseconds since boot.
pub(super) fn time(line: &Value) -> Result<u64> {
    let text = line["time"].as_str().context("a line has a time")?;
    let wall: jiff::Timestamp = text.parse().with_context(|| format!("{text} is no time"))?;
    Ok(u64::try_from(wall.as_nanosecond() - sys::wall_offset())?)
}

fn window(record: &Record, step: &str) -> Result<Window> {
    let number = record.steps.iter().rposition(|played| played.text == step);
    let number = number.with_context(|| format!("no step `{step}`"))?;
    Ok(record.windows[number])
}

fn state_of(kind: &str) -> Option<&'static str> {
    const STATES: [&str; 8] = [
        "CLOSE_WAIT",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "LAST_ACK",
        "CLOSING",
        "SYN_SENT",
        "SYN_RECV",
        "TIME_WAIT",
    ];
    let kind = kind.to_uppercase();
    let state = STATES.into_iter().find(|state| kind.starts_with(state));
    state.or_else(|| kind.starts_with("CLOSED").then_some("CLOSE"))
}

/// Owners as in the JSON, by pid.
fn owners(hands: &Hands, record: &Record) -> Result<Value> {
    let mut owners = Vec::new();
    for (name, sockets) in &hands.owners {
        let person = record.people.get(name).with_context(|| format!("no {name}"))?;
        let descriptor = |socket: &String| {
            record.descriptors.get(socket).copied().with_context(|| format!("no socket {socket}"))
        };
        let mut fds: Vec<u64> = sockets.iter().map(descriptor).collect::<Result<_>>()?;
        fds.sort_unstable();
        let path = format!("/proc/{}/cmdline", person.pid);
        let cmdline = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let cmdline = cmdline.trim_end_matches('\0').replace('\0', " ");
        owners.push((
            person.pid,
            json!({
                "pid": person.pid, "comm": person.comms.last(), "cmdline": cmdline, "fds": fds,
            }),
        ));
    }
    owners.sort_by_key(|(pid, _)| *pid);
    Ok(owners.into_iter().map(|(_, owner)| owner).collect())
}

/// In which cgroup the suite runs is not its business.
fn without_cgroups(line: &mut Value) {
    let (mut own, mut of_peer) = (line["owners"].take(), Value::Null);
    if line["peer"].is_object() {
        of_peer = line["peer"]["owners"].take();
    }
    for owner in [&mut own, &mut of_peer].into_iter().filter_map(Value::as_array_mut).flatten() {
        if let Some(owner) = owner.as_object_mut() {
            owner.remove("cgroup");
            owner.remove("container");
        }
    }
    line["owners"] = own;
    if line["peer"].is_object() {
        line["peer"]["owners"] = of_peer;
    }
}

pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn seconds(ns: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write!(text, "{:.4} s", Duration::from_nanos(ns).as_secs_f64());
    text
}
