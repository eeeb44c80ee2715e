//! The wall clock is set while a trace runs: times are told by the new one, and durations do not care.
//!
//! Only a virtual machine has a clock that a test may set, so this trial is played there
//! (`cargo xtask vm 6.12 -- clock`).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::{guest, namespace::Namespace, script, stage::Stage, sys, tracer::Tracer, verdict};

const NAME: &str = "clock: set an hour ahead and back while tracing";

/// How far the clock is set, in seconds.
const STEP: i64 = 3600;
/// By so much, in nanoseconds, the two clocks may be apart in another way than when they were compared.
const NOISE_NS: i128 = 100_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// None where the clock is not ours to set.
pub(crate) fn trial() -> Option<Trial> {
    guest::is_ours().then(|| verdict::noted(NAME, Vec::new(), run))
}

fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    let tracer = Tracer::start(&[])?;
    for step in script::parse("srv listen L :80\ncli connect A :80\nsrv accept B L")? {
        stage.play(&step)?;
    }
    let before = sys::wall_offset();
    ensure!((told(&tracer, &stage.here)? - before).abs() < NOISE_NS, "before the step");
    for step in [STEP, -STEP] {
        set(step)?;
        let now = sys::wall_offset();
        let deadline = Instant::now() + PATIENCE;
        while (told(&tracer, &stage.here)? - now).abs() >= NOISE_NS {
            ensure!(Instant::now() < deadline, "times are told by the old clock");
        }
    }
    for step in script::parse("cli close A\nsrv eof B\nsrv close B")? {
        stage.play(&step)?;
    }
    tracer.fence(&stage.here)?;
    let lines = tracer.lines(&[stage.here.inode()], 0)?;
    let is_end = |line: &&crate::line::Line| line.from == "ESTABLISHED" && line.to == "FIN_WAIT1";
    let end = lines.iter().find(is_end).context("the client has closed")?;
    let dwell = Duration::from_nanos(end.dwell_ns.context("it was seen to begin")?);
    ensure!(dwell < 2 * PATIENCE, "ESTABLISHED for {dwell:?}: the step is in it");
    tracer.stop()
}

/// What the wall clock is ahead of the boot clock by the latest line, in nanoseconds.
fn told(tracer: &Tracer, netns: &Namespace) -> Result<i128> {
    tracer.fence(netns)?;
    let lines = tracer.lines(&[netns.inode()], 0)?;
    let line = lines.last().context("there are lines")?;
    let (_, time) = line.json.split_once("\"time\":\"").context("a time")?;
    let time: jiff::Timestamp = time.split('"').next().context("a text")?.parse()?;
    Ok(time.as_nanosecond() - i128::from(line.boot_ns))
}

/// Sets the wall clock by so many seconds.
fn set(step: i64) -> Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    let then = Timespec { tv_sec: now.tv_sec + step, ..now };
    clock_settime(ClockId::Realtime, then).context("cannot set the clock")
}
