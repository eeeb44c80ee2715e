//! A command under our eyes: its signals, its end, and what it leaves running.

use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::ExitStatusExt as _,
    process::{self, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal as ToSend, WaitOptions, getpgrp, pidfd_open, pidfd_send_signal,
        set_child_subreaper, set_parent_process_death_signal, waitpid,
    },
    termios::tcgetpgrp,
};
use tokio::{
    process::{Child, Command as Start},
    signal::unix::{Signal, SignalKind, signal},
};

/// How long processes that the command left running have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);
/// Status of a process that a signal has ended, without the signal's number; as shells have it.
const BY_SIGNAL: i32 = 128;

/// A command to be run while tracing.
#[derive(Debug)]
pub struct Command {
    words: Vec<OsString>,
    child: Option<Child>,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
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
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            words: words.to_vec(),
            child: None,
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
            quit: watch(SignalKind::quit())?,
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
        let (program, arguments) = self.words.split_first().context("no command")?;
        let mut start = Start::new(program);
        // Should we fail, the command does not go on without us.
        start.args(arguments).kill_on_drop(true);
        let ours = process::id();
        // SAFETY: between fork and exec only system calls are made, nothing is allocated.
        unsafe {
            start.pre_exec(move || {
                // Should we be killed, the command goes with us.
                set_parent_process_death_signal(Some(ToSend::KILL))?;
                // If that was before the line above.
                let parent = rustix::process::getppid();
                if parent.map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(ours) {
                    return Err(std::io::ErrorKind::Interrupted.into());
                }
                Ok(())
            });
        }
        let child = start.spawn().map_err(|error| {
            anyhow!("cannot start {}: {error}; name a program that exists", self.program())
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits for its end, passing on signals. Nothing is lost if this is not waited for to the end.
    pub(super) async fn wait(&mut self) -> Result<Ended> {
        let child = self.child.as_mut().context("the command was not started")?;
        loop {
            let signal = tokio::select! {
                status = child.wait() => {
                    let status = status.context("cannot wait for the command")?;
                    return Ok(Ended { status: code(status), interrupted: self.interrupted });
                }
                _ = self.interrupt.recv() => ToSend::INT,
                _ = self.terminate.recv() => ToSend::TERM,
                _ = self.hangup.recv() => ToSend::HUP,
                _ = self.quit.recv() => ToSend::QUIT,
            };
            self.interrupted = true;
            // What a terminal sends it sends to all of its foreground processes.
            let sent_already = matches!(signal, ToSend::INT | ToSend::QUIT) && on_terminal();
            if !sent_already && let Some(pid) = child.id().and_then(pid_of) {
                // It may have ended just now.
                _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    /// Waits for a signal after its end.
    pub(super) async fn interrupted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.quit.recv() => {}
        }
    }

    /// Ends what still runs of these processes, first by SIGTERM, then by SIGKILL.
    pub(super) fn end_rest(&mut self, pids: &[u32]) {
        let ours = process::id();
        let pids = pids.iter().filter(|pid| **pid != ours && is_running(**pid));
        let rest: Vec<_> = pids
            .filter_map(|pid| Some((*pid, pidfd_open(pid_of(*pid)?, PidfdFlags::empty()).ok()?)))
            .collect();
        if rest.is_empty() {
            return;
        }
        let names: Vec<String> = rest.iter().map(|(pid, _)| pid.to_string()).collect();
        log::warn!("the command left processes running, which are ended: {}", names.join(", "));
        for (_, pidfd) in &rest {
            _ = pidfd_send_signal(pidfd, ToSend::TERM);
        }
        let deadline = Instant::now() + GRACE;
        for (pid, pidfd) in &rest {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap_or_default();
            let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
            if poll(&mut polled, Some(&left)).is_ok_and(|ended| ended == 0) {
                _ = pidfd_send_signal(pidfd, ToSend::KILL);
            }
            // Those whose parents have ended are ours to bury.
            _ = pid_of(*pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(BY_SIGNAL + status.signal()?)).unwrap_or(BY_SIGNAL)
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether the process runs and is no zombie.
fn is_running(pid: u32) -> bool {
    let process = i32::try_from(pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    let state = process.and_then(|process| process.stat().ok()).map(|stat| stat.state);
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Whether we and the command are in the foreground of a terminal.
fn on_terminal() -> bool {
    File::open("/dev/tty").is_ok_and(|tty| tcgetpgrp(tty).is_ok_and(|group| group == getpgrp()))
}
