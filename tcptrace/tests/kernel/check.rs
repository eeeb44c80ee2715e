//! `tcptrace check`: what a command and its children leave behind is told, and nothing else; its
//! signals, its status, and what becomes of its processes.

mod leaks;
mod leftovers;
mod owners;
mod run;
mod signals;
mod status;

use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::Result;
use libtest_mimic::Trial;

use crate::needing_root;

type Test = fn() -> Result<()>;

/// Each trial loads programs of its own, a few of them a dozen times. All at once would leave no time
/// to the tracer of the scenarios.
const AT_ONCE: usize = 3;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

pub(crate) fn trials() -> Vec<Trial> {
    let tests = [owners::TESTS, leaks::TESTS, status::TESTS, signals::TESTS, leftovers::TESTS];
    let trial = |(name, test): &(&str, Test)| {
        let test = *test;
        Trial::test(format!("check: {name}"), needing_root(move || with_few_others(test)))
    };
    tests.into_iter().flatten().map(trial).collect()
}

fn with_few_others(test: Test) -> Result<()> {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let free = ENDED.wait_while(running, |running| *running >= AT_ONCE);
    *free.unwrap_or_else(PoisonError::into_inner) += 1;
    let _place = Place;
    test()
}

/// Of one trial that runs.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
