//! A recorder that is run, and a folder for what it writes.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::{namespace::Namespace, sys};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");
/// How long a program may take for what it does, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is gone afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tcptrace-recorder-{}-{count}", process::id()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self(path))
    }

    /// The recordings in it, by name.
    pub(crate) fn recordings(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "arrows") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test may have moved it away.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that is killed if nobody has waited for it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.spawn().with_context(|| format!("cannot start {command:?}"))?))
    }

    pub(crate) fn tell(&self, signal: Signal) -> Result<()> {
        rustix::process::kill_process(sys::pid_of(self.0.id())?, signal)?;
        Ok(())
    }

    /// Ends it by a signal, and returns its exit status.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<Option<i32>> {
        ensure!(sys::end(self.0.id(), signal, PATIENCE)?, "it does not end");
        Ok(self.0.wait()?.code())
    }

    /// Its exit status, if it ends by itself.
    pub(crate) fn status(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < deadline, "it does not end");
            thread::yield_now();
        }
    }

    /// What it wrote to stderr, once it has ended.
    pub(crate) fn stderr(&mut self) -> Result<String> {
        let stderr = self.0.stderr.take().context("stderr is a pipe")?;
        Ok(std::io::read_to_string(stderr)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// `record` with these arguments, of one namespace.
pub(crate) fn record(netns: &Namespace, output: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["record", "--netns", &netns.path()]).args(arguments).arg("-o").arg(output);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What a view says of recordings.
pub(crate) fn read(view: &[&str], recordings: &[PathBuf]) -> Result<Output> {
    let mut command = Command::new(PROGRAM);
    command.args(view);
    for recording in recordings {
        command.arg("-i").arg(recording);
    }
    command.output().context("cannot start a view")
}

/// Makes connections that are refused until `is_done` says so.
pub(crate) fn until(netns: &Namespace, mut is_done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_done()? {
        ensure!(Instant::now() < deadline, "it does not come");
        netns.refuse(9)?;
    }
    Ok(())
}

/// Does `work` while connections are made and refused as fast as can be.
pub(crate) fn under_load<T>(netns: &Namespace, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                netns.refuse(9)?;
            }
            anyhow::Ok(())
        });
        let result = work();
        is_over.store(true, Ordering::Relaxed);
        match load.join() {
            Ok(loaded) => loaded.and(result),
            Err(_) => bail!("the load panicked"),
        }
    })
}
