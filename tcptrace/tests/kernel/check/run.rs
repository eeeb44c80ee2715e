//! A run of `tcptrace check`, and those of the command's processes that a test tells what to do.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read, Write as _, pipe},
    os::fd::AsRawFd as _,
    process::{self, Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    event::{Timespec, poll},
    process::{PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::Value;

use crate::{actor, cast::Answer, namespace::Namespace, sys};

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");
/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a condition that nothing announces is looked at again.
const NEXT_LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// In the environment of a run and so of all processes that come of it: which run.
const MARK: &str = "TCPTRACE_TEST_MARK";
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A run. What it leaves behind is killed when this is dropped.
pub(super) struct Run {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    mark: String,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    /// What had not been heard before.
    pub(super) stdout: Vec<String>,
    pub(super) stderr: Vec<String>,
}

impl Run {
    /// `tcptrace check OPTIONS -- sh -c SCRIPT` in the namespace.
    pub(super) fn of_script(netns: &Namespace, options: &[&str], script: &str) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.arg("check").args(options).args(["--", "sh", "-c", script]);
        Self::start(netns, command)
    }

    /// A command line that runs tcptrace in the namespace.
    pub(super) fn start(netns: &Namespace, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::with_its_own(netns, command)
    }

    /// The same, with the standard streams that the command line has been given.
    pub(super) fn with_its_own(netns: &Namespace, mut command: Command) -> Result<Self> {
        let mark = format!("{}-{}", process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        command.env(MARK, &mark);
        let start = move || command.spawn().context("cannot start the program");
        let mut child = netns.enter("starter", start)?;
        let stdout = child.stdout.take().map(lines_of).unwrap_or_else(|| channel().1);
        let stderr = child.stderr.take().map(lines_of).unwrap_or_else(|| channel().1);
        Ok(Self { child, stdout, stderr, mark })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of the command.
    pub(super) fn line(&mut self) -> Result<String> {
        self.stdout.recv_timeout(PATIENCE).with_context(|| {
            let said: Vec<String> = self.stderr.try_iter().collect();
            format!("the command says nothing; on stderr: {said:?}")
        })
    }

    /// Waits for the command to say this and nothing else.
    pub(super) fn hear(&mut self, expected: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(line == expected, "the command said `{line}`, not `{expected}`");
        Ok(())
    }

    /// Lets a `read` of the command return.
    pub(super) fn go_on(&mut self) -> Result<()> {
        self.say("go on")
    }

    /// A line for the command to read.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("its input is ours")?;
        writeln!(stdin, "{line}").context("the command reads no more")
    }

    /// Ends what the command can read.
    pub(super) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(sys::pid_of(self.pid())?, signal)?)
    }

    /// Waits for the end; nothing of the command may run after it.
    pub(super) fn end(mut self) -> Result<Ended> {
        let ended = self.end_of_tcptrace()?;
        let left = processes_of(&self.mark)?;
        ensure!(left.is_empty(), "left running: {left:?}; {ended:?}");
        Ok(ended)
    }

    /// Waits for the end, whatever may go on without it.
    pub(super) fn end_of_tcptrace(&mut self) -> Result<Ended> {
        let process = pidfd_open(sys::pid_of(self.pid())?, PidfdFlags::empty())?;
        if !sys::ended(&process, PATIENCE)? {
            let said: Vec<String> = self.stderr.try_iter().collect();
            bail!("tcptrace does not end; {:?}; {said:?}", processes_of(&self.mark)?);
        }
        let status = self.child.wait()?.code();
        Ok(Ended { status, stdout: rest(&self.stdout), stderr: rest(&self.stderr) })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
        for (pid, _) in processes_of(&self.mark).unwrap_or_default() {
            drop(sys::pid_of(pid).map(|pid| kill_process(pid, Signal::KILL)));
        }
    }
}

impl Ended {
    /// The lines of stdout that are JSON of this type.
    pub(super) fn of_type(&self, kind: &str) -> Result<Vec<Value>> {
        let lines = self.stdout.iter().filter(|line| line.starts_with('{'));
        let values = lines.map(|line| serde_json::from_str(line).context("JSON"));
        let values: Vec<Value> = values.collect::<Result<_>>()?;
        Ok(values.into_iter().filter(|value| value["type"] == kind).collect())
    }

    pub(super) fn findings(&self) -> Result<Vec<Value>> {
        self.of_type("stuck")
    }

    /// The only finding there is.
    pub(super) fn finding(&self) -> Result<Value> {
        let mut findings = self.findings()?;
        ensure!(findings.len() == 1, "{} findings: {self:#?}", findings.len());
        Ok(findings.remove(0))
    }

    pub(super) fn summary(&self) -> Result<Value> {
        let mut summaries = self.of_type("summary")?;
        ensure!(summaries.len() == 1, "{self:#?}");
        Ok(summaries.remove(0))
    }

    /// Checks the status, with all that was said as the story if it is another.
    pub(super) fn must_be(&self, status: i32) -> Result<&Self> {
        ensure!(self.status == Some(status), "not {status}: {self:#?}");
        Ok(self)
    }
}

/// An actor among the command's processes. It is not told what to do through its parent, which may
/// have ended, but through pipes of this process. It ends when this is dropped.
pub(super) struct Remote {
    name: String,
    commands: (PipeReader, PipeWriter),
    answers: Receiver<String>,
    their_answers: PipeWriter,
}

impl Remote {
    pub(super) fn new(name: &str) -> Result<Self> {
        let (answers, their_answers) = pipe()?;
        let answers = lines_of(answers);
        Ok(Self { name: name.to_owned(), commands: pipe()?, answers, their_answers })
    }

    /// The shell words that start it.
    pub(super) fn words(&self) -> String {
        let (name, us) = (&self.name, format!("/proc/{}", process::id()));
        let (commands, answers) = (self.commands.0.as_raw_fd(), self.their_answers.as_raw_fd());
        format!("env {}={name} {us}/exe <{us}/fd/{commands} >{us}/fd/{answers}", actor::NAME)
    }

    /// Sends one command and waits for it to be done.
    pub(super) fn tell(&mut self, command: &str) -> Result<Answer> {
        writeln!(self.commands.1, "{command}")?;
        let name = &self.name;
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.with_context(|| format!("{name} did not finish `{command}`"))?;
        Answer::parse(&answer)?.done()
    }
}

/// Waits for what nothing announces.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "waited in vain: {what}");
        poll(&mut [], Some(&NEXT_LOOK))?;
    }
    Ok(())
}

/// Pid and command line of all that runs with this mark. A zombie has none.
fn processes_of(mark: &str) -> Result<BTreeMap<u32, String>> {
    let mark = format!("{MARK}={mark}");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may end while we look.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.insert(pid, String::from_utf8_lossy(&words).replace('\0', " "));
        }
    }
    Ok(found)
}

/// State and parent of a process, if there is one.
pub(super) fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    lines
}

/// What still comes until the end, which is near: who writes there has ended.
fn rest(lines: &Receiver<String>) -> Vec<String> {
    let mut rest = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        rest.push(line);
    }
    rest
}
