//! The tracer under test: `tcptrace watch --json`, one process for the whole suite.
//!
//! A thread reads its output and sorts the lines by network namespace, without parsing them, so
//! that the tracer never waits for the suite. Nobody polls: whoever waits for lines is woken by
//! each.

use std::{
    cell::Cell,
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    guest,
    line::Line,
    mode::{self, Mode},
    namespace::{self, Namespace},
    sys,
};

/// How long a tracer may take to load its programs and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a line may take from the kernel to here, on a machine busy with the churn.
const LATENCY: Duration = Duration::from_secs(60);

/// The number of no namespace: that of a line that names none.
const UNKNOWN: u64 = 0;
/// Two tracers see an event one right after the other, unless an interrupt comes between. In this time a
/// socket does not leave the same state twice.
const SAME_EVENT_NS: u64 = 1_000_000;

static SHARED: OnceLock<Result<Tracer, String>> = OnceLock::new();
/// Below the ports that the kernel chooses, and none that a scenario listens on.
static NEXT_FENCE: AtomicU16 = AtomicU16::new(10_000);

/// The tracer that all scenarios share; the first one starts it.
pub(crate) fn shared() -> Result<&'static Tracer> {
    match SHARED.get_or_init(|| Tracer::start(&[]).map_err(|error| format!("{error:#}"))) {
        Ok(tracer) => Ok(tracer),
        Err(error) => bail!("no tracer: {error}"),
    }
}

/// Ends the shared tracer, if there is one, and checks how it ended.
pub(crate) fn stop_shared() -> Result<()> {
    match SHARED.get() {
        Some(Ok(tracer)) => tracer.stop(),
        _ => Ok(()),
    }
}

/// What the shared tracer said when it ended: its losses may explain what failed.
pub(crate) fn told_at_the_end() -> Result<()> {
    match SHARED.get() {
        Some(Ok(tracer)) => bail!("the tracer of the scenarios: {}", tracer.said()),
        _ => Ok(()),
    }
}

pub(crate) struct Tracer {
    child: Mutex<Child>,
    feed: Arc<Feed>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    stderr: Arc<Mutex<String>>,
    /// When it was there for certain.
    ready_ns: u64,
    /// It tells which connections are not ours, where this tracer names no namespace.
    witness: Option<Box<Tracer>>,
}

struct Feed {
    lines: Mutex<Lines>,
    more: Condvar,
}

/// What the tracer printed so far.
#[derive(Default)]
pub(crate) struct Lines {
    transitions: HashMap<u64, Vec<Arc<str>>>,
    /// Those that name no namespace: all those of the classic tracepoint.
    unknown: Vec<Line>,
    /// By socket: when and from which state something went in a namespace that is not ours.
    elsewhere: Option<HashMap<String, Vec<(u64, String)>>>,
    /// What a tracer that knows the namespaces says.
    witness: Option<Arc<Feed>>,
    others: Vec<String>,
    ended: bool,
}

impl Lines {
    /// How many transitions there are that may be of a namespace.
    pub(crate) fn count(&self, netns: u64) -> usize {
        self.of(netns).len() + self.unknown.len()
    }

    fn of(&self, netns: u64) -> &[Arc<str>] {
        self.transitions.get(&netns).map_or(&[], Vec::as_slice)
    }

    /// The transitions of some namespaces. Those that may be of any belong to them if their connections
    /// began after `since`: only who plays alone has such lines.
    pub(crate) fn transitions(&self, namespaces: &[u64], since: u64) -> Result<Vec<Line>> {
        // By its first line a connection is of these namespaces, or not.
        let mut are_these = HashMap::new();
        let mut unknown = Vec::new();
        for line in &self.unknown {
            let is_this = || line.boot_ns >= since && !self.is_of_others(line);
            if *are_these.entry(line.conn.as_str()).or_insert_with(is_this) {
                unknown.push(line);
            }
        }
        let lines = namespaces.iter().flat_map(|netns| self.of(*netns));
        let mut lines = lines.map(|line| Line::parse(line)).collect::<Result<Vec<_>>>()?;
        lines.extend(unknown.into_iter().cloned());
        lines.sort_by_key(|line| line.boot_ns);
        Ok(lines)
    }

