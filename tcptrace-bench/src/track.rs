//! The tracker alone, fed with the events of as many connections as one likes.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::getpid;
use serde::{Deserialize, Serialize};
use tcptrace::{
    event::Event,
    model::{filter::Filter, tracker},
    pipeline::{GROUP, Pipeline},
};

use crate::{
    generate::clock,
    load::ends_with_this_program,
    options::{self, Bench},
    process_cost::{anonymous_bytes, thread_ns},
    traffic::Traffic,
};

/// Connections that come and go beside those that last.
const CHURN: u64 = 1000;
/// Events that are made before they are fed, so that the time of making them is not counted.
const BATCH: u64 = 2000;

/// What following so many sockets came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tracked {
    /// Memory of each socket, in bytes.
    pub(crate) bytes_each: f64,
    /// CPU time of an event of connections that come and go beside them, in ns.
    pub(crate) beside_ns: f64,
    /// CPU time of an event of any of them, each as likely as all others, in ns.
    pub(crate) among_ns: f64,
}

/// Starts a process that follows so many sockets, which nothing was allocated in before.
pub(crate) fn measure(bench: &Bench, sockets: u64, events: u64) -> Result<Tracked> {
    let mut command = Command::new(&bench.own);
    command.arg("track").arg(format!("--sockets={sockets}")).arg(format!("--events={events}"));
    ends_with_this_program(&mut command);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start a tracker")?;
    ensure!(output.status.success(), "the tracker failed ({})", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Follows so many sockets, and prints what that came to.
pub(crate) fn run(options: &options::Track) -> Result<()> {
    ensure!(options.sockets >= 2, "a connection has two sockets");
    let mut fed = Fed::new();
    let (lasting, churn) =
        (Traffic::new(options.sockets / 2, 1).scattered(), Traffic::new(CHURN, 2));
    // What the first events allocate is not of connections. None of these ends before the others have
    // begun, which would get its memory.
    fed.feed(&churn, BATCH);
    let before = anonymous_bytes(getpid())?;
    fed.feed(&lasting, lasting.until_established());
    let bytes_each = (anonymous_bytes(getpid())? - before) / options.sockets as f64;
    let beside_ns = fed.feed(&churn, options.events);
    // Whole lives alone are the same mixture of events for any number of sockets.
    let lives = options.events.div_ceil(lasting.length());
    let among_ns = fed.feed(&lasting, lives * lasting.length());
    let tracked = Tracked { bytes_each, beside_ns, among_ns };
    io::stdout().write_all(serde_json::to_string(&tracked)?.as_bytes())?;
    Ok(())
}

/// A tracker as `watch` runs it.
struct Fed {
    pipeline: Pipeline,
    /// Events of all traffic so far, which time goes by.
    fed: u64,
    /// Events of each traffic so far.
    next: [u64; 3],
    batch: Vec<Event>,
}

impl Fed {
    fn new() -> Self {
        let pipeline = Pipeline::tracked(tracker::Options::default(), Filter::default(), clock());
        Self { pipeline, fed: 0, next: [0; 3], batch: Vec::new() }
    }

    /// Feeds the next events of this traffic; returns the CPU time of each.
    fn feed(&mut self, traffic: &Traffic, count: u64) -> f64 {
        let mut spent = 0;
        let mut left = count;
        while left > 0 {
            let next = &mut self.next[usize::from(traffic.number())];
            let batch = left.min(BATCH);
            self.batch.clear();
            self.batch.extend((0..batch).map(|place| {
                let at = Traffic::time(self.fed + place);
                traffic.event(*next + place, at)
            }));
            (*next, self.fed, left) = (*next + batch, self.fed + batch, left - batch);
            let begun = thread_ns();
            for group in self.batch.chunks(GROUP) {
                self.pipeline.expect(group);
                for event in group {
                    self.pipeline.feed(event);
                    self.pipeline.shown().for_each(drop);
                }
            }
            spent += thread_ns() - begun;
        }
        spent as f64 / count as f64
    }
}
