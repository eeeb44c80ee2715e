//! The live loop around a command: while it runs, while what it left settles, and the end of that.

use std::{
    process,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Budget, Command, Ended, Live, Outcome, SNAPSHOT_INTERVAL, Sink, Stop};
use crate::{
    kernel::{
        KernelSource,
        privileges::{self, Needs},
    },
    pipeline::Pipeline,
};

/// Snapshots may take up to one part in this many of the time: more than usual, for what is stuck only
/// for a while must not pass between two of them.
const SNAPSHOT_SHARE: u32 = 3;
/// A state that has lasted for less than this when a command has ended may be on its way out.
const SHORTEST_LIMIT: Duration = Duration::from_millis(100);

/// Runs a command, with tracing on, and then for `settle`, in which what it left behind may come to
/// its end by itself; what has not by then is stuck. Nothing is written to stdout, which is the
/// command's, before the end. Whether this succeeds or not, nothing of the command is left running.
///
/// # Errors
/// If the command cannot be started, signals cannot be watched, or stdout fails otherwise than by
/// being closed.
pub async fn run_command(
    source: &mut KernelSource,
    pipeline: &mut Pipeline,
    sink: &mut dyn Sink,
    command: &mut Command,
    settle: Duration,
) -> Result<(Outcome, Ended)> {
    let mut live = Live::new(source, pipeline, sink);
    live.snapshots = Budget::new(SNAPSHOT_INTERVAL, SNAPSHOT_SHARE);
    let result = live.follow(command, settle).await;
    command.end_rest(|| {
        live.drain_rest();
        let descendants = live.teller.pipeline.descendants()?;
        // In a pid namespace the kernel's numbers are not ours.
        (descendants.root() == process::id()).then(|| descendants.pids())
    });
    result
}

impl Live<'_> {
    /// Runs a command and settles.
    async fn follow(
        &mut self,
        command: &mut Command,
        settle: Duration,
    ) -> Result<(Outcome, Ended)> {
        self.snapshot();
        command.start()?;
        // It has all that its user has; we keep what ends processes of it that have become others'.
        privileges::keep_only(Needs { signals: true, ..Needs::of_looking(None) });
        let mut ended = None;
        while ended.is_none() {
            let limit = self.time_to_deadline();
            tokio::select! {
                biased;
                how = command.wait() => ended = Some(how?),
                () = self.source.wait(limit) => {}
            }
            self.step();
        }
        let ended = ended.unwrap_or_default();
        let settled = Instant::now() + settle;
        // Whoever asked it to end wants no more waiting.
        while !ended.interrupted
            && let Some(left) = settled.checked_duration_since(Instant::now())
        {
            let limit = self.time_to_deadline().map_or(left, |limit| limit.min(left));
            tokio::select! {
                biased;
                () = command.interrupted() => break,
                () = self.source.wait(Some(limit)) => {}
            }
            command.bury();
            self.step();
        }
        // The answer to the last FIN may have come a while after the command's end, so nothing can be
        // asked to have been in its state all the time.
        self.teller.pipeline.limit_all((settle / 2).max(SHORTEST_LIMIT));
        self.snapshot();
        Ok((self.finish(Stop::Expired)?, ended))
    }
}
