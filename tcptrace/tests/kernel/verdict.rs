//! What became of each scenario, for whoever plays them on other kernels: a line each, appended to the
//! file that [`VARIABLE`] names.
//!
//! `btf<TAB>exact<TAB>close: the client first<TAB>`: the mode, the verdict, the scenario, and what is
//! to be said about it. The last line of a run has the verdict `end`, no scenario, and the exit status.

use std::{env, fs::OpenOptions, io::Write};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;

use crate::{
    mode::{self, Mode},
    needing_root,
};

pub(crate) const VARIABLE: &str = "TCPTRACE_TEST_VERDICTS";

/// How a scenario went.
pub(crate) enum Verdict<'a> {
    /// All that was told is right; the limits are what this way of tracing cannot tell.
    Right {
        limits: Vec<&'static str>,
    },
    Failed(&'a str),
    /// The kernel is built without what it is about.
    Absent(&'static str),
}

/// Notes how a scenario went.
pub(crate) fn note(scenario: &str, verdict: &Verdict<'_>) -> Result<()> {
    let (Some(path), Some(mode)) = (env::var_os(VARIABLE), mode::of_run()?) else {
        return Ok(());
    };
    let (word, detail) = match verdict {
        Verdict::Failed(why) => ("failed", (*why).to_owned()),
        Verdict::Absent(what) => ("absent", (*what).to_owned()),
        Verdict::Right { limits } if limits.is_empty() => ("exact", String::new()),
        Verdict::Right { limits } => ("limited", limits.join(", ")),
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    write_line(&mut file, mode.name(), word, scenario, &detail)
}

/// Notes the end of a run in one mode, or in each of them.
pub(crate) fn note_end(mut file: impl Write, mode: Option<Mode>, status: i32) -> Result<()> {
    let mode = mode.map_or(mode::EACH, Mode::name);
    write_line(&mut file, mode, "end", "", &status.to_string())
}

/// A trial that runs `test` and notes how it went. `limits` are what this way of tracing cannot tell of
/// it.
pub(crate) fn noted(
    name: impl Into<String>,
    limits: Vec<&'static str>,
    test: impl Fn() -> Result<()> + Send + 'static,
) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || {
        let outcome = needing_root(test)();
        let verdict = match &outcome {
            Ok(()) => Verdict::Right { limits },
            Err(failed) => Verdict::Failed(failed.message().unwrap_or_default()),
        };
        note(&name, &verdict)?;
        outcome
    })
}

/// A trial of something that this kernel does not have.
pub(crate) fn absent(name: impl Into<String>, what: &'static str) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || Ok(note(&name, &Verdict::Absent(what))?))
}

/// One call of `write`, because others write at the same time.
fn write_line(
    file: &mut impl Write,
    mode: &str,
    verdict: &str,
    scenario: &str,
    detail: &str,
) -> Result<()> {
    let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{mode}\t{verdict}\t{scenario}\t{detail}\n");
    file.write_all(line.as_bytes()).context("cannot write a verdict")
}
