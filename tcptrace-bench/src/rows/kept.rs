//! How many connections a second are left when something traces.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    attached,
    churn::Done,
    load::{self, TRANSITIONS},
    options::{Bench, Load},
    peer::{PEERS, Peer},
    sheet::{Measure, Sheet, mean},
    tracer::Tracer,
};

const BARE: Measure = Measure { name: "connections", unit: "/s", budget: None };
const KEPT: Measure = Measure { name: "kept", unit: "%", budget: None };
const KEPT_BY_RECORD: Measure = Measure { budget: Some("≥ 90"), ..KEPT };
const USER: Measure = Measure { name: "user CPU", unit: "ns each", budget: None };
const PROGRAM: Measure = Measure { name: "program", unit: "ns", budget: None };
const LOST: Measure = Measure { name: "lost", unit: "", budget: None };
const OURS_LOST: Measure = Measure { budget: Some("0"), ..LOST };

/// What traces beside the load.
#[derive(Clone, Copy)]
enum Beside {
    /// A command of tcptrace.
    Ours(&'static [&'static str]),
    Theirs(&'static Peer),
}
use Beside::{Ours, Theirs};

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let peers = if bench.effort.only_main { &PEERS[..1] } else { PEERS };
    let mut theirs = Vec::new();
    for peer in peers {
        match peer.problem() {
            Some(problem) => sheet.note(problem),
            None => theirs.push(Theirs(peer)),
        }
    }
    let ours = [&["watch"][..], &["watch", "--json"], &["record"], &["stuck"]].map(Ours);
    // A processor is left for the tracer, or none.
    let threads: &[u32] = if bench.effort.only_main { &[1] } else { &[1, 2] };
    for &threads in threads {
        let load = load::full(threads, bench.effort.load_seconds);
        let threads = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        // Machines become faster and slower while they are measured, so what a tracer leaves is told by the
        // loads just before and just after it.
        let mut before = bare(bench, load, &threads, sheet)?;
        for beside in ours.into_iter().chain(theirs.iter().copied()) {
            let Traced { name, rate, user_ns, lost, program_ns } = beside.measure(bench, load)?;
            let after = bare(bench, load, &threads, sheet)?;
            let with = format!("{threads}, {name}");
            let is_theirs = PEERS.iter().any(|peer| peer.name == name);
            let kept = if name == "record" { KEPT_BY_RECORD } else { KEPT };
            sheet.add(kept, &with, 100.0 * rate / mean(&[before, after]));
            sheet.add(USER, &with, user_ns);
            sheet.add(if is_theirs { LOST } else { OURS_LOST }, &with, lost as f64);
            if let Some(ns) = program_ns {
                sheet.add(PROGRAM, &with, ns);
            }
            before = after;
        }
    }
    Ok(())
}

/// Connections a second of a load that nobody traces.
fn bare(bench: &Bench, load: Load, threads: &str, sheet: &mut Sheet) -> Result<f64> {
    let rate = load::run(bench, load)?.rate();
    sheet.add(BARE, &format!("{threads}, no tracer"), rate);
    Ok(rate)
}

/// What a load came to, and what tracing it took.
struct Traced {
    name: String,
    /// Connections a second.
    rate: f64,
    /// By transition.
    user_ns: f64,
    lost: u64,
    /// In the kernel by transition, where it takes so long that counting it changes nothing. Ours are counted
    /// in rows of their own.
    program_ns: Option<f64>,
}

impl Beside {
    fn measure(self, bench: &Bench, load: Load) -> Result<Traced> {
        match self {
            Ours(["record"]) => {
                let path = bench.file("kept.arrows");
                let tracer = Tracer::start(bench, &["record", "--force", "-o", &path])?;
                traced("record", tracer, || load::run(bench, load))
            }
            Ours(arguments) => {
                let tracer = Tracer::start_to_file(bench, arguments)?;
                traced(&arguments.join(" "), tracer, || load::run(bench, load))
            }
            Theirs(peer) => {
                let tracer = peer.start(bench)?;
                let mut costs = BTreeMap::new();
                let pid = tracer.pid();
                let of_peer = traced(peer.name, tracer, || {
                    let (done, spent) = attached::costs_of(pid, || load::run(bench, load))?;
                    costs = spent;
                    Ok(done)
                })?;
                // One is on the tracepoint; what runs once at the end does not count.
                let busiest = costs.values().max_by_key(|cost| cost.runs);
                Ok(Traced { program_ns: busiest.map(|cost| cost.ns_each()), ..of_peer })
            }
        }
    }
}

/// What became of a tracer and of the load beside it.
fn traced(name: &str, tracer: Tracer, load: impl FnOnce() -> Result<Done>) -> Result<Traced> {
    let done = load()?;
    let traced = tracer.stop()?;
    let transitions = (done.connections * TRANSITIONS) as f64;
    Ok(Traced {
        name: name.to_owned(),
        rate: done.rate(),
        user_ns: traced.cpu.user * 1e9 / transitions,
        lost: traced.lost,
        program_ns: None,
    })
}
