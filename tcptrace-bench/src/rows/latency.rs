//! How long it takes from a transition until its line is read.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::Stdio,
    thread,
};

use anyhow::{Result, anyhow, ensure};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    load,
    options::{Bench, Load},
    sheet::{Measure, Sheet, quantile},
    tracer::Tracer,
};

const MEDIAN: Measure = Measure { name: "p50", unit: "ms", budget: None };
const LATE: Measure = Measure { name: "p99", unit: "ms", budget: Some("≤ 100") };

/// Connections a second: hardly anything, and a busy host.
const RATES: [f64; 2] = [5.0, 2000.0];

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    for rate in RATES {
        let mut tracer = Tracer::spawn(bench, &["watch", "--json"], Stdio::piped())?;
        let output = tracer.output()?;
        let reader = thread::spawn(move || latencies(output));
        tracer.settle()?;
        let seconds = bench.effort.load_seconds.max(1.5);
        load::run(bench, Load { threads: 1, seconds, rate: Some(rate) })?;
        tracer.stop()?;
        let mut latencies =
            reader.join().map_err(|_| anyhow!("the thread that reads lines died"))??;
        ensure!(!latencies.is_empty(), "`watch` printed no line");
        latencies.sort_by(f64::total_cmp);
        let with = format!("{rate} connections/s");
        for (measure, part) in [(MEDIAN, 0.5), (LATE, 0.99)] {
            sheet.add(measure, &with, quantile(&latencies, part).unwrap_or(f64::NAN));
        }
    }
    Ok(())
}

/// For each line that an event stands for, how many milliseconds ago that was.
fn latencies(output: impl Read) -> Result<Vec<f64>> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    let mut latencies = Vec::new();
    while output.read_line(&mut line)? > 0 {
        if let Some(at) = told_by_an_event(&line) {
            let now = clock_gettime(ClockId::Boottime);
            let now = now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6;
            latencies.push(now - at as f64 / 1e6);
        }
        line.clear();
    }
    Ok(latencies)
}

/// When the event was that a line tells of; `None` of a line that tells of a timer, or of no event.
fn told_by_an_event(line: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    (value["evidence"] == "event").then(|| value["boot_ns"].as_u64())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_events_have_a_latency() {
        let event = r#"{"type":"transition","boot_ns":81,"from":"CLOSE","evidence":"event"}"#;
        assert_eq!(told_by_an_event(event), Some(81));
        assert_eq!(told_by_an_event(&event.replace("event\"}", "derived\"}")), None);
        assert_eq!(told_by_an_event(r#"{"type":"summary"}"#), None);
    }
}
