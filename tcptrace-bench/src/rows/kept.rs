//! How many connections a second are left when something traces.

use anyhow::Result;

use crate::{
    load,
    options::Bench,
    sheet::{Measure, Sheet, mean},
    tracer::Tracer,
};

const BARE: Measure = Measure { name: "connections", unit: "/s", budget: None };
const KEPT: Measure = Measure { name: "kept", unit: "%", budget: None };
const KEPT_BY_RECORD: Measure = Measure { budget: Some("≥ 90"), ..KEPT };
const LOST: Measure = Measure { name: "lost", unit: "", budget: Some("0") };

/// Each turn begins without a tracer, so that what is compared happens close together.
const TURNS: [&[&[&str]]; 2] = [&[&["watch"], &["watch", "--json"]], &[&["record"], &["stuck"]]];

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    // A processor is left for the tracer, or none.
    let threads: &[u32] = if bench.effort.only_main { &[1] } else { &[1, 2] };
    for &threads in threads {
        let load = load::full(threads, bench.effort.load_seconds);
        let threads = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let mut bare = Vec::new();
        let mut traced = Vec::new();
        for turn in TURNS {
            bare.push(load::run(bench, load)?);
            for command in turn {
                let path = bench.file("kept.arrows");
                let mut arguments = command.to_vec();
                if *command == ["record"] {
                    arguments.extend(["--force", "-o", path.as_str()]);
                }
                let tracer = Tracer::start(bench, &arguments)?;
                let rate = load::run(bench, load)?;
                traced.push((command.join(" "), rate, tracer.stop()?.lost));
            }
        }
        bare.push(load::run(bench, load)?);
        for rate in &bare {
            sheet.add(BARE, &format!("{threads}, no tracer"), *rate);
        }
        for (command, rate, lost) in traced {
            let measure = if command == "record" { KEPT_BY_RECORD } else { KEPT };
            sheet.add(measure, &format!("{threads}, {command}"), 100.0 * rate / mean(&bare));
            sheet.add(LOST, &format!("{threads}, {command}"), lost as f64);
        }
    }
    Ok(())
}