    /// Whether a connection that begins with this line is proved to be another's.
    fn is_of_others(&self, line: &Line) -> bool {
        let Some(witness) = &self.witness else { return false };
        let witness = witness.lock();
        let seen = line.skaddr.as_ref().and_then(|socket| witness.elsewhere.as_ref()?.get(socket));
        seen.into_iter().flatten().any(|(boot_ns, from)| {
            boot_ns.abs_diff(line.boot_ns) < SAME_EVENT_NS && *from == line.from
        })
    }

    fn add(&mut self, line: String) {
        // Only the netns is looked for: a full parse would slow the tracer down in the churn.
        let netns = line
            .split_once("\"netns\":")
            .filter(|_| line.starts_with("{\"type\":\"transition\""))
            .and_then(|(_, rest)| rest.split([',', '}']).next())
            .map(|netns| netns.parse().unwrap_or(UNKNOWN));
        match (netns, &mut self.elsewhere) {
            (Some(UNKNOWN), _) => match Line::parse(&line) {
                Ok(line) => self.unknown.push(line),
                // The tests of how it ended tell that it is none.
                Err(_) => self.others.push(line),
            },
            (Some(netns), Some(elsewhere)) if !namespace::is_ours(netns) => {
                if let Ok(Line { skaddr: Some(socket), boot_ns, from, .. }) = Line::parse(&line) {
                    elsewhere.entry(socket).or_default().push((boot_ns, from));
                }
            }
            // The host's own connections may be many.
            (Some(netns), None) if !namespace::is_ours(netns) => {}
            (Some(netns), _) => self.transitions.entry(netns).or_default().push(line.into()),
            (None, _) => self.others.push(line),
        }
    }
}

