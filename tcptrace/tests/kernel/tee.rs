//! One trace teed to a view and to a recording: the recording tells the view the same, byte for byte.
//!
//! A tee is an actor of its own ([`run`]), for an event loop's signal handlers stay in their process.
//! It traces the whole host, whatever else the suite does meanwhile.

mod kept;
mod run;

use std::{env, fs, path::PathBuf, process, time::Duration};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;

use crate::{cast::Actor, needing_root, script, stage::Stage};
pub(crate) use run::Tee;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// One who does not close, one who half-closes and waits, one who leaves an orphan, one whose orphan
/// ends by its timer, and one whose connection is over.
const STEPS: &str = "
    srv listen L :80
    cli connect HALF :80
    srv accept KEPT L
    cli shutdown HALF
    srv eof KEPT
    cli connect ORPHAN :80
    srv accept LEFT L
    cli close ORPHAN
    srv eof LEFT
    cli connect SHORT :80
    srv accept DEAF L
    cli linger2 SHORT 1
    cli close SHORT
    srv eof DEAF
    cli connect GONE :80
    srv accept RESET L
    cli linger GONE
    cli close GONE
    cli connect GONE2 :80
    srv accept RESET2 L
    cli linger GONE2
    cli close GONE2";
/// One of two alike ends, and after a while the other, which is told apart.
const FIRST_END: &str = "srv close RESET";
const ENDS: &str = "
    srv close RESET2
    srv close KEPT
    srv close LEFT
    srv close DEAF
    cli close HALF";
/// What comes of it: three held and two leaked, one waiting, two orphans, of which one may be too short.
const FINDINGS: u64 = 7;
/// Five of each end that closes or is closed, three of each that is reset, one of the listener.
const TRANSITIONS: u64 = 3 * 10 + 4 * 3 + 1;
/// Two ends each.
const CONNECTIONS: u64 = 5 * 2;

pub(crate) fn trials() -> [Trial; 1] {
    let name = "tee: watch, lifetimes and stuck tell of a recording what they told live";
    [Trial::test(name, needing_root(run))]
}

fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    let begin = |view| Traced::begin(view, &stage);
    let (watch, lifetimes, stuck) = (begin("watch")?, begin("lifetimes")?, begin("stuck")?);
    let netns = stage.here.inode();
    let until = |tee: &Traced, count, what| tee.tell(&format!("until {count} {what} {netns}"));
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    // When all are twice as old as at first.
    until(&stuck, FINDINGS, "told")?;
    until(&stuck, FINDINGS, "again")?;
    for step in script::parse(FIRST_END)? {
        stage.play(&step)?;
    }
    until(&stuck, 1, "resolved")?;
    stuck.tell("until-tick")?;
    for step in script::parse(ENDS)? {
        stage.play(&step)?;
    }
    until(&stuck, FINDINGS, "resolved")?;
    until(&watch, TRANSITIONS, "transitions")?;
    until(&lifetimes, CONNECTIONS, "connections")?;
    for tee in [&watch, &lifetimes, &stuck] {
        tee.tell("end")?;
    }
    Ok(())
}

/// A tee as the test sees it. Its recording is gone when this is dropped.
struct Traced {
    actor: Actor,
    recording: PathBuf,
}

impl Traced {
    fn begin(view: &str, stage: &Stage) -> Result<Self> {
        let name = format!("tcptrace-tee-{view}-{}.arrows", process::id());
        let actor = Actor::spawn(&format!("tee-{view}"), &stage.here)?;
        let tee = Self { actor, recording: env::temp_dir().join(name) };
        tee.tell(&format!("begin {view} {}", tee.recording.display()))?;
        Ok(tee)
    }

    fn tell(&self, command: &str) -> Result<()> {
        let answer = self.actor.tell(&format!("tee {command}"), PATIENCE)?;
        answer.done().with_context(|| format!("the tee was told `{command}`"))?;
        Ok(())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // It may never have been there.
        _ = fs::remove_file(&self.recording);
    }
}
