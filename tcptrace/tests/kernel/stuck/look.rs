//! `tcptrace stuck --once` under test. Loading its programs costs more than looking, so rows that
//! want a look at the same time share one.

use std::{
    process::Output,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::LIMIT_OPTION;
use crate::mode;

/// What one look found.
pub(super) struct Look {
    lines: Vec<Value>,
}

#[derive(Default)]
struct Looks {
    /// How many have begun.
    begun: u64,
    running: bool,
    last: Option<(u64, Result<Arc<Look>, String>)>,
}

static LOOKS: Mutex<Looks> = Mutex::new(Looks { begun: 0, running: false, last: None });
static DONE: Condvar = Condvar::new();

/// What a look finds that begins after this call.
pub(super) fn look() -> Result<Arc<Look>> {
    let mut looks = lock();
    let wanted = looks.begun + 1;
    loop {
        match &looks.last {
            Some((number, Ok(look))) if *number >= wanted => return Ok(Arc::clone(look)),
            Some((number, Err(error))) if *number >= wanted => bail!("{error}"),
            _ => {}
        }
        if looks.running {
            looks = DONE.wait(looks).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        looks.running = true;
        looks.begun += 1;
        let number = looks.begun;
        drop(looks);
        let result = Look::take().map(Arc::new).map_err(|error| format!("{error:#}"));
        looks = lock();
        looks.running = false;
        looks.last = Some((number, result));
        DONE.notify_all();
    }
}

fn lock() -> MutexGuard<'static, Looks> {
    LOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `tcptrace stuck --once` with these arguments.
pub(super) fn once(arguments: &[&str]) -> Result<Output> {
    mode::tcptrace()?
        .args(["stuck", "--once"])
        .args(arguments)
        .output()
        .context("cannot start tcptrace")
}

impl Look {
    fn take() -> Result<Self> {
        let output = once(&[&["--json"][..], &LIMIT_OPTION].concat())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "found, so 1: {}: {stderr}", output.status);
        Ok(Self { lines: findings(&output.stdout)? })
    }

    /// The findings in some namespaces.
    pub(super) fn of(&self, namespaces: &[u64]) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| {
            line["netns"].as_u64().is_some_and(|netns| namespaces.contains(&netns))
        })
    }
}

/// The findings among lines of JSON.
pub(super) fn findings(text: &[u8]) -> Result<Vec<Value>> {
    let text = str::from_utf8(text).context("JSON is UTF-8")?;
    let parse = |line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"));
    let mut lines = text.lines().map(parse).collect::<Result<Vec<Value>>>()?;
    lines.retain(|line| line["type"] == "stuck");
    Ok(lines)
}
