//! Starting loads.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::{
    churn::Done,
    options::{Bench, Load},
};

/// Transitions of a connection, both ends together.
pub(crate) const TRANSITIONS: u64 = 10;

/// A load that goes on beside what is measured; it ends by itself, or with this value.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a load.
    pub(crate) fn start(bench: &Bench, load: Load) -> Result<Self> {
        let mut command = Command::new(&bench.own);
        command.arg("load").arg(format!("--threads={}", load.threads));
        command.arg(format!("--seconds={}", load.seconds));
        if let Some(rate) = load.rate {
            command.arg(format!("--rate={rate}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        ends_with_this_program(&mut command);
        Ok(Self(command.spawn().context("cannot start a load")?))
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Result<Done> {
        let output = self.0.stdout.take().context("the output of a load is a pipe")?;
        let text = io::read_to_string(output)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the load failed ({status})");
        serde_json::from_str(&text).context("a load says what it came to")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end this does nothing.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Makes a load.
pub(crate) fn run(bench: &Bench, load: Load) -> Result<Done> {
    Running::start(bench, load)?.finish()
}

/// As many connections as there can be, for this time.
pub(crate) fn full(threads: u32, seconds: f64) -> Load {
    Load { threads, seconds, rate: None }
}

/// Makes the kernel kill the new process when this one ends, whatever ends it.
pub(crate) fn ends_with_this_program(command: &mut Command) {
    let ask = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec only a system call is made.
    unsafe { command.pre_exec(ask) };
}
