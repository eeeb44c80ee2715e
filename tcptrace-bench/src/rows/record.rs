//! `record`, and `watch` beside it, while connections come as fast as they can.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{
    load::{self, TRANSITIONS},
    options::Bench,
    sheet::{Measure, Sheet},
    tracer::{Traced, Tracer},
};

const RATE: Measure = Measure { name: "transitions", unit: "/s", budget: None };
const USER: Measure = Measure { name: "user CPU", unit: "ns each", budget: Some("≤ 300") };
const SYSTEM: Measure = Measure { name: "system CPU", unit: "ns each", budget: None };
const BYTES: Measure = Measure { name: "file", unit: "B each", budget: Some("≤ 16") };
const LOST: Measure = Measure { name: "lost", unit: "", budget: Some("0") };
const MEMORY: Measure = Measure { name: "peak memory", unit: "MiB", budget: None };

const FILE: &str = "churn.arrows";

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    for threads in [1, 2] {
        let with = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let recorded = record(bench, threads, bench.effort.record_seconds)?;
        let each = recorded.transitions as f64;
        sheet.add(RATE, &with, each / bench.effort.record_seconds);
        sheet.add(USER, &with, recorded.traced.cpu.user * 1e9 / each);
        sheet.add(SYSTEM, &with, recorded.traced.cpu.system * 1e9 / each);
        sheet.add(BYTES, &with, recorded.bytes as f64 / each);
        sheet.add(LOST, &with, recorded.traced.lost as f64);
        sheet.add(MEMORY, &with, recorded.traced.cost.peak_bytes / f64::from(1 << 20));
        if !bench.effort.only_main {
            watch(bench, sheet, threads, &format!("watch, {with}"))?;
        }
    }
    Ok(())
}

/// What `watch` loses in the same load, if nobody reads its lines: a minute of them would take gigabytes.
fn watch(bench: &Bench, sheet: &mut Sheet, threads: u32, with: &str) -> Result<()> {
    let tracer = Tracer::start(bench, &["watch"])?;
    let done = load::run(bench, load::full(threads, bench.effort.record_seconds))?;
    let traced = tracer.stop()?;
    let each = (done.connections * TRANSITIONS) as f64;
    sheet.add(RATE, with, each / done.seconds);
    sheet.add(Measure { budget: None, ..USER }, with, traced.cpu.user * 1e9 / each);
    sheet.add(LOST, with, traced.lost as f64);
    Ok(())
}

/// A recording that was made.
pub(crate) struct Recorded {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) transitions: u64,
    pub(crate) traced: Traced,
}

/// Makes a recording, in place of the one before.
pub(crate) fn record(bench: &Bench, threads: u32, seconds: f64) -> Result<Recorded> {
    let path = bench.file(FILE);
    let tracer = Tracer::start(bench, &["record", "--force", "-o", &path])?;
    load::run(bench, load::full(threads, seconds))?;
    let traced = tracer.stop()?;
    let bytes = fs::metadata(&path).with_context(|| format!("cannot find {path}"))?.len();
    let transitions = traced.transitions.context("`record` says how many transitions it saw")?;
    Ok(Recorded { path, bytes, transitions, traced })
}
