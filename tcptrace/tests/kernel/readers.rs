//! A recording of thousands of connections and its exports, read by programs that are not ours: all
//! count the same.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    cast::Actor,
    needing_root,
    recorded::{PATIENCE, PROGRAM, Recorder},
    script,
    stage::Stage,
};

const CONNECTIONS: usize = 3_000;
/// Data in both directions, and ends of other sorts than those of the many.
const STEPS: &str = "
    srv listen L :81
    cli connect A :81
    srv accept B L
    cli send A 50000
    srv recv B 50000
    srv send B 700
    cli recv A 700
    cli close A
    srv eof B
    srv close B
    cli connect C :81
    srv accept D L
    cli linger C
    cli close C
    cli connect E :82 => ECONNREFUSED";

/// Where `cargo xtask test` puts the other programs.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/readers/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/readers.py");

pub(crate) fn trials() -> [Trial; 2] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 2] = [
        ("readers: pyarrow, DuckDB and ClickHouse count as we do", same_counts),
        ("readers: a disk that is full leaves no export behind", full_disk),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

fn same_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::new()?;
    let mut recorder = Recorder::start("readers", &stage)?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    let churner = Actor::spawn("churner", &stage.here)?;
    churner.tell(&format!("churn {CONNECTIONS} 1 client"), PATIENCE)?.done()?;
    recorder.end(Signal::INT)?;
    let recording = recorder.recording.as_path();

    let transitions = folder.path().join("transitions.parquet");
    export(recording, &["-o"], &transitions)?;
    let connections = folder.path().join("connections");
    export(recording, &["--table", "connections", "--partition", "host,hour", "-o"], &connections)?;
    let read = Command::new(PYTHON)
        .arg(SCRIPT)
        .arg(recording)
        .arg(&transitions)
        .arg(connections.join("*/*/*.parquet"))
        .output();
    let read = read.map_err(|error| error.to_string()).and_then(|output| {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(stderr) }
    });
    let theirs: Value = match read {
        Ok(stdout) => serde_json::from_slice(&stdout)?,
        Err(problem) => bail!(
            "pyarrow, DuckDB or ClickHouse cannot be asked; `cargo xtask test` installs them into \
             target/readers: {problem}"
        ),
    };

    let ours = json!({ "transitions": transitions_of(recording)?, "connections": connections_of(recording)? });
    let sides = 2 * CONNECTIONS as u64;
    ensure!(ours["transitions"]["SYN_SENT ESTABLISHED"][0].as_u64() >= Some(sides / 2), "{ours:#}");
    ensure!(ours["connections"]["time_wait"][1].as_u64() >= Some(50_000), "{ours:#}");
    ensure!(ours["connections"]["refused"][0].as_u64() >= Some(1), "{ours:#}");
    for reader in ["duckdb", "clickhouse"] {
        ensure!(theirs[reader] == ours, "{reader}: {:#}\nwe: {ours:#}", theirs[reader]);
    }
    // What is in the stream itself is what the tracepoint said.
    let raw = states_of(recording)?;
    ensure!(theirs["pyarrow"]["states"] == raw, "{:#}\nwe: {raw:#}", theirs["pyarrow"]);
    let total: Option<u64> =
        raw.as_object().map(|raw| raw.values().filter_map(Value::as_u64).sum());
    ensure!(theirs["pyarrow"]["kinds"]["transition"].as_u64() == total, "{total:?} {theirs:#}");
    let rows = theirs["pyarrow"]["rows"].to_string();
    let said = recorder.said()?;
    ensure!(said.contains(&format!("recorded {rows} events")), "pyarrow sees {rows}: {said}");
    Ok(())
}

