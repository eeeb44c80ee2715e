//! `cargo xtask soak`: tracers that run for long while connections, processes and namespaces come and go.
//!
//! The same is done in round after round: churn, a leak that is held for a while, namespaces that live
//! for a moment, now and then a tracer that is started and ended, and one that stands still until records
//! are lost. At the end of each round everything that was opened is closed again, and what the tracers
//! hold is noted. What is not as it should be ends the soak with an error.

mod flat;
mod watched;

use std::{
    env,
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, kill_process};

use crate::{
    cast::Actor,
    faults::namespaces,
    namespace::Namespace,
    picture::Follower,
    recorder::{PROGRAM, Running},
    sys,
};
use flat::Samples;
use watched::Watched;

/// What asks for it, before the time that it lasts.
const OPTION: &str = "--soak=";

/// What a round does: so many connections one after the other, so many that are held, so many namespaces.
const CHURN: u64 = 4000;
const LEAK: u64 = 500;
const BRIEF: u16 = 5;
/// Every so many rounds a tracer is started and ended, and records are lost by that many connections.
const RESTART: u32 = 3;
const LOSS: u32 = 12;
const TOO_MANY: u64 = 60_000;
/// Transitions of a connection in churn, both ends together.
const TRANSITIONS: u64 = 10;
/// With a minute of TIME_WAIT in the first half, the rest is alike.
const SHORTEST: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(90);
/// How long after a loss the tracer may know something else than the machine.
const AGREES_WITHIN: Duration = Duration::from_secs(2);

/// How long to soak, if that is what this process was started for.
pub(crate) fn asked_for() -> Option<String> {
    env::args().find_map(|word| Some(word.strip_prefix(OPTION)?.to_owned()))
}

/// Soaks for so long, and says on stdout what came of it.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to whoever runs it")]
pub(crate) fn run(duration: &str) -> Result<()> {
    let duration = humantime::parse_duration(duration)
        .with_context(|| format!("{duration} is no time: write it like 10m"))?;
    ensure!(duration >= SHORTEST, "in less than {SHORTEST:?} nothing can be told: soak for longer");
    ensure!(sys::is_root(), "the soak traces: run it as root, by `cargo xtask soak`");
    let mut soak = Soak::begin()?;
    let begun = Instant::now();
    while begun.elapsed() < duration {
        soak.round().with_context(|| format!("in round {}", soak.rounds))?;
        eprintln!("soak: {:.0?} of {duration:?}: {}", begun.elapsed(), soak.progress());
    }
    let (report, outcome) = soak.end();
    println!("{report}");
    outcome
}

struct Soak {
    churned: Namespace,
    /// Lives there all the time: a namespace without a process is traced, and not found by dumps.
    _resident: Actor,
    leaking: Namespace,
    /// It runs all the time.
    watch: Watched,
    /// The same, of which we know what it knows.
    record: Running,
    known: Follower,
    of_watch: Samples,
    of_record: Samples,
    rounds: u32,
    connections: u64,
    restarts: u32,
    losses: u32,
    slowest: Duration,
}

impl Soak {
    fn begin() -> Result<Self> {
        let (churned, leaking) = (Namespace::unwatched()?, Namespace::unwatched()?);
        let namespaces = [&churned, &leaking].map(|netns| netns.inode().to_string());
        let resident = Actor::spawn("resident", &churned)?;
        let watch = Watched::start(namespaces.into())?;
        let (record, known) = recorder()?;
        // Whether the first is tracing yet shows in what it tells.
        let deadline = Instant::now() + PATIENCE;
        while watch.transitions() == 0 {
            ensure!(Instant::now() < deadline, "watch tells nothing");
            churned.refuse(9)?;
        }
        Ok(Self {
            churned,
            _resident: resident,
            leaking,
            watch,
            record,
            known,
            of_watch: Samples::default(),
            of_record: Samples::default(),
            rounds: 0,
            connections: 0,
            restarts: 0,
            losses: 0,
            slowest: Duration::ZERO,
        })
    }

