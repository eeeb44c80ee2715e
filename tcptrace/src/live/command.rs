//! A command under our eyes: its start, its signals and its end.

use std::{
    ffi::OsString,
    fs::File,
    future::pending,
    io::ErrorKind,
    os::unix::process::CommandExt as _,
    process::{self, Command as Start},
};

use anyhow::{Context as _, Result, anyhow};
use procfs::process::Process;
use rustix::{
    process::{
        Pid, Signal as ToSend, WaitOptions, WaitStatus, getpgrp, kill_process, set_child_subreaper,
        set_parent_process_death_signal, wait,
    },
    termios::tcgetpgrp,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::leftovers::Leftovers;

/// Status of a process that a signal has ended, without the signal's number; as shells have it.
const BY_SIGNAL: i32 = 128;

/// A command to be run while tracing.
#[derive(Debug)]
pub struct Command {
    words: Vec<OsString>,
    signals: Signals,
    /// A child of ours has ended.
    burials: Signal,
    pid: Option<Pid>,
    status: Option<WaitStatus>,
    leftovers: Leftovers,
    interrupted: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// Its exit status; 128 and the number of the signal that ended it, if one did.
    pub status: i32,
    /// A signal asked it to end.
    pub interrupted: bool,
}

impl Command {
    /// The command that these words name, program first. From here on signals are not our end, but
    /// the command's.
    ///
    /// # Errors
    /// If signals cannot be watched.
    pub fn new(words: &[OsString]) -> Result<Self> {
        Ok(Self {
            words: words.to_vec(),
            signals: Signals::new()?,
            burials: signal(SignalKind::child()).context("cannot watch for signals")?,
            pid: None,
            status: None,
            leftovers: Leftovers::default(),
            interrupted: false,
        })
    }

    /// The program, as the user named it.
    #[must_use]
    pub fn program(&self) -> String {
        self.words.first().map(|word| word.display().to_string()).unwrap_or_default()
    }

    pub(super) fn start(&mut self) -> Result<()> {
        // What the command leaves behind becomes our child, so that it can be ended.
        set_child_subreaper(Pid::from_raw(1)).context("cannot become a subreaper")?;
        self.leftovers = Leftovers::from_now_on();
        let (program, arguments) = self.words.split_first().context("no command")?;
        let mut start = Start::new(program);
        start.args(arguments);
        let ours = process::id();
        // SAFETY: between fork and exec only system calls are made, nothing is allocated.
        unsafe {
            start.pre_exec(move || {
                // Should we be killed, the command goes with us.
                set_parent_process_death_signal(Some(ToSend::KILL))?;
                // If that was before the line above.
                let parent = rustix::process::getppid();
                if parent.map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(ours) {
                    return Err(ErrorKind::Interrupted.into());
                }
                Ok(())
            });
        }
        let child = start.spawn().map_err(|error| {
            let program = self.program();
            let fix = match error.kind() {
                ErrorKind::NotFound => "name a program that exists",
                _ => "name a program that may be run",
            };
            anyhow!("cannot start {program}: {error}; {fix}")
        })?;
        self.pid = Some(Pid::from_child(&child));
        Ok(())
    }

    /// Waits for its end, passing on signals. Nothing is lost if this is not waited for to the end.
    pub(super) async fn wait(&mut self) -> Result<Ended> {
        let pid = self.pid.context("the command was not started")?;
        loop {
            self.bury();
            if let Some(status) = self.status {
                return Ok(Ended { status: code(status), interrupted: self.interrupted });
            }
            let signal = tokio::select! {
                _ = self.burials.recv() => continue,
                signal = self.signals.next() => signal,
            };
            self.interrupted = true;
            // What a terminal sends it sends to all of its foreground processes.
            let sent_already = matches!(signal, ToSend::INT | ToSend::QUIT) && on_terminal();
            if !sent_already {
                // It has not been buried, so this is no other process.
                _ = kill_process(pid, signal);
            }
        }
    }

    /// Waits for a signal after its end.
    pub(super) async fn interrupted(&mut self) {
        self.signals.next().await;
    }

    /// Takes leave of the children that have ended: the command, and processes of it that came to us
    /// when their parents ended. Without that they would keep their pids.
    pub(super) fn bury(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.pid == Some(pid) && self.status.is_none() {
                self.status = Some(status);
            }
        }
    }

    /// Ends what still runs of the command's processes: our descendants since its start, as far as
    /// they are of `those` (ascending), if it tells.
    pub(super) fn end_rest(&mut self, those: impl FnMut() -> Option<Vec<u32>>) {
        let leftovers = std::mem::take(&mut self.leftovers);
        if self.pid.is_some() {
            leftovers.end(those, || self.bury());
        }
    }
}

/// What may ask the command to end. What was ignored when we began, as by nohup, stays so.
#[derive(Debug)]
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    quit: Option<Signal>,
}

impl Signals {
    fn new() -> Result<Self> {
        let status = Process::myself().and_then(|process| process.status());
        let ignored = status.map(|status| status.sigign).unwrap_or_default();
        let watch = |kind: SignalKind| {
            let bit = 1_u64 << (kind.as_raw_value() - 1);
            let wanted = (ignored & bit == 0).then(|| signal(kind));
            wanted.transpose().context("cannot watch for signals")
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
            quit: watch(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> ToSend {
        tokio::select! {
            () = received(&mut self.interrupt) => ToSend::INT,
            () = received(&mut self.terminate) => ToSend::TERM,
            () = received(&mut self.hangup) => ToSend::HUP,
            () = received(&mut self.quit) => ToSend::QUIT,
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        pending::<()>().await;
    }
}

fn code(status: WaitStatus) -> i32 {
    let by_signal = || Some(BY_SIGNAL + status.terminating_signal()?);
    status.exit_status().or_else(by_signal).unwrap_or(BY_SIGNAL)
}

/// Whether we and the command are in the foreground of a terminal.
fn on_terminal() -> bool {
    File::open("/dev/tty").is_ok_and(|tty| tcgetpgrp(tty).is_ok_and(|group| group == getpgrp()))
}
