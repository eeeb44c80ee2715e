//! A recording of any size, as `record` would have written it on a host with many connections.

use std::{fs::File, io::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::statvfs;
use tcptrace::{
    event::Event,
    recording::{Compression, Encoder, Metadata},
    time::ClockSample,
};

use crate::traffic::Traffic;

/// Connections that are open at the same time.
const OPEN: u64 = 1000;
/// So many events are as many as the tracer finds when it looks at its buffer.
const LOOK: u64 = 400;
/// More bytes than an event takes in a file, for whether there is room.
const BYTES: u64 = 32;

/// Writes a recording of so many events; returns how many of them are transitions.
pub(crate) fn generate(path: &Path, events: u64) -> Result<u64> {
    let folder = path.parent().context("a recording lies in a folder")?;
    let room = statvfs(folder)?;
    let (room, needed) = (room.f_bavail * room.f_frsize, events * BYTES);
    ensure!(room >= needed, "{} needs {} MB more room", folder.display(), (needed - room) >> 20);
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut encoder = Encoder::new(&metadata(), Compression::Zstd)?;
    let traffic = Traffic::new(OPEN, 0);
    let mut transitions = 0;
    for number in 0..events {
        let at = Traffic::time(number);
        let event = traffic.event(number, at);
        transitions += u64::from(matches!(event, Event::Transition(_)));
        encoder.add(&event);
        if number % LOOK == 0 {
            encoder.add(&Event::Tick(at));
        }
        if encoder.is_full() {
            file.write_all(&encoder.close_batch()?)?;
        }
    }
    file.write_all(&encoder.finish()?)?;
    Ok(transitions)
}

/// What describes a recording of this traffic.
#[must_use]
pub fn metadata() -> Metadata {
    let clock = clock();
    Metadata {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        host: "bench".to_owned(),
        clock,
        destroy_hook: true,
        run: clock.boot,
        part: 1,
        ..Metadata::default()
    }
}

/// The clocks when the traffic begins.
#[must_use]
pub fn clock() -> ClockSample {
    ClockSample { boot: Traffic::START, wall_ns: 1_790_000_000_000_000_000 }
}
