//! One trace teed to a view and to a recording: the recording tells the view the same, byte for byte.
//!
//! A tee is an actor of its own ([`run`]), for an event loop's signal handlers stay in their process.
//! It traces the whole host, whatever else the suite does meanwhile.

mod kept;
mod run;

use std::{env, process, time::Duration};

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
    cli close GONE";
/// Everybody lets go.
const ENDS: &str = "
    srv close KEPT
    srv close LEFT
    srv close DEAF
    srv close RESET
    cli close HALF";
/// What comes of it: two held and one leaked, one waiting, two orphans, of which one may be too short.
const FINDINGS: u64 = 6;
/// Five of each end that closes or is closed, three of each that is reset, one of the listener.
const TRANSITIONS: u64 = 3 * 10 + 2 * 3 + 1;
/// Two ends each.
const CONNECTIONS: u64 = 4 * 2;

pub(crate) fn trials() -> [Trial; 1] {
    let name = "tee: watch, lifetimes and stuck tell of a recording what they told live";
    [Trial::test(name, needing_root(run))]
}

fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    let tees = ["watch", "lifetimes", "stuck"].map(|view| {
        let tee = Actor::spawn(&format!("tee-{view}"), &stage.here)?;
        let file = env::temp_dir().join(format!("tcptrace-tee-{view}-{}.arrows", process::id()));
        tell(&tee, &format!("tee begin {view} {}", file.display()))?;
        anyhow::Ok(tee)
    });
    let [watch, lifetimes, stuck] = tees;
    let (watch, lifetimes, stuck) = (watch?, lifetimes?, stuck?);
    let netns = stage.here.inode();
    let until = |tee, count, what| tell(tee, &format!("tee until {count} {what} {netns}"));
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    // When all are twice as old as at first.
    until(&stuck, FINDINGS, "told")?;
    until(&stuck, FINDINGS, "again")?;
    for step in script::parse(ENDS)? {
        stage.play(&step)?;
    }
    until(&stuck, FINDINGS, "resolved")?;
    until(&watch, TRANSITIONS, "transitions")?;
    until(&lifetimes, CONNECTIONS, "connections")?;
    for tee in [&watch, &lifetimes, &stuck] {
        tell(tee, "tee end")?;
    }
    Ok(())
}

fn tell(tee: &Actor, command: &str) -> Result<()> {
    let answer = tee.tell(command, PATIENCE)?;
    answer.done().with_context(|| format!("at `{command}`"))?;
    Ok(())
}
