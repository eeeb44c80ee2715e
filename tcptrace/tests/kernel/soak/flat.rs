//! Whether what a process holds grows.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use crate::faults::namespaces::{Descriptors, anonymous_kb, descriptors_at_rest, descriptors_left};

/// By so much the median of the last quarter may exceed that of the third. What the allocator keeps
/// goes up and down by this; a tracer that left 20 bytes of each connection would exceed it in ten minutes.
const MARGIN_KB: u64 = 2048;
/// Samples of a quarter, at least: fewer say nothing.
const LEAST: usize = 3;

/// What a process held at the same point of each round, when as much was going on as in all others.
#[derive(Debug, Default)]
pub(super) struct Samples {
    memory_kb: Vec<u64>,
    descriptors: Option<Descriptors>,
}

impl Samples {
    /// Looks at a process.
    pub(super) fn take(&mut self, pid: u32) -> Result<()> {
        self.memory_kb.push(anonymous_kb(pid)?);
        let Some(held) = &self.descriptors else {
            self.descriptors = Some(descriptors_at_rest(pid)?);
            return Ok(());
        };
        let left = descriptors_left(held, pid)?;
        ensure!(left.is_none(), "its descriptors were {held:?} and are {left:?}");
        Ok(())
    }

    /// Says what it held, and fails if that grew. The first half is left out: in the first minute there are
    /// ever more connections in TIME_WAIT, and the tables double once more with the largest of the bursts.
    pub(super) fn judge(&self, name: &str, report: &mut String) -> Result<()> {
        let quarter = self.memory_kb.len() / 4;
        ensure!(quarter >= LEAST, "too few rounds to tell whether {name} grows: soak for longer");
        let last = self.memory_kb.len() - quarter;
        let before = median(&self.memory_kb[last - quarter..last]).context("samples")?;
        let after = median(&self.memory_kb[last..]).context("samples")?;
        let most = self.memory_kb.iter().max().copied().unwrap_or_default();
        let held = self.descriptors.as_ref().map_or(0, |held| held.values().sum::<usize>());
        _ = writeln!(
            report,
            "{name}: memory {before} kB in the third quarter, {after} kB in the last, {most} kB at \
             most, and {held} descriptors at most"
        );
        ensure!(after <= before + MARGIN_KB, "the memory of {name} grows: {:?}", self.memory_kb);
        Ok(())
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
