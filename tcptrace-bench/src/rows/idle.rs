//! What a tracer costs while nothing happens.

use std::{thread, time::Duration};

use anyhow::Result;

use crate::{
    options::Bench,
    sheet::{Measure, Sheet},
    tracer::Tracer,
};

const CPU: Measure = Measure { name: "CPU", unit: "% of 1", budget: None };
const MEMORY: Measure = Measure { name: "peak memory", unit: "MiB", budget: None };

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let path = bench.file("idle.arrows");
    let commands: [&[&str]; 3] = [&["watch"], &["stuck"], &["record", "--force", "-o", &path]];
    for arguments in commands {
        let (command, tracer) = (arguments[0], Tracer::start(bench, arguments)?);
        thread::sleep(Duration::from_secs_f64(bench.effort.idle_seconds));
        let traced = tracer.stop()?;
        sheet.add(CPU, command, 100.0 * traced.cpu.total() / bench.effort.idle_seconds);
        sheet.add(MEMORY, command, traced.cost.peak_bytes / f64::from(1 << 20));
    }
    Ok(())
}
