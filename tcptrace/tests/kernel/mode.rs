//! Which programs the tracer is made to use: what the kernel has, or the fallback.

use std::{env, process::Command};

use anyhow::{Result, bail};

/// Names the mode of a run of the suite; unset, the tracer chooses.
pub(crate) const VARIABLE: &str = "TCPTRACE_TEST_MODE";

/// A way of tracing, of which the scenarios are played in each on other kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// BTF tracepoint: every line is exact.
    Btf,
    /// The classic tracepoint, by hiding the kernel's BTF: what it cannot know must be null.
    Classic,
}

impl Mode {
    pub(crate) const ALL: [Self; 2] = [Self::Btf, Self::Classic];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Btf => "btf",
            Self::Classic => "classic",
        }
    }

    /// Makes a tracer use it.
    pub(crate) fn prepare(self, tracer: &mut Command) {
        if self == Self::Classic {
            tracer.env("TCPTRACE_BTF", "/nowhere/vmlinux");
        }
    }
}

/// The mode that the environment names, if it does.
pub(crate) fn of_run() -> Result<Option<Mode>> {
    let Some(name) = env::var_os(VARIABLE) else { return Ok(None) };
    match Mode::ALL.into_iter().find(|mode| name == mode.name()) {
        Some(mode) => Ok(Some(mode)),
        None => bail!("{VARIABLE} is {}; write btf or classic", name.display()),
    }
}
