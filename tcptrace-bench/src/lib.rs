//! What tcptrace costs: the measurements behind `cargo xtask bench`.
//!
//! Everything is measured side by side in one run: all groups of rows in turn, and that several
//! times, so that whatever else the machine does falls on all of them alike. Nothing here passes or
//! fails by time; the budget stands beside the figure.

#![expect(clippy::print_stderr, reason = "progress; stdout is for the table alone")]

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use rustix::process::geteuid;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    machine::Machine,
    options::{Bench, Command, Effort, Options},
    rows::Group,
    sheet::Sheet,
};

mod attached;
mod churn;
mod floors;
pub mod generate;
mod hold;
mod load;
mod machine;
mod namespace;
mod options;
mod peer;
mod process_cost;
pub mod records;
mod rows;
mod sheet;
mod table;
mod tracer;
mod track;
pub mod traffic;

/// Measures what the command line asks for, and prints it.
#[must_use]
pub fn run() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Load(load)) => churn::run(load),
        Some(Command::Hold(hold)) => hold::run(hold),
        Some(Command::Track(track)) => track::run(track),
        None => bench(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    ensure!(geteuid().is_root(), "kernel programs are loaded by root only: run it as root");
    let groups = rows::chosen(options)?;
    let own = std::env::current_exe().context("cannot find the path of this program")?;
    let folder = Folder::new(&own)?;
    remove_when_interrupted(folder.0.clone())?;
    let bench = Bench {
        tcptrace: own.with_file_name("tcptrace"),
        own,
        folder: folder.0.clone(),
        effort: options.effort(),
    };
    let machine = Machine::look(&bench.tcptrace, options.commit.as_deref())?;
    if let Some(warning) = machine.warning() {
        eprintln!("bench: {warning}");
    }
    let (sheet, rounds) = measure(&bench, &groups)?;
    let effort = Effort { rounds, ..options.effort() };
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&sheet.json(&machine, &effort))?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    io::stdout().write_all(table::text(&machine, &effort, &sheet).as_bytes())?;
    Ok(())
}

/// Measures everything in rounds; returns how many there were.
fn measure(bench: &Bench, groups: &[&Group]) -> Result<(Sheet, u32)> {
    let mut sheet = Sheet::default();
    let rounds = bench.effort.rounds;
    let started = Instant::now();
    for round in 1..=rounds {
        let (elapsed, done) = (started.elapsed(), round - 1);
        if done > 0 && elapsed + elapsed / done > bench.effort.longest {
            eprintln!("bench: {done} rounds in {elapsed:.0?}: there is no time for another");
            return Ok((sheet, done));
        }
        for group in groups {
            eprintln!("bench: round {round} of {rounds}: {}", group.name);
            sheet.begin(group);
            (group.round)(bench, &mut sheet)
                .with_context(|| format!("cannot measure {}", group.name))?;
        }
    }
    Ok((sheet, rounds))
}

/// Where the recordings of a run are, which go with it.
struct Folder(PathBuf);

impl Folder {
    fn new(own: &Path) -> Result<Self> {
        let target = own.ancestors().nth(2).context("this program lies in a target directory")?;
        let folder = target.join(format!("bench-{}", process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Programs that were started, and with them their namespaces, end with this one, whatever ends it;
/// files do not.
fn remove_when_interrupted(folder: PathBuf) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let number = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => libc::SIGINT,
                _ = terminate.recv() => libc::SIGTERM,
            }
        });
        _ = fs::remove_dir_all(folder);
        process::exit(128 + number);
    })?;
    Ok(())
}
