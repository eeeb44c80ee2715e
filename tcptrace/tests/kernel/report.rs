//! `tcptrace report`, of a recording of a leak, as text, as JSON and in a browser.

mod browser;

use std::{env, fs, process};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;

use crate::{needing_root, recorded::Recorder, script, stage::Stage};
use browser::Dom;

/// A server that closes the first connection and none of the next three, seconds apart; then a call to
/// a port on which nobody listens.
const STEPS: &str = "
    leaky listen L :80
    cli connect DONE :80
    leaky accept GOOD L
    cli close DONE
    leaky eof GOOD
    leaky close GOOD
    cli connect A :80
    leaky accept X L
    cli shutdown A
    wait 4s
    cli connect B :80
    leaky accept Y L
    cli shutdown B
    wait 4s
    cli connect C :80
    leaky accept Z L
    cli shutdown C
    wait 4s
    cli connect D :81 => ECONNREFUSED
    cli close D";

pub(crate) fn trials() -> [Trial; 1] {
    let name = "report: a leak, by whom, since when, how fast, also on a page";
    [Trial::test(name, needing_root(leak))]
}

fn leak() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut recorder = Recorder::start("report", &stage)?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    recorder.end(Signal::INT)?;
    let leaky = stage.record.people["leaky"].pid;
    let netns = stage.here.inode().to_string();
    let report = ["report", "--for", "1s", "--netns", &netns];

    let page = Scratch(env::temp_dir().join(format!("tcptrace-report-{}.html", process::id())));
    let output = recorder.read(&[&report[..], &["--json", "--html", "-"]].concat())?;
    ensure!(output.status.code() == Some(2), "two things for one stdout: {output:?}");
    let output = recorder.read(&[&report[..], &["--json"]].concat())?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout)?;
    numbers(&json, leaky)?;

    let output = recorder.read(&report)?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    first_screen(str::from_utf8(&output.stdout)?, leaky, &json)?;

    let output = recorder.read(&[&report[..], &["--html", "-"]].concat())?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    fs::write(&page.0, &output.stdout)?;
    let dom = Dom::of(&page.0)?;
    let numbers = dom.numbers()?;
    ensure!(numbers.len() > 100, "{} numbers on the page", numbers.len());
    for (pointer, value, shown) in &numbers {
        ensure!(json.pointer(pointer) == Some(value), "{pointer}: {value} on the page, {json}");
        // Times are written shorter; counts are what they are.
        let digits: String = shown.chars().filter(|c| *c != ',').collect();
        let is_time = pointer.ends_with("_ns");
        let same = serde_json::from_str::<Value>(&digits).is_ok_and(|shown| shown == *value);
        ensure!(is_time || value.is_null() || same, "{pointer}: {shown}");
    }
    for pointer in ["/stuck", "/findings/0/count", "/states/CLOSE_WAIT/p50_ns", "/ends/refused"] {
        ensure!(numbers.iter().any(|(of, ..)| of == pointer), "{pointer} is not on the page");
    }
    ensure!(dom.text.contains(&format!("leaky({leaky}) on port 80")), "{}", dom.text);
    Ok(())
}

/// What the steps did, as numbers.
fn numbers(json: &Value, leaky: u64) -> Result<()> {
    let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_u64);
    // Those with which the recorder was waited for, and one of the steps.
    let refused = number("/ends/refused").context("refusals")?;
    let called = json["services"]["entries"].as_array().context("services")?;
    let called = called.iter().filter(|service| service["port"] == 81);
    ensure!(called.map(|service| &service["connections"]).eq([&Value::from(1)]), "{json}");
    for (pointer, expected) in [
        // Both ends of four connections.
        ("/opened", 8 + refused),
        ("/stuck", 6),
        ("/connections", 2 + refused),
        ("/lost/ring_full", 0),
        ("/ends/time_wait", 1),
        ("/ends/last_ack", 1),
        ("/roles/active", 1 + refused),
        ("/roles/passive", 1),
        ("/states/SYN_SENT/exact", 4 + refused),
        ("/lifetimes/exact", 2 + refused),
        ("/time_wait/peers/entries/0/connections", 1),
        ("/close_wait/peers/entries/0/connections", 4),
        ("/close_wait/processes/entries/0/connections", 4),
    ] {
        ensure!(number(pointer) == Some(expected), "{pointer}: {expected} in {json}");
    }
    let found = json["findings"].as_array().context("findings")?;
    let leak = found.iter().find(|group| group["kind"] == "close_wait_not_closed");
    let leak = leak.with_context(|| format!("the leak in {json}"))?;
    ensure!(leak["pid"] == leaky && leak["comm"] == "leaky", "{leak}");
    ensure!(leak["count"] == 3 && leak["found"] == 3 && leak["lport"] == 80, "{leak}");
    ensure!(leak["since_known"] == "exact" && leak["resolved"] == 0, "{leak}");
    let oldest = leak["oldest_ns"].as_u64().context("an age")?;
    ensure!((12_000_000_000..60_000_000_000).contains(&oldest), "{leak}");
    // One in four seconds; the machine may be slower than the steps.
    let rate = leak["growth_per_minute"].as_f64().context("a rate")?;
    ensure!((3.0..=18.1).contains(&rate), "{leak}");
    ensure!(leak["examples"].as_array().is_some_and(|examples| examples.len() == 3), "{leak}");
    ensure!(leak["examples"][0]["type"] == "stuck", "{leak}");
    let opened = json["timeline"]["opened"].as_array().context("a timeline")?;
    let opened: u64 = opened.iter().filter_map(Value::as_u64).sum();
    ensure!(opened == 8 + refused, "{json}");
    Ok(())
}

/// Who, since when, how fast: at the top.
fn first_screen(text: &str, leaky: u64, json: &Value) -> Result<()> {
    let screen: Vec<&str> = text.lines().take(24).collect();
    ensure!(screen.iter().all(|line| line.chars().count() <= 80), "{screen:#?}");
    let who = format!("leaky({leaky}) on port 80");
    let line = screen.iter().find(|line| line.contains("CLOSE_WAIT") && line.contains(&who));
    let line = line.with_context(|| format!("{who} in {screen:#?}"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let found = json["findings"].as_array().context("findings")?;
    let leak = found.iter().find(|group| group["kind"] == "close_wait_not_closed");
    let rate = leak.and_then(|leak| leak["growth_per_minute"].as_f64()).context("a rate")?;
    let since = words.get(1).is_some_and(|since| since.split(':').count() == 3);
    ensure!(words[0] == "3" && since && words[2] == format!("{rate:+}"), "{line}");
    Ok(())
}

/// A file that goes away at the end.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been there.
        _ = fs::remove_file(&self.0);
    }
}