impl Tracer {
    /// Starts a tracer and waits until it sees connections. One by the classic tracepoint, on a machine
    /// that others use too, has a witness.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let needs_witness = mode::of_run()? == Some(Mode::Classic) && !guest::is_guest();
        let witness = if needs_witness {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
            let lines = Lines { elsewhere: Some(HashMap::new()), ..Lines::default() };
            Some(Box::new(Self::of(&mut command, arguments, lines, None)?))
        } else {
            None
        };
        let feed = witness.as_ref().map(|witness| Arc::clone(&witness.feed));
        let lines = Lines { witness: feed, ..Lines::default() };
        Self::of(&mut mode::tcptrace()?, arguments, lines, witness)
    }

    fn of(
        command: &mut Command,
        arguments: &[&str],
        lines: Lines,
        witness: Option<Box<Self>>,
    ) -> Result<Self> {
        let mut child = command
            .args(["watch", "--json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start tcptrace")?;
        let feed = Arc::new(Feed { lines: Mutex::new(lines), more: Condvar::new() });
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let sink = Arc::clone(&feed);
        let lines = thread::spawn(move || {
            for line in BufReader::with_capacity(1 << 20, stdout).lines().map_while(Result::ok) {
                sink.lock().add(line);
                sink.more.notify_all();
            }
            sink.lock().ended = true;
            sink.more.notify_all();
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&stderr);
        let mut source = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
        let notes = thread::spawn(move || {
            let mut text = Vec::new();
            while source.read_until(b'\n', &mut text).is_ok_and(|read| read > 0) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&String::from_utf8_lossy(&text));
                text.clear();
            }
        });
        let mut tracer = Self {
            child: Mutex::new(child),
            feed,
            readers: Mutex::new(vec![lines, notes]),
            stderr,
            ready_ns: 0,
            witness,
        };
        let netns = Namespace::new()?;
        let deadline = Instant::now() + PATIENCE;
        while tracer.feed.lock().count(netns.inode()) == 0 {
            ensure!(
                Instant::now() < deadline,
                "the tracer shows nothing after {PATIENCE:?}: {}",
                tracer.said()
            );
            netns.refuse(NEXT_FENCE.fetch_add(1, Ordering::Relaxed))?;
            tracer.wait(Duration::from_millis(100), |lines| lines.count(netns.inode()) > 0)?;
        }
        tracer.ready_ns = sys::boot_ns();
        Ok(tracer)
    }

    /// A time at which it was tracing for certain.
    pub(crate) fn ready_ns(&self) -> u64 {
        self.ready_ns
    }

    /// Waits until `enough` holds; false if it did not in time.
    pub(crate) fn wait(&self, patience: Duration, enough: impl Fn(&Lines) -> bool) -> Result<bool> {
        let deadline = Instant::now() + patience;
        let mut lines = self.feed.lock();
        while !enough(&lines) {
            if lines.ended {
                drop(lines);
                bail!("the tracer ended: {}", self.said());
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

    /// Makes a refused connection in the namespace and waits for its lines: all that happened there
    /// before, on the same socket or by the same process, was printed before.
    pub(crate) fn fence(&self, netns: &Namespace) -> Result<()> {
        if let Some(witness) = &self.witness {
            witness.fence(netns)?;
        }
        let port = NEXT_FENCE.fetch_add(1, Ordering::Relaxed);
        let is_end =
            |line: &Line| line.is_fence() && line.remote.1 == Some(port) && line.to == "CLOSE";
        // No line is looked at twice: there may be very many.
        let (known, unknown) = {
            let lines = self.feed.lock();
            (Cell::new(lines.of(netns.inode()).len()), Cell::new(lines.unknown.len()))
        };
        netns.refuse(port)?;
        let came = self.wait(LATENCY, |lines| {
            let named = lines.of(netns.inode());
            let mut named = named[known.replace(named.len())..].iter();
            named.any(|line| Line::parse(line).is_ok_and(|line| is_end(&line)))
                || lines.unknown[unknown.replace(lines.unknown.len())..].iter().any(is_end)
        })?;
        ensure!(
            came,
            "the tracer did not show a refused connection in {LATENCY:?}: {}",
            self.said()
        );
        Ok(())
    }

    /// The transitions of some namespaces so far, as [`Lines::transitions`] tells them.
    pub(crate) fn lines(&self, namespaces: &[u64], since: u64) -> Result<Vec<Line>> {
        self.feed.lock().transitions(namespaces, since)
    }

    /// Ends it in order and checks that it says so, and that nothing was lost.
    pub(crate) fn stop(&self) -> Result<()> {
        if let Some(witness) = &self.witness {
            witness.stop().context("the witness")?;
        }
        let status = {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(
                sys::end(child.id(), Signal::INT, PATIENCE)?,
                "the tracer does not end on SIGINT: {}",
                self.said()
            );
            child.wait()?
        };
        for reader in self.readers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            ensure!(reader.join().is_ok(), "a reader of the tracer's output panicked");
        }
        ensure!(status.code() == Some(0), "the tracer ended with {status}: {}", self.said());
        let mut lost_to_recursion = 0;
        for other in &self.feed.lock().others {
            let value: Value =
                serde_json::from_str(other).with_context(|| format!("not JSON: {other}"))?;
            for (why, count) in value["lost"].as_object().into_iter().flatten() {
                let count = count.as_u64().unwrap_or_default();
                // The kernel does not run a program that an interrupt finds running on its CPU. What
                // this hid of a scenario has failed that; the rest may be of any socket of the host.
                if why == "recursion" {
                    lost_to_recursion += count;
                } else {
                    ensure!(count == 0, "the tracer lost events: {other}");
                }
            }
        }
        let said = self.said();
        ensure!(
            said.contains("nothing lost") == (lost_to_recursion == 0),
            "the summary must tell what was lost, {lost_to_recursion} to recursion: {said}"
        );
        Ok(())
    }

    /// What it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned()
    }
}

impl Drop for Tracer {
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
