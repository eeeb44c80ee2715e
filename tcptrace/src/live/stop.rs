//! What ends a run.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep_until,
};

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

/// What ends a run: SIGINT, SIGTERM or the end of its time. Made before anything that takes time, so
/// that from then on a signal ends the run in order.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<tokio::time::Instant>,
}

impl StopSignals {
    /// Begins to watch for signals, which from now on do not end the process by themselves.
    ///
    /// # Errors
    /// If they cannot be watched.
    pub fn new() -> Result<Self> {
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            deadline: None,
        })
    }

    /// From now on it may take this long.
    pub(super) fn expire_after(&mut self, duration: Option<Duration>) {
        self.deadline = duration.map(|duration| tokio::time::Instant::now() + duration);
    }

    /// Waits for the first of them.
    pub async fn wait(&mut self) -> Stop {
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
