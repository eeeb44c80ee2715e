//! The tasks of this repository: `cargo xtask <task>`.
//!
//! One file per task; this one only lists and dispatches them. They are written in Rust rather
//! than in shell so that they need nothing but the toolchain the project is built with.

#![expect(clippy::print_stderr, reason = "progress; stdout is left to the program `run` becomes")]

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

mod bench;
mod check;
mod deny;
mod dist;
mod fuzz;
mod miri;
mod project;
mod run;
mod runner;
mod setup;
mod soak;
mod test;
mod tidy;
mod unit;
mod vm;

/// A task: its name, what it does in one line, and the function that does it.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "setup",
        about: "install what the kernel programs are built with",
        run: setup::run,
    },
    Task {
        name: "run",
        about: "build tcptrace and run it as root: run -- watch --json",
        run: run::run,
    },
    Task {
        name: "test",
        about: "run all tests, those in the kernel too: test [-- FILTER]",
        run: test::run,
    },
    Task {
        name: "fuzz",
        about: "arbitrary bytes for the readers, a minute: fuzz [--seconds N] [TARGET…]",
        run: fuzz::run,
    },
    Task {
        name: "bench",
        about: "what tcptrace costs, as root on a quiet machine: bench [--quick]",
        run: bench::run,
    },
    Task {
        name: "soak",
        about: "tracers that run for long under changing loads: soak [--duration TIME]",
        run: soak::run,
    },
    Task {
        name: "vm",
        about: "the scenarios on other kernels, in QEMU: vm [KERNEL…] [-- FILTER]",
        run: vm::run,
    },
    Task {
        name: "systemd",
        about: "the unit of the recorder, started by systemd in QEMU",
        run: vm::systemd::run,
    },
    Task {
        name: "check",
        about: "formatting, lints, documentation, house rules, dependencies, Miri",
        run: check::run,
    },
    Task {
        name: "miri",
        about: "the tests of what reads the kernel's memory, by an interpreter",
        run: miri::run,
    },
    Task { name: "tidy", about: "the house rules alone: quick, builds nothing", run: tidy::run },
    Task {
        name: "dist",
        about: "build one static binary that runs on any distribution",
        run: dist::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next();
    let mut rest: Vec<String> = arguments.collect();
    // `cargo xtask run -- watch` and `cargo xtask run watch` mean the same.
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    match dispatch(name.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(name: Option<&str>, arguments: &[String]) -> Result<()> {
    let Some(name) = name else {
        list();
        return Ok(());
    };
    // Not a task for people: cargo starts the test binaries through it.
    if name == runner::NAME {
        return runner::run(arguments);
    }
    match TASKS.iter().find(|task| task.name == name) {
        Some(task) => (task.run)(arguments),
        None => {
            list();
            bail!("there is no task {name:?}; the list above names those there are");
        }
    }
}

fn list() {
    eprintln!("cargo xtask TASK");
    for task in TASKS {
        eprintln!("  {:<6} {}", task.name, task.about);
    }
}
