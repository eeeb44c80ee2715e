//! Starting tcptrace, and what it says and costs.

use std::{
    fs::File,
    io::{self, Read},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use crate::{
    attached,
    load::ends_with_this_program,
    options::{Bench, PATIENCE},
    process_cost::{self, Cost, Cpu},
};

/// From when all is attached until it has looked at what there was before.
const SETTLE: Duration = Duration::from_millis(200);
/// From when the first program of a peer is loaded until it traces.
const SETTLE_PEER: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

/// A command of tcptrace that runs.
pub(crate) struct Tracer {
    child: Option<Child>,
    pid: Pid,
    said: Option<JoinHandle<io::Result<String>>>,
    /// What starting cost.
    start: Cpu,
}

/// What became of it.
pub(crate) struct Traced {
    pub(crate) cost: Cost,
    /// Without its start.
    pub(crate) cpu: Cpu,
    /// Transitions that it tells of at its end, if it does.
    pub(crate) transitions: Option<u64>,
    /// Records that were lost.
    pub(crate) lost: u64,
}

impl Tracer {
    /// Starts it, and does not wait.
    pub(crate) fn spawn(bench: &Bench, arguments: &[&str], stdout: Stdio) -> Result<Self> {
        let mut command = Command::new(&bench.tcptrace);
        command.args(arguments).stdout(stdout);
        Self::spawn_command(command)
    }

    /// Starts another tracer.
    pub(crate) fn spawn_command(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        ends_with_this_program(&mut command);
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut stderr = child.stderr.take().context("its stderr is a pipe")?;
        let said = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let pid = Pid::from_child(&child);
        let start = Cpu { user: 0.0, system: 0.0 };
        Ok(Self { child: Some(child), pid, said: Some(said), start })
    }

    /// Starts it with its output thrown away, and waits until it traces.
    pub(crate) fn start(bench: &Bench, arguments: &[&str]) -> Result<Self> {
        let null = File::options().write(true).open("/dev/null")?;
        let mut tracer = Self::spawn(bench, arguments, null.into())?;
        tracer.settle()?;
        Ok(tracer)
    }

    /// Starts it with its output in a file, and waits until it traces.
    pub(crate) fn start_to_file(bench: &Bench, arguments: &[&str]) -> Result<Self> {
        let file = File::create(bench.file("lines.txt"))?;
        let mut tracer = Self::spawn(bench, arguments, file.into())?;
        tracer.settle()?;
        Ok(tracer)
    }

    /// Waits until it traces; what it costs is counted from then on.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.settle_when(attached::waits_for_a_ring_buffer, SETTLE)
    }

    /// The same for a tracer of others, of which only its programs can be seen.
    pub(crate) fn settle_peer(&mut self) -> Result<()> {
        self.settle_when(attached::has_programs, SETTLE_PEER)
    }

    fn settle_when(&mut self, has_begun: fn(Pid) -> bool, rest: Duration) -> Result<()> {
        let begun = Instant::now();
        while !has_begun(self.pid) {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose())
            {
                // Waited for already, so that it must not be again.
                self.child = None;
                bail!("it ended before it began ({}): {}", status?, self.said()?.trim());
            }
            ensure!(begun.elapsed() < PATIENCE, "it does not begin to trace");
            thread::sleep(LOOK);
        }
        thread::sleep(rest);
        self.start = Cpu::so_far(self.pid)?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Its output, if that is a pipe.
    pub(crate) fn output(&mut self) -> Result<impl Read + use<>> {
        let child = self.child.as_mut().context("it runs")?;
        child.stdout.take().context("its output was to be a pipe")
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(self) -> Result<Traced> {
        kill_process(self.pid, Signal::INT)?;
        self.finish(PATIENCE)
    }

    /// Waits for its end, which must come in this time.
    pub(crate) fn finish(mut self, patience: Duration) -> Result<Traced> {
        let process = pidfd_open(self.pid, PidfdFlags::empty())?;
        let patience = Timespec::try_from(patience)?;
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience))?;
        ensure!(ended > 0, "it does not end");
        self.child = None;
        let cost = process_cost::wait(self.pid)?;
        let said = self.said()?;
        // 1 is no failure: `stuck` has found something on this host.
        let ran = matches!(cost.status.code(), Some(0 | 1));
        ensure!(ran, "it failed ({}): {}", cost.status, said.trim());
        Ok(Traced {
            cost,
            cpu: cost.cpu - self.start,
            transitions: counted(&said, "transition"),
            lost: counted(&said, "record").unwrap_or_else(|| lost_by_a_peer(&said)),
        })
    }

    fn said(&mut self) -> Result<String> {
        let Some(Ok(said)) = self.said.take().map(JoinHandle::join) else {
            bail!("the thread that reads what tcptrace says died");
        };
        Ok(said?)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// The number before `what` or its plural in the last line that counts transitions or losses.
fn counted(said: &str, what: &str) -> Option<u64> {
    let words: Vec<&str> = said.split_whitespace().collect();
    let is_counted = |word: &str| {
        let word = word.trim_end_matches(',');
        word == what || word.strip_suffix('s') == Some(what)
    };
    words.windows(2).rev().filter(|pair| is_counted(pair[1])).find_map(|pair| pair[0].parse().ok())
}

/// What bpftrace and libbpf-tools say each time: `Lost 12 events`.
fn lost_by_a_peer(said: &str) -> u64 {
    let words: Vec<&str> = said.split_whitespace().collect();
    let counts = words.windows(3).filter(|three| {
        three[0].eq_ignore_ascii_case("lost") && three[2].trim_end_matches(',') == "events"
    });
    counts.filter_map(|three| three[1].parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_summary_counts_is_read() {
        let some = "tcptrace: recorded 22 events in 2.1KB, 20 transitions, 3 records lost\n\
            tcptrace: 3 lost because the ring buffer was full\n";
        assert_eq!((counted(some, "transition"), counted(some, "record")), (Some(20), Some(3)));
        let one = "tcptrace: 1 transition, 0 finished connections, nothing lost\n";
        assert_eq!((counted(one, "transition"), counted(one, "record")), (Some(1), None));
        assert_eq!(counted("tcptrace: nothing is stuck, nothing lost\n", "transition"), None);
    }

    #[test]
    fn what_peers_lost_is_added_up() {
        assert_eq!(lost_by_a_peer("Attaching 2 probes...\nLost 12 events\nLost 3 events\n"), 15);
        assert_eq!(lost_by_a_peer("lost 7 events on CPU #1!\n"), 7);
        assert_eq!(lost_by_a_peer("tcptrace: nothing lost\n"), 0);
    }
}
