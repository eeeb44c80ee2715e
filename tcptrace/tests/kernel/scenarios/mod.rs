//! The scenarios, by theme, and how one is played.

mod closing;
mod failing;
mod helped;
mod kinds;
mod lasting;
mod sharing;

use std::{cell::Cell, fs, time::Duration};

use anyhow::{Context as _, Result, bail};
use libtest_mimic::Trial;
use tcptrace::kernel::btf::Btf;

use crate::{
    classic,
    compare::compare,
    expect::{self, Expected},
    fentry,
    line::Line,
    mode::{self, Mode},
    namespace::Namespace,
    needing_root,
    proc_net::Watch,
    script::{self, Step},
    stage::{Record, Stage},
    sys, tracer,
    verdict::{self, Verdict},
};

/// How long the lines may take after the last step, beside the dwells that the row names.
const PATIENCE: Duration = Duration::from_secs(15);

/// One scenario.
struct Row {
    name: &'static str,
    steps: &'static str,
    expected: &'static str,
    lacking: Option<Lacking>,
    needs: Option<Needed>,
}

/// What not every kernel is built with.
struct Needed {
    name: &'static str,
    is_there: fn() -> bool,
}

/// What a row expects of a kernel that lacks something, and how that is called among the limits.
struct Lacking {
    is_there: fn(&Btf) -> bool,
    limit: &'static str,
    expected: &'static str,
}

const fn row(name: &'static str, steps: &'static str, expected: &'static str) -> Row {
    Row { name, steps, expected, lacking: None, needs: None }
}

impl Row {
    const fn or(self, lacking: Lacking) -> Self {
        Self { lacking: Some(lacking), ..self }
    }

    const fn needing(self, name: &'static str, is_there: fn() -> bool) -> Self {
        Self { needs: Some(Needed { name, is_there }), ..self }
    }
}

/// All scenarios, the longest first.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    [lasting::ROWS, closing::ROWS, failing::ROWS, sharing::ROWS, kinds::ROWS]
        .into_iter()
        .chain(fentry::works().is_ok_and(|works| works).then_some(helped::ROWS))
        .flatten()
        .map(|row| {
            Trial::test(row.name, || {
                if let Some(needed) = &row.needs
                    && !(needed.is_there)()
                {
                    // There is nothing to be wrong about.
                    return Ok(verdict::note(row.name, &Verdict::Absent(needed.name))?);
                }
                let outcome = needing_root(|| play(row))();
                let verdict = match &outcome {
                    Ok(()) => Verdict::Right { limits: limits(row)? },
                    Err(failed) => Verdict::Failed(failed.message().unwrap_or_default()),
                };
                verdict::note(row.name, &verdict)?;
                outcome
            })
        })
}

/// What the way of tracing of this run cannot tell of a scenario.
fn limits(row: &Row) -> Result<Vec<&'static str>> {
    Ok(expected(row, &script::parse(row.steps)?)?.1)
}

/// The lines that this way of tracing must tell, and the names of what it cannot.
fn expected(row: &Row, steps: &[Step]) -> Result<(Vec<Expected>, Vec<&'static str>)> {
    if mode::of_run()? == Some(Mode::Classic) {
        return Ok(classic::expected(&expect::parse(row.expected)?, steps));
    }
    if fentry::works()? {
        // What the tracepoints of some kernels leave out is told by the functions.
        return Ok((fentry::expected(expect::parse(row.expected)?, steps), Vec::new()));
    }
    match &row.lacking {
        Some(lacking) if !(lacking.is_there)(&kernel_btf()?) => {
            Ok((expect::parse(lacking.expected)?, vec![lacking.limit]))
        }
        _ => Ok((expect::parse(row.expected)?, Vec::new())),
    }
}

/// What this kernel has, as it says itself: never its version.
fn kernel_btf() -> Result<Btf> {
    Btf::parse(fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?)
}

/// All rows as text: name, steps, and the lines expected of each kernel.
pub(crate) fn texts() -> impl Iterator<Item = (&'static str, &'static str, Vec<&'static str>)> {
    let rows =
        [lasting::ROWS, closing::ROWS, failing::ROWS, sharing::ROWS, kinds::ROWS, helped::ROWS];
    rows.into_iter().flatten().map(|row| {
        let lacking = row.lacking.as_ref().map(|lacking| lacking.expected);
        (row.name, row.steps, [row.expected].into_iter().chain(lacking).collect())
    })
}

fn play(row: &Row) -> Result<()> {
    let steps = script::parse(row.steps)?;
    script::check_waits(&steps)?;
    let (expected, _) = expected(row, &steps)?;
    // The tracer must be there before the first socket.
    let shared = tracer::shared()?;
    let begin = sys::boot_ns();
    let mut stage = Stage::new()?;
    // Lines of minisocks are compared with the kernel's own table.
    let has_minisocks = expected.iter().any(fentry::is_of_minisock);
    let table = (fentry::works()? && has_minisocks).then(|| Watch::start(&stage.here));
    for step in &steps {
        stage.play(step)?;
    }
    let tracer = stage.tracer.as_ref().unwrap_or(shared);
    let namespaces: Vec<u64> = [Some(&stage.here), stage.there.as_ref()]
        .into_iter()
        .flatten()
        .map(Namespace::inode)
        .collect();
    let verdict = |record: &Record| -> Result<Option<String>> {
        let lines = tracer.lines(&namespaces, begin)?;
        if mode::of_run()? == Some(Mode::Classic)
            && let Some(wrong) = classic::too_much(&lines.iter().collect::<Vec<_>>())
        {
            return Ok(Some(wrong));
        }
        Ok(compare(&expected, &lines, record, tracer.ready_ns()))
    };
    // What a softirq or a timer does comes after the steps: wait until all is there. Lines of a
    // failing scenario are waited for in vain, until it is certain that they do not come.
    let seen = Cell::new(usize::MAX);
    tracer.wait(expect::patience(&expected, PATIENCE), |lines| {
        let count = namespaces.iter().map(|netns| lines.count(*netns)).sum();
        seen.replace(count) != count
            && lines.transitions(&namespaces, begin).is_ok_and(|lines| {
                compare(&expected, &lines, &stage.record, tracer.ready_ns()).is_none()
            })
    })?;
    // And then nothing more may come.
    for netns in [Some(&stage.here), stage.there.as_ref()].into_iter().flatten() {
        tracer.fence(netns)?;
    }
    if let Some(wrong) = verdict(&stage.record)? {
        bail!("{wrong}");
    }
    let Some(table) = table else { return Ok(()) };
    let lines = tracer.lines(&namespaces, begin)?;
    let lines: Vec<&Line> = lines
        .iter()
        .filter(|line| {
            expected.iter().any(|wanted| {
                fentry::is_of_minisock(wanted)
                    && (&wanted.from, &wanted.to) == (&line.from, &line.to)
            })
        })
        .collect();
    match table.compare(&lines)? {
        None => Ok(()),
        Some(wrong) => bail!("{wrong}"),
    }
}
