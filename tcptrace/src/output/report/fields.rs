//! The report as one object of JSON.

use std::net::IpAddr;

use bytes::BytesMut;
use serde::{Serialize, Serializer};
use tcptrace_common::tcp_state::TcpState;

use super::{
    Account, TOP,
    stuck::{self, Told},
};
use crate::{
    event::Process,
    model::{
        change::{End, Role},
        diagram,
        findings::finding::Service,
        report::{
            Report, STATES, WAITING,
            dwells::Dwells,
            entered::Entered,
            tally::{Shares, Tally},
            timeline::{Bucket, stuck_over_time},
        },
    },
    output::{
        fields::stuck as finding_fields,
        json::{self, Shown},
        summary::losses,
        times::{Times, Utc},
    },
};

pub(super) fn json(out: &mut BytesMut, account: &Account<'_>) {
    let Account { report, summary, incomplete, .. } = *account;
    let span = account.span();
    let told = stuck::told(account);
    let fields = Fields {
        kind: "report",
        tool: env!("CARGO_PKG_VERSION"),
        host: known(&report.origin.host),
        kernel: known(&report.origin.kernel),
        begun: span.first.as_ref().map(Times::utc_of),
        ended: span.last.as_ref().map(Times::utc_of),
        span_ns: span.ns(),
        complete: !incomplete,
        events: span.events,
        transitions: summary.transitions(),
        opened: report.opened,
        connections: report.finished,
        lost: losses(&summary.lost),
        uncertain: summary.uncertain,
        evicted: summary.evicted,
        stuck: report.findings.now(),
        findings: told.iter().map(|told| group(account, told)).collect(),
        findings_others: report.findings.others(),
        states: States(report),
        arrows: arrows(report),
        roles: roles(report),
        services: table(&report.services, |service, connections| ServiceFields {
            role: service.role.name(),
            port: service.port,
            connections,
        }),
        processes: table(&report.processes, process),
        lifetimes: times(&report.lifetimes),
        ends: Ends(report),
        time_wait: entered(report, TcpState::TimeWait),
        close_wait: entered(report, TcpState::CloseWait),
        timeline: timeline(account),
    };
    json::line(out, &fields);
}

#[derive(Serialize)]
struct Fields<'a, L, F> {
    #[serde(rename = "type")]
    kind: &'static str,
    tool: &'static str,
    host: Option<&'a str>,
    kernel: Option<&'a str>,
    begun: Option<Utc>,
    ended: Option<Utc>,
    span_ns: Option<u64>,
    complete: bool,
    events: u64,
    transitions: u64,
    opened: u64,
    connections: u64,
    lost: L,
    uncertain: u64,
    evicted: u64,
    stuck: u64,
    findings: Vec<F>,
    findings_others: u64,
    states: States<'a>,
    arrows: Vec<ArrowFields>,
    roles: RoleFields,
    services: TableFields<ServiceFields>,
    processes: TableFields<ProcessFields>,
    lifetimes: TimeFields,
    ends: Ends<'a>,
    time_wait: EnteredFields,
    close_wait: EnteredFields,
    timeline: TimelineFields,
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[derive(Serialize)]
struct GroupFields<F> {
    kind: &'static str,
    state: &'static str,
    held_by: &'static str,
    pid: Option<u32>,
    comm: Option<String>,
    netns: u32,
    lport: Option<u16>,
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    count: u64,
    found: u64,
    resolved: u64,
    since: Option<Utc>,
    since_known: &'static str,
    newest: Option<Utc>,
    oldest_ns: Option<u64>,
    oldest: &'static str,
    growth_per_minute: Option<f64>,
    examples: Vec<F>,
}

fn group<'a>(account: &Account<'_>, told: &Told<'a>) -> GroupFields<impl Serialize + use<'a>> {
    let process = told.process();
    let (lport, raddr, rport) = match told.group.told.service {
        Service::Local(port) => (Some(port), None, None),
        Service::Remote(addr, port) => (None, addr, port),
    };
    let mut times = account.times.clone();
    times.set_clock(told.group.clock);
    GroupFields {
        kind: told.first.kind.name(),
        state: told.first.kind.state().name(),
        held_by: told.first.held_by.name(),
        pid: process.map(|process| process.pid),
        comm: process.map(|process| stuck::comm(&process).into_owned()),
        netns: told.first.netns,
        lport,
        raddr,
        rport,
        count: told.group.now(),
        found: told.group.found,
        resolved: told.group.resolved,
        since: told.since().as_ref().map(Times::utc_of),
        since_known: told.since_name(),
        newest: told.newest().as_ref().map(Times::utc_of),
        oldest_ns: told.oldest.ns(),
        oldest: told.oldest.name(),
        growth_per_minute: told.per_minute,
        examples: told
            .group
            .told
            .news
            .iter()
            .map(|finding| finding_fields::fields(&times, finding))
            .collect(),
    }
}

