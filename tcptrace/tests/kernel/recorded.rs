//! `tcptrace record`, and the views that read what it wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tcptrace::{event::Event, recording::Input};

use crate::{namespace::Namespace, needing_root, script, stage::Stage, surroundings::Run, sys};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");
/// How long a program may take for what it does, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One who does not close, one who half-closes and waits, one who leaves an orphan, and one whose
/// connection is over.
pub(crate) const STEPS: &str = "
    srv listen L :80
    cli connect HALF :80
    srv accept KEPT L
    cli shutdown HALF
    srv eof KEPT
    cli connect ORPHAN :80
    srv accept LEFT L
    cli close ORPHAN
    srv eof LEFT
    cli connect GONE :80
    srv accept RESET L
    cli linger GONE
    cli close GONE";
/// As many findings come of it: two held, one waiting, one orphan, one leaked.
pub(crate) const FINDINGS: usize = 5;

pub(crate) fn trials() -> [Trial; 3] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 3] = [
        ("record: the views read what was live, the same", same_as_live),
        ("record: a recorder that is killed leaves what it has written", killed),
        ("record: what happens to others is not written", others),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

/// A recorder, its recording and what it prints.
pub(crate) struct Recorder {
    child: Child,
    pub(crate) recording: PathBuf,
    printed: PathBuf,
    /// What it says on stderr.
    said: PathBuf,
}

impl Recorder {
    /// Starts one that prints what it records, and waits until it traces.
    pub(crate) fn start(name: &str, stage: &Stage) -> Result<Self> {
        let place =
            |end: &str| env::temp_dir().join(format!("tcptrace-{name}-{}.{end}", process::id()));
        let (recording, printed, said) = (place("arrows"), place("txt"), place("err"));
        let netns = stage.here.path();
        let child = Command::new(PROGRAM)
            .args(["record", "--print", "--force", "--for", "1s", "--netns", &netns, "-o"])
            .arg(&recording)
            .stdin(Stdio::null())
            .stdout(File::create(&printed)?)
            .stderr(File::create(&said)?)
            .spawn()
            .context("cannot start the recorder")?;
        let recorder = Self { child, recording, printed, said };
        let deadline = Instant::now() + PATIENCE;
        // The first line is the names of the columns.
        while fs::read_to_string(&recorder.printed)?.lines().count() < 2 {
            ensure!(Instant::now() < deadline, "the recorder prints nothing");
            stage.here.refuse(9)?;
        }
        Ok(recorder)
    }

    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        ensure!(sys::end(self.child.id(), signal, PATIENCE)?, "the recorder does not end");
        let status = self.child.wait()?;
        let in_order = status.code() == Some(0) || signal == Signal::KILL;
        ensure!(in_order, "the recorder ended with {status}: {}", self.said()?);
        Ok(())
    }

    /// What it said on stderr.
    pub(crate) fn said(&self) -> Result<String> {
        fs::read_to_string(&self.said).context("cannot read what the recorder said")
    }

    /// What a view says of the recording, without root's rights: it needs none.
    pub(crate) fn read(&self, view: &[&str]) -> Result<Output> {
        read(&self.recording, view)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It may have ended already, and the files may never have been there.
        _ = self.child.kill();
        _ = self.child.wait();
        _ = fs::remove_file(&self.recording);
        _ = fs::remove_file(&self.printed);
        _ = fs::remove_file(&self.said);
    }
}

fn read(recording: &Path, view: &[&str]) -> Result<Output> {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
        .arg("--")
        .arg(copied_program()?)
        .args(view)
        .arg("-i")
        .arg(recording)
        .output()
        .context("cannot start a view")?;
    Ok(output)
}

/// The program where everybody may run it.
fn copied_program() -> Result<PathBuf> {
    let copy = env::temp_dir().join(format!("tcptrace-for-everybody-{}", process::id()));
    if !copy.exists() {
        // Under another name first, so that nobody runs half of it.
        let part = copy.with_extension("part");
        fs::copy(PROGRAM, &part).and_then(|_| fs::rename(&part, &copy)).context("cannot copy")?;
    }
    Ok(copy)
}

/// `stuck` of a namespace, once it traces.
pub(crate) fn live_stuck(netns: &str) -> Result<Run> {
    let live = ["stuck", "--json", "--for", "1s", "--netns", netns, "-vv"];
    let mut live = Run::start(Command::new(PROGRAM).args(live))?;
    // It traces when it has looked at what there is.
    live.line(|line| line.contains("a snapshot is complete"))?;
    Ok(live)
}

