//! SIGHUP, while recording.

use std::{
    future::pending,
    io::{self, IsTerminal as _},
};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// Somebody wants the next file.
    Asked,
    /// The terminal that we were started from is gone, and nobody is left to end us.
    TerminalGone,
}

/// Waits for SIGHUP, or, by default, leaves it alone: then it ends the process.
#[derive(Debug, Default)]
pub struct Hangups {
    signal: Option<Signal>,
    had_terminal: bool,
}

impl Hangups {
    /// Waits for it if `wanted`, from now on. Needs a running event loop.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn new(wanted: bool) -> Result<Self> {
        let watch = || signal(SignalKind::hangup()).context("cannot watch for SIGHUP");
        Ok(Self { signal: wanted.then(watch).transpose()?, had_terminal: has_terminal() })
    }

    /// Waits for the next one; forever if none is wanted.
    pub(super) async fn wait(&mut self) -> Hangup {
        match &mut self.signal {
            Some(signal) => _ = signal.recv().await,
            None => pending().await,
        }
        // A terminal that was closed is none any more.
        if self.had_terminal && !has_terminal() { Hangup::TerminalGone } else { Hangup::Asked }
    }
}

fn has_terminal() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}
