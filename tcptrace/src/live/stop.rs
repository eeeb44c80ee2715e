//! What ends a run.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep_until,
};

/// Exit status of work that was not even let end in order.
const ABORTED: i32 = 3;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By SIGINT or SIGTERM.
    Signal,
    /// Its time was over.
    Expired,
    /// Nobody reads our output any more.
    StdoutClosed,
}

/// What ends a run: SIGINT, SIGTERM or the end of its time.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<tokio::time::Instant>,
}

impl StopSignals {
    pub(super) fn new(duration: Option<Duration>) -> Result<Self> {
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            deadline: duration.map(|duration| tokio::time::Instant::now() + duration),
        })
    }

    /// Waits for the first of them.
    pub(super) async fn wait(&mut self) -> Stop {
        let deadline = self.deadline;
        let expired = async move {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Signal,
            _ = self.terminate.recv() => Stop::Signal,
            () = expired => Stop::Expired,
        }
    }
}

/// SIGINT and SIGTERM for work that is busy rather than waiting: they no longer end the process, but
/// can be asked for; the second one does.
#[derive(Clone, Debug)]
pub struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// From now on.
    ///
    /// # Errors
    /// If the system has no descriptors or threads left.
    pub fn watch() -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = runtime.block_on(async { StopSignals::new(None) })?;
        let came = Self(Arc::default());
        let told = came.clone();
        let wait = move || {
            runtime.block_on(signals.wait());
            told.0.store(true, Ordering::Relaxed);
            // Whoever waits for what never comes is not asked again.
            runtime.block_on(signals.wait());
            process::exit(ABORTED);
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait)
            .context("cannot watch for signals")?;
        Ok(came)
    }

    /// Whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
