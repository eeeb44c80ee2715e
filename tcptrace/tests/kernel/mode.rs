//! Which programs the tracer is made to use: what the kernel has, or the fallback.

use std::{env, fs::OpenOptions, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::verdict;

/// Names the mode of a run of the suite; unset, the tracer chooses.
pub(crate) const VARIABLE: &str = "TCPTRACE_TEST_MODE";
/// In its place: one run after the other, in each mode.
pub(crate) const EACH: &str = "each";

/// A way of tracing, of which the scenarios are played in each on other kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// BTF tracepoint: every line is exact. Programs on functions are switched off.
    Btf,
    /// The same, and programs on functions of the kernel: so are the ends of minisocks.
    Fentry,
    /// The classic tracepoint, by hiding the kernel's BTF: what it cannot know must be null.
    Classic,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Btf, Self::Fentry, Self::Classic];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Btf => "btf",
            Self::Fentry => "fentry",
            Self::Classic => "classic",
        }
    }

    /// Makes a tracer use it.
    pub(crate) fn prepare(self, tracer: &mut Command) {
        match self {
            Self::Btf => _ = tracer.env("TCPTRACE_FENTRY", "off"),
            Self::Fentry => {}
            Self::Classic => _ = tracer.env("TCPTRACE_BTF", "/nowhere/vmlinux"),
        }
    }
}

/// The mode that the environment names, if it does.
pub(crate) fn of_run() -> Result<Option<Mode>> {
    let Some(name) = env::var_os(VARIABLE) else { return Ok(None) };
    match Mode::ALL.into_iter().find(|mode| name == mode.name()) {
        Some(mode) => Ok(Some(mode)),
        None => {
            let names = Mode::ALL.map(Mode::name).join(", ");
            bail!("{VARIABLE} is {}; write one of {names}, or {EACH}", name.display())
        }
    }
}

/// Whether the environment asks for a run in each mode.
pub(crate) fn is_each() -> bool {
    env::var_os(VARIABLE).is_some_and(|name| name == EACH)
}

/// tcptrace as this run of the suite tests it.
pub(crate) fn tcptrace() -> Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    if let Some(mode) = of_run()? {
        mode.prepare(&mut command);
    }
    Ok(command)
}

/// Runs the suite once in each mode, and notes the ends in the file of the verdicts. `end` starts a run
/// and returns its exit status.
pub(crate) fn play_each(
    arguments: &[String],
    verdicts: &Path,
    end: impl Fn(&mut Command) -> Result<i32>,
) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(verdicts);
    let file = file.with_context(|| format!("cannot open {}", verdicts.display()))?;
    for mode in Mode::ALL {
        let mut suite = Command::new(env::current_exe().context("cannot find this program")?);
        suite.args(arguments).env(VARIABLE, mode.name()).env(verdict::VARIABLE, verdicts);
        verdict::note_end(&file, Some(mode), end(&mut suite)?)?;
    }
    verdict::note_end(&file, None, 0)
}
