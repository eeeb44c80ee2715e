//! The actors as the test sees them: started, told what to do, and ended by pid.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    os::unix::ffi::OsStringExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::{actor, namespace::Namespace, sys};

/// An actor process. It is killed when this is dropped.
pub(crate) struct Actor {
    name: String,
    process: Mutex<Process>,
    answers: Mutex<Receiver<String>>,
    stderr: Arc<Mutex<String>>,
    pid: u32,
}

struct Process {
    child: Child,
    commands: ChildStdin,
}

impl Actor {
    pub(crate) fn spawn(name: &str, netns: &Namespace) -> Result<Self> {
        // Not the path of the executable: the file may have been replaced by a build since.
        let mut child = Command::new("/proc/self/exe")
            // The actor asks for no arguments, but they are what its command line shows.
            .args([OsString::from_vec(actor::unescape(name)?), "on stage".into()])
            .env(actor::NAME, name)
            .env(actor::NETNS, netns.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the actor {name}"))?;
        let commands = child.stdin.take().context("stdin is a pipe")?;
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (sink, mut source) =
            (Arc::clone(&stderr), child.stderr.take().context("stderr is a pipe")?);
        thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read counts, also if the rest could not.
            _ = source.read_to_end(&mut text);
            sink.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&String::from_utf8_lossy(&text));
        });
        let pid = child.id();
        Ok(Self {
            name: name.to_owned(),
            process: Mutex::new(Process { child, commands }),
            answers: Mutex::new(answers),
            stderr,
            pid,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends one command and waits for its answer.
    pub(crate) fn tell(&self, command: &str, patience: Duration) -> Result<Answer> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = writeln!(process.commands, "{command}");
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.recv_timeout(patience) {
            Ok(line) if sent.is_ok() => Answer::parse(&line),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the actor {} did not finish `{command}` in {patience:?}", self.name)
            }
            _ => {
                let status = process.child.wait()?;
                let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
                bail!("the actor {} died at `{command}` with {status}: {stderr}", self.name)
            }
        }
    }

    /// Kills the process and waits for its end.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.child.kill()?;
        process.child.wait()?;
        Ok(())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.kill();
    }
}

/// Kills a process that is a child of an actor and waits for its end.
pub(crate) fn kill_forked(pid: u32) -> Result<()> {
    let patience = Duration::from_secs(10);
    ensure!(sys::end(pid, Signal::KILL, patience)?, "process {pid} did not die");
    Ok(())
}

/// What an actor said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The error's name and story, if it was one.
    pub(crate) error: Option<(String, String)>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) pid: Option<u32>,
    pub(crate) fd: Option<u64>,
}

impl Answer {
    pub(crate) fn done(self) -> Result<Self> {
        match &self.error {
            Some((_, story)) => bail!("{story}"),
            None => Ok(self),
        }
    }

    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut answer = Self::default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("ok") => {}
            Some("err") => {
                let name = words.next().unwrap_or("?");
                answer.error = Some((name.to_owned(), line.to_owned()));
            }
            _ => bail!("an actor said `{line}`"),
        }
        for word in words {
            match word.split_once('=') {
                Some(("local", address)) => answer.local = address.parse().ok(),
                Some(("remote", address)) => answer.remote = address.parse().ok(),
                Some(("pid", pid)) => answer.pid = pid.parse().ok(),
                Some(("fd", fd)) => answer.fd = fd.parse().ok(),
                _ => {}
            }
        }
        Ok(answer)
    }
}