/// Times by state, all of [`STATES`].
struct States<'a>(&'a Report);

impl Serialize for States<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let states = STATES.iter().zip(&self.0.dwells);
        serializer.collect_map(states.map(|(state, dwells)| (state.name(), times(dwells))))
    }
}

#[derive(Serialize)]
struct TimeFields {
    exact: u64,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    at_least: u64,
    estimated: u64,
    unknown: u64,
}

fn times(dwells: &Dwells) -> TimeFields {
    let Dwells { exact, at_least, estimated, unknown } = dwells;
    TimeFields {
        exact: exact.count(),
        p50_ns: exact.at(0.5),
        p90_ns: exact.at(0.9),
        p99_ns: exact.at(0.99),
        max_ns: exact.max(),
        at_least: *at_least,
        estimated: *estimated,
        unknown: *unknown,
    }
}

#[derive(Serialize)]
struct ArrowFields {
    from: &'static str,
    to: &'static str,
    count: u64,
    median_ns: Option<u64>,
    in_diagram: bool,
}

/// Every arrow of the diagram, then what was seen against it.
fn arrows(report: &Report) -> Vec<ArrowFields> {
    let drawn = diagram::arrows().map(|arrow| (arrow.from, arrow.to, true));
    let strange = report.arrows.strange().map(|(from, to)| (from, to, false));
    let fields = drawn.chain(strange).map(|(from, to, in_diagram)| ArrowFields {
        from: from.name(),
        to: to.name(),
        count: report.arrows.times(from, to),
        median_ns: report.arrows.median_ns(from, to),
        in_diagram,
    });
    fields.collect()
}

#[derive(Serialize)]
struct RoleFields {
    active: u64,
    passive: u64,
    unknown: u64,
}

fn roles(report: &Report) -> RoleFields {
    RoleFields {
        active: report.roles.of(&Role::Active),
        passive: report.roles.of(&Role::Passive),
        unknown: report.roles.shares(0).unknown,
    }
}

/// The most frequent, what the others come to, and what is of nobody known. If `at_least`, the counts
/// of the entries are lower bounds.
#[derive(Serialize)]
struct TableFields<E> {
    entries: Vec<E>,
    others: u64,
    unknown: u64,
    at_least: bool,
}

fn table<K: Copy + Ord + std::hash::Hash, E>(
    tally: &Tally<K>,
    entry: impl Fn(K, u64) -> E,
) -> TableFields<E> {
    let Shares { top, others, unknown, at_least } = tally.shares(TOP);
    let entries = top.into_iter().map(|(key, count)| entry(key, count)).collect();
    TableFields { entries, others, unknown, at_least }
}

#[derive(Serialize)]
struct ServiceFields {
    role: &'static str,
    port: u16,
    connections: u64,
}

#[derive(Serialize)]
struct ProcessFields {
    pid: u32,
    comm: String,
    connections: u64,
}

fn process(process: Process, connections: u64) -> ProcessFields {
    ProcessFields { pid: process.pid, comm: stuck::comm(&process).into_owned(), connections }
}

#[derive(Serialize)]
struct PeerFields {
    addr: Shown<IpAddr>,
    connections: u64,
}

#[derive(Serialize)]
struct EnteredFields {
    processes: TableFields<ProcessFields>,
    peers: TableFields<PeerFields>,
}

fn entered(report: &Report, state: TcpState) -> EnteredFields {
    let slot = WAITING.iter().position(|waiting| *waiting == state);
    let none = Entered::default();
    let Entered { processes, peers, .. } = slot.map_or(&none, |slot| &report.entered[slot]);
    EnteredFields {
        processes: table(processes, process),
        peers: table(peers, |addr, connections| PeerFields { addr: Shown(addr), connections }),
    }
}

/// Connections by how they ended, all ways.
struct Ends<'a>(&'a Report);

impl Serialize for Ends<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ends = End::ALL.iter().zip(self.0.ends);
        serializer.collect_map(ends.map(|(end, count)| (end.name().unwrap_or("unknown"), count)))
    }
}

/// Numbers per bucket; of `stuck` how many there were at the end of each.
#[derive(Serialize)]
struct TimelineFields {
    begun: Option<Utc>,
    bucket_ns: u64,
    opened: Vec<u64>,
    closed: Vec<u64>,
    stuck: Vec<u64>,
}

fn timeline(account: &Account<'_>) -> TimelineFields {
    let timeline = &account.report.timeline;
    let buckets = timeline.buckets();
    let each = |number: fn(&Bucket) -> u64| buckets.iter().map(number).collect();
    TimelineFields {
        begun: timeline.begun().map(|at| Times::utc_of(&account.moment(at))),
        bucket_ns: timeline.width_ns(),
        opened: each(|bucket| bucket.opened),
        closed: each(|bucket| bucket.closed),
        stuck: stuck_over_time(&buckets),
    }
}