fn same_as_live() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.here.path();
    let mut recorder = Recorder::start("same", &stage)?;
    let mut live = live_stuck(&netns)?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    let mut told = Vec::new();
    let mut again = 0;
    // When all are twice as old as at first, the recorder has long looked at them.
    while again < FINDINGS {
        let line = live.line(|line| line.starts_with("{\"type\":\"stuck\""))?;
        let line: Value = serde_json::from_str(&line)?;
        if line["again"] == true { again += 1 } else { told.push(line) }
    }
    recorder.end(Signal::INT)?;
    live.stop(Signal::INT)?;

    let watched = recorder.read(&["watch"])?;
    ensure!(watched.status.code() == Some(0), "watch ended with {}", watched.status);
    let printed = fs::read(&recorder.printed)?;
    ensure!(
        watched.stdout == printed,
        "of the same trace live:\n{}\nand recorded:\n{}",
        String::from_utf8_lossy(&printed),
        String::from_utf8_lossy(&watched.stdout)
    );
    let explained = recorder.read(&["explain"])?;
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    let counted = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.starts_with(&["ESTABLISHED", "CLOSE_WAIT"]) && words.contains(&"2")
    };
    ensure!(explained.lines().any(counted), "two were closed by their peer: {explained}");
    // Who holds what is written of all namespaces, for descriptors know none.
    let inode = stage.here.inode().to_string();
    let found = recorder.read(&["stuck", "--json", "--for", "1s", "--netns", &inode])?;
    ensure!(found.status.code() == Some(1), "found, so 1: {}", found.status);
    let recorded = lines(&found)?;
    let recorded = recorded.iter().filter(|line| line["again"] == false);
    let (live, recorded) = (facts(told.iter()), facts(recorded));
    ensure!(live.len() == FINDINGS, "live: {live:#?}");
    for (ends, fact) in &live {
        let other = recorded.get(ends);
        ensure!(Some(fact) == other, "{ends}, live:\n{fact}\nrecorded:\n{other:?}");
    }
    ensure!(recorded.len() == FINDINGS, "recorded: {recorded:?}");
    // The limit and half a second, in event time.
    let late = lines(&found)?.into_iter().find(|line| {
        line["again"] == false && line["age_ns"].as_u64().is_none_or(|age| age > 1_500_000_000)
    });
    ensure!(late.is_none(), "found late: {late:?}");
    Ok(())
}

/// What must be the same of findings, by their ends.
pub(crate) fn facts<'a>(findings: impl Iterator<Item = &'a Value>) -> BTreeMap<String, Value> {
    let facts = |line: &Value| {
        let ends =
            format!("{}:{} {}:{}", line["laddr"], line["lport"], line["raddr"], line["rport"]);
        let what = json!([
            line["kind"],
            line["state"],
            line["age"],
            line["owners"],
            line["peer"],
            line["held_by"],
            line["closed_by"],
            line["cause"],
            line["remedy"],
            line["sysctls"],
            line["limit_ns"],
        ]);
        (ends, what)
    };
    findings.map(facts).collect()
}

pub(crate) fn lines(output: &Output) -> Result<Vec<Value>> {
    let text = str::from_utf8(&output.stdout).context("JSON is UTF-8")?;
    let lines = text.lines().map(serde_json::from_str);
    let mut lines = lines.collect::<Result<Vec<Value>, _>>().with_context(|| text.to_owned())?;
    lines.retain(|line| line["type"] == "stuck");
    Ok(lines)
}

fn killed() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut recorder = Recorder::start("killed", &stage)?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    // A batch is written each second, and this one has the steps in it.
    let deadline = Instant::now() + PATIENCE;
    let has_the_steps = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).matches("CLOSE_WAIT").count() >= 2
    };
    let mut seen = recorder.read(&["watch"])?;
    while !has_the_steps(&seen) {
        ensure!(Instant::now() < deadline, "nothing is written: {seen:?}");
        seen = recorder.read(&["watch"])?;
    }
    recorder.end(Signal::KILL)?;
    let left = recorder.read(&["watch"])?;
    ensure!(left.status.code() == Some(0), "watch ended with {}", left.status);
    ensure!(left.stdout.starts_with(&seen.stdout), "what was there is there");
    let again = Command::new(PROGRAM).args(["record", "-o"]).arg(&recorder.recording).output()?;
    let stderr = String::from_utf8_lossy(&again.stderr);
    ensure!(
        again.status.code() == Some(3) && stderr.contains("--force"),
        "a recording is not overwritten unasked: {} {stderr}",
        again.status
    );
    Ok(())
}

/// Every socket that goes is told by a hook, which knows less of it than a transition.
fn others() -> Result<()> {
    const THEIRS: usize = 300;
    let stage = Stage::new()?;
    let mut recorder = Recorder::start("others", &stage)?;
    let elsewhere = Namespace::new()?;
    for port in 1..=THEIRS {
        elsewhere.refuse(u16::try_from(port)?)?;
    }
    // What came before its last event has come.
    stage.here.refuse(9)?;
    recorder.end(Signal::INT)?;
    let mut input = Input::open(std::slice::from_ref(&recorder.recording))?;
    let (mut hooked, mut ours) = (Vec::new(), BTreeSet::new());
    while let Some(events) = input.next_batch()? {
        for event in events {
            match event {
                Event::Hook(hook) => hooked.push(hook.cookie),
                Event::Transition(transition) => drop(ours.insert(transition.cookie)),
                _ => {}
            }
        }
    }
    ensure!(hooked.iter().any(|cookie| ours.contains(cookie)), "ours are there");
    let theirs = hooked.iter().filter(|cookie| !ours.contains(cookie)).count();
    ensure!(theirs < THEIRS, "{theirs} hooks of others beside {} of all", hooked.len());
    Ok(())
}
