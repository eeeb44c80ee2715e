//! Losses on purpose: they are counted, and two seconds after the last the tracer knows again what there
//! is. How long it took is told by the times of the events, which are those of the kernel.

use std::{
    fs::File,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, kill_process};
use tcptrace_common::queue::SEGMENT_BYTES;

use crate::{
    cast::Actor,
    picture::Follower,
    recorder::{Folder, Running, record},
    script,
    stage::Stage,
    sys,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after the last loss the tracer may know something else than the machine.
const AGREES_WITHIN: Duration = Duration::from_secs(2);
/// Records of a connection, both ends together, at least.
const RECORDS: u64 = 10;
/// How long a tracer stands still where that is the fault.
const STANDSTILL: Duration = Duration::from_secs(10);

/// One that will stay, one that will move on, two that will be gone.
const BEFORE: &str = "
    srv listen L :81
    cli connect KEPT :81
    srv accept KEPT2 L
    cli connect MOVED :81
    srv accept MOVED2 L
    cli connect GONE :81
    srv accept GONE2 L
    cli connect OVER :81
    srv accept OVER2 L";
/// What is not told of them, and of one that is new.
const UNSEEN: &str = "
    cli shutdown MOVED
    srv eof MOVED2
    cli linger GONE
    cli close GONE
    srv close GONE2
    cli close OVER
    srv eof OVER2
    srv close OVER2
    cli connect NEW :81
    srv accept NEW2 L";
/// Then all is told again, of the new one too.
const AFTER: &str = "
    cli close NEW
    srv eof NEW2
    srv close NEW2
    srv close MOVED2
    cli eof MOVED
    cli close KEPT
    srv eof KEPT2";

/// A page for the ring buffer, and no queues.
pub(super) fn tiny_ring() -> Result<()> {
    [true, false].into_iter().try_for_each(|follows| tiny(follows, 4096, 500))
}

/// Queues of a megabyte each, the least there is.
pub(super) fn tiny_queues() -> Result<()> {
    let cpus = thread::available_parallelism()?.get().next_power_of_two();
    let bytes = u32::try_from(cpus * SEGMENT_BYTES)?;
    // Of about 60 bytes each, on as many processors as it likes.
    [true, false].into_iter().try_for_each(|follows| tiny(follows, bytes, 2500 * cpus))
}

fn tiny(follows: bool, ring_bytes: u32, churn: usize) -> Result<()> {
    let stage = Stage::new()?;
    let folder = Folder::new()?;
    let pipe = folder.0.join("pipe");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "mkfifo failed");
    let actor = Actor::spawn("tiny", &stage.here)?;
    // Neither end of the pipe opens before the other.
    let place = pipe.clone();
    let reader = thread::spawn(move || File::open(place));
    let netns = stage.here.inode();
    let view = if follows { "follow" } else { "look" };
    let trace = format!("trace {view} {ring_bytes} {netns} {}", pipe.display());
    actor.tell(&trace, PATIENCE)?.done()?;
    let reader = reader.join().ok().context("the reader died")??;
    lose(stage, actor.pid(), Follower::new(reader), |stage| churned(stage, churn))
        .with_context(|| format!("{view}, {ring_bytes} bytes"))
}

/// The program as it is, which stands still for so long that nobody could fail to notice.
pub(super) fn stopped() -> Result<()> {
    /// Ten transitions each, more than there is room for.
    const TOO_MANY: usize = 60_000;
    let stage = Stage::new()?;
    let mut command = record(&stage.here, "-".as_ref(), &[]);
    let mut recorder = Running::start(command.stdout(Stdio::piped()))?;
    let known = Follower::new(recorder.0.stdout.take().context("stdout is a pipe")?);
    lose(stage, recorder.0.id(), known, |stage| {
        let begun = Instant::now();
        let mut churn = churned(stage, TOO_MANY)?;
        while begun.elapsed() < STANDSTILL {
            churn += churned(stage, 1000)?;
        }
        Ok(churn)
    })
}

fn churned(stage: &Stage, count: usize) -> Result<u64> {
    let actor = Actor::spawn("churn", &stage.here)?;
    actor.tell(&format!("churn {count} 4 client"), PATIENCE)?.done()?;
    Ok(count as u64)
}

/// Has the tracer `pid` stand still for so many connections that there is no room for them; `known` is
/// what it knows.
fn lose(
    mut stage: Stage,
    pid: u32,
    mut known: Follower,
    churn: impl FnOnce(&Stage) -> Result<u64>,
) -> Result<()> {
    play(&mut stage, BEFORE)?;
    known.until_it_agrees(&stage.here, PATIENCE).context("before any loss")?;
    let tracer = sys::pid_of(pid)?;
    kill_process(tracer, Signal::STOP)?;
    let churned = churn(&stage)?;
    play(&mut stage, UNSEEN)?;
    let transitions = known.transitions;
    kill_process(tracer, Signal::CONT)?;
    known.until(PATIENCE, |known, _| Ok(known.lost > 0)).context("nothing was lost")?;
    known.until_it_agrees(&stage.here, PATIENCE).context("after the losses")?;
    let last = known.last_lost.unwrap_or_default();
    let took = Duration::from_nanos(known.now.since(last).unwrap_or_default());
    ensure!(took <= AGREES_WITHIN, "it agreed {took:?} after the last loss");
    let (told, counted, all) = (known.transitions - transitions, known.lost, churned * RECORDS);
    ensure!(told + counted >= all, "{told} were told and {counted} lost, of {all} at least");
    play(&mut stage, AFTER)?;
    known.until_it_agrees(&stage.here, PATIENCE).context("when nothing is lost any more")
}

fn play(stage: &mut Stage, steps: &str) -> Result<()> {
    script::parse(steps)?.iter().try_for_each(|step| stage.play(step))
}