/// Transitions by states: count, sum of known dwells, connections, and times.
fn transitions_of(recording: &Path) -> Result<Value> {
    let mut rows: BTreeMap<String, Sums> = BTreeMap::new();
    for line in lines(recording, &["watch", "--json"], "transition")? {
        let row = rows.entry(states(&line)).or_default();
        row.count += 1;
        row.add(0, &line["dwell_ns"]);
        row.connections.insert(line["conn"].to_string());
    }
    let told = |row: &Sums| json!([row.count, row.sums[0], row.connections.len(), row.count]);
    Ok(rows.iter().map(|(states, row)| (states.clone(), told(row))).collect())
}

/// Connections by end: count, sums of bytes sent, received, and of the time in ESTABLISHED.
fn connections_of(recording: &Path) -> Result<Value> {
    let mut rows: BTreeMap<String, Sums> = BTreeMap::new();
    for line in lines(recording, &["lifetimes", "--json"], "connection")? {
        let end = line["end"].as_str().context("each has an end")?;
        let row = rows.entry(end.to_owned()).or_default();
        row.count += 1;
        row.add(0, &line["tx_bytes"]);
        row.add(1, &line["rx_bytes"]);
        row.add(2, &line["states"]["ESTABLISHED"]);
    }
    let told = |row: &Sums| json!([row.count, row.sums[0], row.sums[1], row.sums[2]]);
    Ok(rows.iter().map(|(end, row)| (end.clone(), told(row))).collect())
}

/// Transitions by states, as the tracepoint told them.
fn states_of(recording: &Path) -> Result<Value> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines(recording, &["watch", "--raw", "--json"], "transition")? {
        *counts.entry(states(&line)).or_default() += 1;
    }
    Ok(json!(counts))
}

fn states(line: &Value) -> String {
    let name = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    format!("{} {}", name("from"), name("to"))
}

#[derive(Default)]
struct Sums {
    count: u64,
    /// As SQL sums: null if there is nothing known to add.
    sums: [Option<u64>; 3],
    connections: HashSet<String>,
}

impl Sums {
    fn add(&mut self, place: usize, value: &Value) {
        if let Some(value) = value.as_u64() {
            *self.sums[place].get_or_insert(0) += value;
        }
    }
}

fn lines(recording: &Path, view: &[&str], kind: &str) -> Result<Vec<Value>> {
    let output = Command::new(PROGRAM).args(view).arg("-i").arg(recording).output()?;
    ensure!(output.status.success(), "{view:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str);
    let mut lines = lines.collect::<Result<Vec<Value>, _>>()?;
    lines.retain(|line| line["type"] == kind);
    Ok(lines)
}

fn export(recording: &Path, args: &[&str], output: &Path) -> Result<()> {
    let mut command = Command::new(PROGRAM);
    command.args(["export", "--to", "parquet", "-i"]).arg(recording).args(args).arg(output);
    let output = command.output()?;
    ensure!(output.status.success(), "export: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn full_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::new()?;
    let mut recorder = Recorder::start("full", &stage)?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    recorder.end(Signal::INT)?;
    // In a mount namespace of its own, so that nobody else sees the small disk.
    let full = "disk=$1; shift; mount -t tmpfs -o size=4k none \"$disk\" && cd \"$disk\" || exit 9; \
                \"$@\"; status=$?; ls -A; exit $status";
    for to in [
        &["--to", "parquet", "-o", "x"][..],
        &["--to", "ndjson", "-o", "x"],
        &["--to", "csv", "-o", "x"],
        &["--to", "parquet", "--partition", "host,hour", "-o", "x"],
    ] {
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", full, "sh"])
            .arg(folder.path())
            .args([PROGRAM, "export", "-i"])
            .arg(&recorder.recording)
            .args(to)
            .output()
            .context("cannot start unshare")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let left = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(3), "{to:?}: {} {stderr}", output.status);
        ensure!(left.is_empty(), "{to:?}: there is still {left}");
        ensure!(
            stderr.contains("nothing is kept of an export to x: make room there")
                && stderr.trim_end().ends_with("No space left on device (os error 28)")
                && stderr.lines().count() == 1,
            "{to:?}: {stderr}"
        );
    }
    Ok(())
}