    fn round(&mut self) -> Result<()> {
        self.rounds += 1;
        let leak = Actor::spawn("leak", &self.leaking)?;
        leak.tell(&format!("pile {LEAK} 127.0.0.1:80"), PATIENCE)?.done()?;
        self.connections += LEAK;
        self.churn(CHURN)?;
        for number in 0..BRIEF {
            let brief = std::thread::spawn(move || namespaces::live(20_000 + number));
            brief.join().ok().context("who lives briefly panicked")??;
        }
        if self.rounds.is_multiple_of(RESTART) {
            self.restart().context("a tracer that is started meanwhile")?;
        }
        if self.rounds % LOSS == LOSS / 2 {
            self.lose().context("after a loss")?;
        }
        self.agree()?;
        drop(leak);
        self.agree().context("when the leak is gone")?;
        self.of_watch.take(self.watch.pid()).context("watch")?;
        self.of_record.take(self.record.0.id()).context("record")
    }

    fn churn(&mut self, count: u64) -> Result<()> {
        let actor = Actor::spawn("churn", &self.churned)?;
        actor.tell(&format!("churn {count} 4 client"), PATIENCE)?.done()?;
        self.connections += count;
        Ok(())
    }

    /// What the tracer knows is what there is.
    fn agree(&mut self) -> Result<()> {
        self.known.until_it_agrees(&self.leaking, PATIENCE)?;
        self.known.until_it_agrees(&self.churned, PATIENCE)
    }

    /// Another tracer finds what there is, and ends in order.
    fn restart(&mut self) -> Result<()> {
        let (mut recorder, mut known) = recorder()?;
        known.until_it_agrees(&self.leaking, PATIENCE)?;
        let status = recorder.end(Signal::INT)?;
        ensure!(status == Some(0), "it ended with {status:?}");
        self.restarts += 1;
        Ok(())
    }

    /// The recorder stands still until records are lost.
    fn lose(&mut self) -> Result<()> {
        let (pid, before) = (sys::pid_of(self.record.0.id())?, self.known.lost);
        kill_process(pid, Signal::STOP)?;
        let churned = self.churn(TOO_MANY);
        kill_process(pid, Signal::CONT)?;
        churned?;
        self.known
            .until(PATIENCE, |known, _| Ok(known.lost > before))
            .context("nothing was lost")?;
        self.known.until_it_agrees(&self.leaking, PATIENCE)?;
        let last = self.known.last_lost.unwrap_or_default();
        let took = Duration::from_nanos(self.known.now.since(last).unwrap_or_default());
        ensure!(took <= AGREES_WITHIN, "it agreed {took:?} after the last loss");
        self.slowest = self.slowest.max(took);
        self.losses += 1;
        Ok(())
    }

    fn progress(&self) -> String {
        format!(
            "{} rounds, {} connections, {} restarts, {} losses of {} records, {} connections known",
            self.rounds,
            self.connections,
            self.restarts,
            self.losses,
            self.known.lost,
            self.known.living()
        )
    }

    /// What came of it, in words and as a whole.
    fn end(self) -> (String, Result<()>) {
        let mut report = format!("{}\n", self.progress());
        let outcome = self.judge(&mut report);
        (report.trim_end().to_owned(), outcome)
    }

    fn judge(mut self, report: &mut String) -> Result<()> {
        let flat = [(&self.of_watch, "watch"), (&self.of_record, "record")]
            .map(|(samples, name)| samples.judge(name, report));
        self.agree().context("at the end")?;
        _ = writeln!(report, "what the tracer knows at the end is what ss shows");
        _ = writeln!(report, "after a loss it agreed in {:.1?} at most", self.slowest);
        let all = self.connections * TRANSITIONS;
        let (told, counted) = (self.known.transitions, self.known.lost);
        _ = writeln!(report, "record: {told} transitions, {counted} records counted as lost");
        ensure!(told + counted >= all, "record: that is less than the {all} that there were");
        let status = self.record.end(Signal::INT)?;
        ensure!(status == Some(0), "record ended with {status:?}");
        let (told, lost) = self.watch.end()?;
        let (transitions, open) = (told.transitions, told.open.len() as u64);
        _ = writeln!(report, "watch: {transitions} transitions, {lost} events counted as lost");
        ensure!(transitions + lost >= all, "watch: that is less than the {all} that there were");
        ensure!(open <= lost, "watch told no end of {open} connections: {:?}", told.open);
        flat.into_iter().collect()
    }
}

/// A recorder of the whole host, and what it knows.
fn recorder() -> Result<(Running, Follower)> {
    let mut command = Command::new(PROGRAM);
    command.args(["record", "-q", "-o", "-"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut recorder = Running::start(&mut command)?;
    let known = Follower::new(recorder.0.stdout.take().context("stdout is a pipe")?);
    Ok((recorder, known))
}
