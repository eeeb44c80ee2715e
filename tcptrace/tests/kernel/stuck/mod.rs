//! `tcptrace stuck` on the real kernel: every kind of finding, produced by small programs, and what
//! looks like it and is none.
//!
//! A row is a name, steps that bring sockets into the states in question, the findings that must come
//! of them ([`notation`]), and the steps that end them. The limit is a second for all states. Live, each
//! finding must come when its limit has passed, once more when it is twice as old, and nothing else; a
//! look at what there is ([`look`]) must then find the same; and after the last steps each must be
//! over, which must be told, and only then.

mod alike;
mod apart;
mod check;
mod closed;
mod live;
mod look;
mod notation;
pub(crate) mod pile;
mod report;
mod unacked;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use check::{ns, time};
pub(crate) use live::stop_shared;
use notation::{End, Expected};
use report::Report;

use crate::{
    fentry, hooks, mode::Mode, namespace::Namespace, needing_root, script, stage::Stage, verdict,
};

/// The limit in all rows, for all states.
const LIMIT: Duration = Duration::from_secs(1);
const LIMIT_OPTION: [&str; 2] = ["--for", "1s"];
/// How long a line may take, beside the time that must pass for it, before it is said not to come.
const PATIENCE: Duration = Duration::from_secs(40);

/// Rows are played while this is read, and what fills the kernel's tables with sockets while it is
/// written: looking at all sockets may take one part in ten of the time, so among very many of them
/// findings come late.
static FEW_SOCKETS: RwLock<()> = RwLock::new(());

/// One scenario.
struct Row {
    name: &'static str,
    steps: &'static str,
    found: &'static str,
    ending: &'static str,
}

const fn row(
    name: &'static str,
    steps: &'static str,
    found: &'static str,
    ending: &'static str,
) -> Row {
    Row { name, steps, found, ending }
}

/// All rows, and then the tests that make very many sockets.
pub(crate) fn trials() -> Vec<Trial> {
    let rows = rows().map(|row| {
        Trial::test(format!("stuck: {}", row.name), needing_root(|| among_few(|| play(row))))
    });
    rows.chain(apart::trials()).collect()
}

/// All rows, on another kernel. The classic tracepoint names no namespace, and so not whose events are a
/// row's.
pub(crate) fn trials_of_mode(mode: Mode) -> Vec<Trial> {
    if mode == Mode::Classic {
        return Vec::new();
    }
    let sees_closed = hooks::kernel_names("BPF_FUNC_sock_from_file");
    let trial = |row: &'static Row| {
        let name = format!("stuck: {}", row.name);
        // A socket whose connection is over is in no table; only its descriptor leads to it.
        if row.found.contains("closed_fd_leaked") && matches!(sees_closed, Ok(false)) {
            return verdict::absent(name, "iter/task_file");
        }
        verdict::noted(name, Vec::new(), || among_few(|| play(row)))
    };
    rows().map(trial).collect()
}

/// All rows as text: name, steps and findings.
pub(crate) fn check_texts() -> Result<()> {
    let mut names = Vec::new();
    for row in rows() {
        ensure!(!names.contains(&row.name), "two rows are called `{}`", row.name);
        names.push(row.name);
        script::parse(row.steps)?;
        script::parse(row.ending)?;
        ensure!(!notation::parse(row.found)?.is_empty(), "{} finds nothing", row.name);
    }
    Ok(())
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [closed::ROWS, unacked::ROWS, alike::ROWS].into_iter().flatten()
}

/// Does what fills the kernel's tables, when no row is being played any more.
pub(crate) fn among_many(test: impl FnOnce() -> Result<()>) -> Result<()> {
    let _no_row = FEW_SOCKETS.write().unwrap_or_else(PoisonError::into_inner);
    stop_shared()?;
    test()
}

/// Does what wants findings to come in time.
fn among_few(test: impl FnOnce() -> Result<()>) -> Result<()> {
    let _few = FEW_SOCKETS.read().unwrap_or_else(PoisonError::into_inner);
    test()
}

fn play(row: &Row) -> Result<()> {
    let live = live::shared()?;
    let mut stage = Stage::new()?;
    for step in script::parse(row.steps)? {
        stage.play(&step)?;
    }
    let mut found = notation::parse(row.found)?;
    if fentry::works()? {
        found.iter_mut().filter_map(|expected| expected.end.as_mut()).for_each(End::be_exact);
    }
    let namespaces: Vec<u64> = [Some(&stage.here), stage.there.as_ref()]
        .into_iter()
        .flatten()
        .map(Namespace::inode)
        .collect();
    let mut report = Report::default();
    check::latency();

    let record = &stage.record;
    let times = |lines: &[Arc<Value>], what: &str, expected: &Expected| {
        let is_one = |line: &&Arc<Value>| line["type"] == what && expected.is_about(line, record);
        lines.iter().filter(is_one).count()
    };
    live.wait(PATIENCE, |lines| {
        let lines = lines.of(&namespaces);
        found.iter().all(|expected| times(&lines, "stuck", expected) >= 2)
    })?;
    let look = look::look()?;
    let lines = live.lines(&namespaces);
    for expected in &found {
        report.of_live(expected, &lines, &stage)?;
        report.of_look(expected, look.of(&namespaces), &stage)?;
    }
    for line in look.of(&namespaces) {
        report.unless_expected(line, &found, &stage, "once");
    }
    for netns in [Some(&stage.here), stage.there.as_ref()].into_iter().flatten() {
        report.of_ss(look.of(&[netns.inode()]), netns)?;
    }

    let ending = crate::sys::boot_ns();
    for step in script::parse(row.ending)? {
        stage.play(&step)?;
    }
    let record = &stage.record;
    let times = |lines: &[Arc<Value>], expected: &Expected| {
        let is_one =
            |line: &&Arc<Value>| line["type"] == "resolved" && expected.is_in_state(line, record);
        lines.iter().filter(is_one).count()
    };
    live.wait(PATIENCE, |lines| {
        let lines = lines.of(&namespaces);
        found.iter().all(|expected| times(&lines, expected) > 0)
    })?;
    let lines = live.lines(&namespaces);
    for expected in &found {
        report.of_end(expected, &lines, &stage, ending)?;
    }
    for line in &lines {
        // What the last steps lead to may be stuck in its turn, a limit later.
        let at = time(line)?;
        let is_known = found.iter().any(|expected| expected.is_in_state(line, &stage.record));
        if at < ending + ns(LIMIT) && !(is_known && at > ending) {
            report.unless_expected(line, &found, &stage, "live");
        }
    }
    ensure!(report.wrong.is_empty(), "{}", report.wrong);
    Ok(())
}
