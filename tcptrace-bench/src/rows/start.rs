//! How long it takes until the first line, while there is always something to tell.

use std::{io::Read as _, process::Stdio, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    load::Running,
    options::{Bench, Load},
    sheet::{Measure, Sheet},
    tracer::Tracer,
};

const FIRST_LINE: Measure = Measure { name: "first line", unit: "ms", budget: None };

/// It ends before that, with its owner.
const BESIDE: Load = Load { threads: 1, seconds: 60.0, rate: Some(1000.0) };
const STARTS: usize = 3;

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let _load = Running::start(bench, BESIDE)?;
    for _ in 0..STARTS {
        let started = Instant::now();
        let mut tracer = Tracer::spawn(bench, &["watch", "--json"], Stdio::piped())?;
        let mut output = tracer.output()?;
        ensure!(output.read(&mut [0])? == 1, "`watch` printed nothing");
        sheet.add(FIRST_LINE, "watch --json", started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}
