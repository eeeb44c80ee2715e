//! The live program under test: one `tcptrace stuck --json` for all rows.
//!
//! A thread reads its output and sorts it by network namespace; whoever waits for lines is woken by
//! each.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, setpriority_process};
use serde_json::Value;

use super::LIMIT_OPTION;
use crate::{mode, namespace, script, stage::Stage, sys};

/// How long it may take to load its programs and to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Above all that the suite does: whether the program gets the processor is not what is tested.
const PRIORITY: i32 = -15;

static SHARED: Mutex<Option<Arc<Live>>> = Mutex::new(None);

/// The program that all rows share; the first one starts it.
pub(super) fn shared() -> Result<Arc<Live>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(live) = &*shared {
        return Ok(Arc::clone(live));
    }
    let live = Arc::new(Live::start()?);
    *shared = Some(Arc::clone(&live));
    Ok(live)
}

/// Ends the shared program, if there is one, and checks how it ended.
pub(crate) fn stop_shared() -> Result<()> {
    let live = SHARED.lock().unwrap_or_else(PoisonError::into_inner).take();
    live.map_or(Ok(()), |live| live.stop())
}

pub(super) struct Live {
    child: Mutex<Child>,
    feed: Arc<Feed>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    stderr: Arc<Mutex<String>>,
}

#[derive(Default)]
struct Feed {
    lines: Mutex<Lines>,
    more: Condvar,
}

/// What it has told so far.
#[derive(Default)]
pub(super) struct Lines {
    by_netns: HashMap<u64, Vec<Arc<Value>>>,
    ended: bool,
}

impl Lines {
    /// The lines about some namespaces.
    pub(super) fn of(&self, namespaces: &[u64]) -> Vec<Arc<Value>> {
        let lines = namespaces.iter().filter_map(|netns| self.by_netns.get(netns)).flatten();
        lines.map(Arc::clone).collect()
    }

    fn add(&mut self, line: &str) {
        // A line that is no JSON is missed by whoever waits for it.
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        // The host may have stuck connections of its own.
        if let Some(netns) = value["netns"].as_u64().filter(|netns| namespace::is_ours(*netns)) {
            self.by_netns.entry(netns).or_default().push(Arc::new(value));
        }
    }
}

impl Live {
    /// Starts it and waits until it has found something, for before that it may not see events yet.
    fn start() -> Result<Self> {
        let mut stage = Stage::new()?;
        for step in script::parse("srv listen L :80\n cli connect C :80\n cli close C")? {
            stage.play(&step)?;
        }
        let mut child = mode::tcptrace()?
            .args(["stuck", "--json"])
            .args(LIMIT_OPTION)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start tcptrace")?;
        setpriority_process(Some(Pid::from_child(&child)), PRIORITY)?;
        let feed = Arc::new(Feed::default());
        let sink = Arc::clone(&feed);
        let stdout = BufReader::new(child.stdout.take().context("stdout is a pipe")?);
        let lines = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sink.lock().add(&line);
                sink.more.notify_all();
            }
            sink.lock().ended = true;
            sink.more.notify_all();
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&stderr);
        let mut source = child.stderr.take().context("stderr is a pipe")?;
        let notes = thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read counts, also if the rest could not.
            _ = source.read_to_end(&mut text);
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            sink.push_str(&String::from_utf8_lossy(&text));
        });
        let readers = Mutex::new(vec![lines, notes]);
        let live = Self { child: Mutex::new(child), feed, readers, stderr };
        let netns = [stage.here.inode()];
        let ready = live.wait(PATIENCE, |lines| !lines.of(&netns).is_empty())?;
        ensure!(ready, "tcptrace stuck finds nothing in {PATIENCE:?}");
        Ok(live)
    }

    /// Waits until `enough` holds; false if it did not in time.
    pub(super) fn wait(&self, patience: Duration, enough: impl Fn(&Lines) -> bool) -> Result<bool> {
        let deadline = Instant::now() + patience;
        let mut lines = self.feed.lock();
        while !enough(&lines) {
            if lines.ended {
                drop(lines);
                bail!("tcptrace stuck has ended: {}", self.said());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            lines =
                self.feed.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(true)
    }

    /// The lines about some namespaces so far.
    pub(super) fn lines(&self, namespaces: &[u64]) -> Vec<Arc<Value>> {
        self.feed.lock().of(namespaces)
    }

    /// Ends it in order: having found something is no reason for another status then.
    fn stop(&self) -> Result<()> {
        let status = {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(sys::end(child.id(), Signal::INT, PATIENCE)?, "it does not end on SIGINT");
            child.wait()?
        };
        for reader in self.readers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            ensure!(reader.join().is_ok(), "a reader of its output panicked");
        }
        let said = self.said();
        ensure!(status.code() == Some(0), "tcptrace stuck ended with {status}: {said}");
        ensure!(
            said.contains("close_wait_not_accepted") && said.contains("nothing lost"),
            "the summary must tell what was found: {said}"
        );
        Ok(())
    }

    fn said(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already.
        _ = child.kill();
        _ = child.wait();
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
