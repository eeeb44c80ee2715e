//! Whether what a process holds grows.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, ensure};

use crate::faults::namespaces::{anonymous_kb, descriptors};

/// By so much the median of the last quarter may exceed that of the second. What the allocator keeps
/// goes up and down by this; a tracer that left 20 bytes of each connection would exceed it in ten minutes.
const MARGIN_KB: u64 = 2048;
/// Samples of a quarter, at least: fewer say nothing.
const LEAST: usize = 3;

/// What a process held at the same point of each round, when as much was going on as in all others.
#[derive(Debug, Default)]
pub(super) struct Samples {
    memory_kb: Vec<u64>,
    descriptors: Vec<BTreeMap<String, usize>>,
}

impl Samples {
    /// Looks at a process.
    pub(super) fn take(&mut self, pid: u32) -> Result<()> {
        self.memory_kb.push(anonymous_kb(pid)?);
        self.descriptors.push(descriptors(pid)?);
        Ok(())
    }

    /// Says what it held, and fails if that grew. The first quarter is left out: tables grow to their
    /// size, and in the first minute there are ever more connections in TIME_WAIT.
    pub(super) fn judge(&self, name: &str, report: &mut String) -> Result<()> {
        let quarter = self.memory_kb.len() / 4;
        ensure!(quarter >= LEAST, "too few rounds to tell whether {name} grows: soak for longer");
        let (second, last) =
            (quarter..2 * quarter, self.memory_kb.len() - quarter..self.memory_kb.len());
        let before = median(&self.memory_kb[second.clone()]).context("samples")?;
        let after = median(&self.memory_kb[last.clone()]).context("samples")?;
        let most = self.memory_kb.iter().max().copied().unwrap_or_default();
        let (held, holds) = (&self.descriptors[second.start], &self.descriptors[last.end - 1]);
        let count = |held: &BTreeMap<String, usize>| held.values().sum::<usize>();
        _ = writeln!(
            report,
            "{name}: memory {before} kB in the second quarter, {after} kB in the last, {most} kB at \
             most; {} and {} descriptors",
            count(held),
            count(holds),
        );
        ensure!(after <= before + MARGIN_KB, "the memory of {name} grows: {:?}", self.memory_kb);
        ensure!(held == holds, "the descriptors of {name} were {held:?} and are {holds:?}");
        Ok(())
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
