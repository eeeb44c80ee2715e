//! The scenarios, by theme, and how one is played.

mod closing;
mod failing;
mod kinds;
mod lasting;
mod sharing;

use std::{cell::Cell, time::Duration};

use anyhow::{Result, bail};
use libtest_mimic::Trial;

use crate::{
    compare::compare,
    expect,
    namespace::Namespace,
    needing_root, script,
    stage::{Record, Stage},
    tracer,
};

/// How long the lines may take after the last step, beside the dwells that the row names.
const PATIENCE: Duration = Duration::from_secs(15);

/// One scenario.
struct Row {
    name: &'static str,
    steps: &'static str,
    expected: &'static str,
}

const fn row(name: &'static str, steps: &'static str, expected: &'static str) -> Row {
    Row { name, steps, expected }
}

/// All scenarios, the longest first.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    [lasting::ROWS, closing::ROWS, failing::ROWS, sharing::ROWS, kinds::ROWS]
        .into_iter()
        .flatten()
        .map(|row| Trial::test(row.name, needing_root(|| play(row))))
}

/// All rows as text: name, steps, expected lines.
pub(crate) fn texts() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    [lasting::ROWS, closing::ROWS, failing::ROWS, sharing::ROWS, kinds::ROWS]
        .into_iter()
        .flatten()
        .map(|row| (row.name, row.steps, row.expected))
}

fn play(row: &Row) -> Result<()> {
    let steps = script::parse(row.steps)?;
    script::check_waits(&steps)?;
    let expected = expect::parse(row.expected)?;
    // The tracer must be there before the first socket.
    let shared = tracer::shared()?;
    let mut stage = Stage::new()?;
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
        let mut lines = Vec::new();
        for netns in &namespaces {
            lines.extend(tracer.lines(*netns)?);
        }
        Ok(compare(&expected, &lines, record, tracer.ready_ns()))
    };
    // What a softirq or a timer does comes after the steps: wait until all is there. Lines of a
    // failing scenario are waited for in vain, until it is certain that they do not come.
    let seen = Cell::new(usize::MAX);
    tracer.wait(expect::patience(&expected, PATIENCE), |lines| {
        let count = namespaces.iter().map(|netns| lines.count(*netns)).sum();
        seen.replace(count) != count
            && lines.transitions(&namespaces).is_ok_and(|lines| {
                compare(&expected, &lines, &stage.record, tracer.ready_ns()).is_none()
            })
    })?;
    // And then nothing more may come.
    for netns in [Some(&stage.here), stage.there.as_ref()].into_iter().flatten() {
        tracer.fence(netns)?;
    }
    match verdict(&stage.record)? {
        None => Ok(()),
        Some(wrong) => bail!("{wrong}"),
    }
}
