//! What was recorded is read back: a real recording into the tracker, and a large one into a report.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{people, record};
use crate::{
    generate::generate,
    options::Bench,
    sheet::{Measure, Sheet},
    tracer::{Traced, Tracer},
};

const BY_USER: Measure = Measure { budget: None, ..TRACKED };
const TRACKED: Measure =
    Measure { name: "transitions by user CPU", unit: "M/s", budget: Some("≥ 3") };
const BY_WALL: Measure = Measure { name: "transitions by wall clock", unit: "M/s", budget: None };
const EVENTS: Measure = Measure { name: "events by wall clock", unit: "M/s", budget: None };
const MEMORY: Measure = Measure { name: "peak memory of report", unit: "MiB", budget: None };

/// Nothing that is read takes longer than this.
const LONGEST: Duration = Duration::from_secs(1800);

/// For how long the real recording is made, in seconds.
const SECONDS: f64 = 2.0;

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let recorded = record::record(bench, 1, SECONDS)?;
    let millions = recorded.transitions as f64 / 1e6;
    // Drawing the diagram needs no more than the tracker.
    for (command, by_user) in [("explain", TRACKED), ("report", BY_USER)] {
        let (read, wall) = read(bench, command, &recorded.path)?;
        sheet.add(by_user, command, millions / read.cost.cpu.user);
        sheet.add(BY_WALL, command, millions / wall);
    }

    // A tenth of the large one shows whether memory grows with the recording.
    for events in [bench.effort.events / 10, bench.effort.events] {
        let path = bench.file(&format!("{events}.arrows"));
        // The same in all rounds.
        if !Path::new(&path).exists() {
            generate(Path::new(&path), events)?;
        }
        let (read, wall) = read(bench, "report", &path)?;
        let with = people(events);
        sheet.add(EVENTS, &with, events as f64 / 1e6 / wall);
        sheet.add(MEMORY, &with, read.cost.peak_bytes / f64::from(1 << 20));
    }
    Ok(())
}

/// What it came to, and how many seconds it took.
fn read(bench: &Bench, command: &str, path: &str) -> Result<(Traced, f64)> {
    let null = File::options().write(true).open("/dev/null")?;
    let started = Instant::now();
    let reader = Tracer::spawn(bench, &[command, "-i", path], null.into())?;
    let read = reader.finish(LONGEST)?;
    Ok((read, started.elapsed().as_secs_f64()))
}
