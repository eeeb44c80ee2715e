//! What a transition costs in the kernel, by the kernel's own statistics of programs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, getpid};

use crate::{
    attached::{self, Cost},
    floors, load,
    options::Bench,
    sheet::{Measure, Sheet},
    tracer::Tracer,
};

const FLOOR: Measure = Measure { name: "program", unit: "ns", budget: None };
const ALL: Measure = Measure { name: "all hooks, by transition", unit: "ns", budget: None };
const OURS: Measure = Measure { name: "our programs", unit: "ns", budget: Some("≤ 130") };
const RATIO: Measure =
    Measure { name: "to reserve and submit", unit: "times", budget: Some("≤ 1.4") };

/// The names of the two programs on the tracepoint; the kernel keeps fifteen bytes. The second goes when
/// the first has not been skipped for a while, which the load before the one that counts is for.
const FIRST: &str = "set_state_btf";
const NESTED: &str = "set_state_neste";

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let floor = |name| floors::attached(name, || costs_under_load(bench, getpid()));
    let empty = each(&floor(floors::EMPTY)?, floors::EMPTY)?;
    let submit = each(&floor(floors::SUBMIT)?, floors::SUBMIT)?;
    let timed = each(&floor(floors::TIMED)?, floors::TIMED)?;
    let path = bench.file("program.arrows");
    let tracer = Tracer::start(bench, &["record", "--force", "-o", &path])?;
    load::run(bench, load::full(1, bench.effort.load_seconds))?;
    let ours = costs_under_load(bench, tracer.pid())?;
    tracer.stop()?;
    let first = each(&ours, FIRST)?;
    // Once it is not attached any more it does not run.
    let nested = ours.get(NESTED).filter(|cost| cost.runs > 0).copied();
    sheet.add(FLOOR, "empty", empty);
    sheet.add(FLOOR, "reserve and submit", submit);
    sheet.add(FLOOR, "reserve and submit, with the time", timed);
    sheet.add(FLOOR, FIRST, first);
    if let Some(nested) = nested {
        sheet.add(FLOOR, "set_state_nested", nested.ns_each());
    }
    let transitions = ours.get(FIRST).map_or(0, |cost| cost.runs);
    let both = first + nested.map_or(0, |cost| cost.run_ns) as f64 / transitions as f64;
    sheet.add(OURS, "", both);
    let all: u64 = ours.values().map(|cost| cost.run_ns).sum();
    sheet.add(ALL, "", all as f64 / transitions as f64);
    sheet.add(RATIO, "", both / submit);
    Ok(())
}

/// What the programs of this process cost in a load.
fn costs_under_load(bench: &Bench, pid: Pid) -> Result<BTreeMap<String, Cost>> {
    let run = || load::run(bench, load::full(1, bench.effort.load_seconds));
    Ok(attached::costs_of(pid, run)?.1)
}

/// Nanoseconds that one run of the program takes.
fn each(costs: &BTreeMap<String, Cost>, name: &str) -> Result<f64> {
    let cost = costs.get(name).with_context(|| format!("the program {name} is not attached"))?;
    Ok(cost.ns_each())
}
