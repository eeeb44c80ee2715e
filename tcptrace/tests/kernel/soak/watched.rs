//! The tracer that runs from the beginning to the end of a soak, and what it tells.

use std::{
    collections::{BTreeSet, HashSet},
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::recorder::{PROGRAM, Running};

/// `tcptrace watch --json` of the whole host.
pub(super) struct Watched {
    running: Running,
    reader: JoinHandle<()>,
    told: Arc<Mutex<Told>>,
}

/// What it has told of the namespaces that are of interest.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) transitions: u64,
    /// Connections of which the beginning was told, and no end.
    pub(super) open: HashSet<String>,
    summary: Option<String>,
}

impl Watched {
    /// Starts it.
    pub(super) fn start(namespaces: BTreeSet<String>) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.args(["watch", "--json", "-q"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running::start(&mut command)?;
        let stdout = running.0.stdout.take().context("stdout is a pipe")?;
        let told = Arc::<Mutex<Told>>::default();
        let sink = Arc::clone(&told);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).add(line, &namespaces);
            }
        });
        Ok(Self { running, reader, told })
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.0.id()
    }

    pub(super) fn transitions(&self) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).transitions
    }

    /// Ends it in order; returns what it told, and how many events it counted as lost.
    pub(super) fn end(mut self) -> Result<(Told, u64)> {
        let status = self.running.end(Signal::INT)?;
        ensure!(status == Some(0), "watch ended with {status:?}");
        self.reader.join().map_err(|_| anyhow!("the reader of watch panicked"))?;
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let summary = told.summary.as_deref().context("watch told no summary")?;
        let summary: Value = serde_json::from_str(summary)?;
        let lost = summary["lost"].as_object().context("a summary tells what was lost")?;
        let lost = lost.values().filter_map(Value::as_u64).sum();
        Ok((told, lost))
    }
}

impl Told {
    fn add(&mut self, line: String, namespaces: &BTreeSet<String>) {
        if line.starts_with("{\"type\":\"summary\"") {
            self.summary = Some(line);
            return;
        }
        let field = |name: &str| line.split_once(name)?.1.split(['"', ',', '}']).next();
        let is_ours = field("\"netns\":").is_some_and(|netns| namespaces.contains(netns));
        if !is_ours || !line.starts_with("{\"type\":\"transition\"") {
            return;
        }
        self.transitions += 1;
        let (from, to) = (field("\"from\":\""), field("\"to\":\""));
        let Some(conn) = field("\"conn\":\"") else { return };
        if matches!(to, Some("CLOSE" | "TIME_WAIT")) {
            self.open.remove(conn);
        } else if matches!(from, Some("CLOSE" | "LISTEN")) {
            self.open.insert(conn.to_owned());
        }
    }
}
