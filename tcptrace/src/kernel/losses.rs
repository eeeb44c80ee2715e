//! What was lost on its way to us, counted.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::PerCpuArray,
    programs::{BtfTracePoint, ProgramFd, TracePoint},
};
use tcptrace_common::{record::CpuCounters, symbols};

use super::{Mode, loader::Programs};
use crate::{
    event::{Event, Lost, LostWhy},
    time::Timestamp,
};

/// How often it is asked for losses while nothing comes, and for those of hooks at any time.
const INTERVAL: Duration = Duration::from_secs(1);
/// After so many records without a skipped program the one that stands in for it goes.
const UNNEEDED: usize = 200_000;

/// What has been told of losses so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    ring: u64,
    recursion: u64,
    /// Of hooks.
    hooks: u64,
    /// How often the first program was skipped.
    skipped: u64,
    /// Records that have come since it was skipped the last time.
    since_skipped: usize,
    /// When it was asked for all of them; `None` if that is due.
    asked: Option<Instant>,
}

impl Losses {
    /// Has the next count be made, even if nothing has come.
    pub(super) fn expect(&mut self) {
        self.asked = None;
    }

    /// What was lost since the last time; `taken` records have come since, of which some could not be
    /// decoded.
    ///
    /// A program is skipped only while it tells something, and there is no room only where much is to be
    /// read. But what was told may have been of no interest, so it is asked also while nothing comes, at
    /// times. So it is for the hooks: they are many, what they tell only helps, and each takes 6 µs to ask.
    pub(super) fn count(
        &mut self,
        programs: &mut Programs,
        at: Timestamp,
        taken: usize,
        undecodable: u64,
    ) -> Vec<Event> {
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= INTERVAL);
        if taken == 0 && !is_due {
            return Vec::new();
        }
        self.since_skipped = self.since_skipped.saturating_add(taken);
        // The misses first: one that is made good in between must not count as lost.
        let skipped = recursion_misses(programs);
        self.attend_nested(programs, skipped);
        let counted = programs.ebpf.as_ref().and_then(|ebpf| Counted::read(ebpf).ok());
        let ring = counted.map_or(self.ring, |counted| counted.lost);
        let nested = counted.map_or(0, |counted| counted.nested);
        let recursion = skipped.map_or(0, |skipped| skipped.saturating_sub(nested));
        let mut hooks = self.hooks;
        if is_due {
            self.asked = Some(Instant::now());
            hooks = hooks.max(programs.ebpf.as_ref().map_or(0, misses_of_hooks));
        }
        let missed = recursion.saturating_sub(self.recursion) + (hooks - self.hooks);
        let counts = [
            (ring.saturating_sub(self.ring), LostWhy::RingFull),
            (missed, LostWhy::Recursion),
            (undecodable, LostWhy::Undecodable),
        ];
        self.ring = ring;
        self.recursion = self.recursion.max(recursion);
        self.hooks = hooks;
        counts
            .into_iter()
            .filter(|&(count, _)| count > 0)
            .map(|(count, why)| Event::Lost(Lost { at, count, why }))
            .collect()
    }

    /// Has the second program attached from the beginning, until so many records have come without it
    /// that it would tell next to nothing, and again from the moment on at which the first one is skipped.
    fn attend_nested(&mut self, programs: &mut Programs, skipped: Option<u64>) {
        let Some(skipped) = skipped else { return };
        if skipped > self.skipped {
            (self.skipped, self.since_skipped) = (skipped, 0);
        }
        programs.attend_nested(self.since_skipped < UNNEEDED);
    }
}

/// How often the program did not run because it, or for the classic tracepoint any other, was already
/// running on that CPU (counted since 5.12 and 6.12; `None` where the kernel does not tell).
fn recursion_misses(programs: &Programs) -> Option<u64> {
    let ebpf = programs.ebpf.as_ref()?;
    let program = |name| ebpf.program(name);
    let fd = match programs.mode {
        Mode::Btf => <&BtfTracePoint>::try_from(program(symbols::SET_STATE_BTF)?).ok()?.fd(),
        Mode::Classic => <&TracePoint>::try_from(program(symbols::SET_STATE_CLASSIC)?).ok()?.fd(),
    };
    misses_of(fd.ok()?)
}

/// How often all programs that tell no transitions did not run.
fn misses_of_hooks(ebpf: &Ebpf) -> u64 {
    let of_transitions = [
        symbols::SET_STATE_BTF,
        symbols::SET_STATE_CLASSIC,
        symbols::SET_STATE_NESTED,
        symbols::SET_STATE_LOG,
    ];
    let hooks = ebpf.programs().filter(|(name, _)| !of_transitions.contains(name));
    hooks.filter_map(|(_, hook)| misses_of(hook.fd().ok()?)).sum()
}

fn misses_of(program: &ProgramFd) -> Option<u64> {
    let fd = program.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

/// What the programs counted since the start, on all CPUs together.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Records that found no room.
    lost: u64,
    /// Transitions that the second program told because the first was running.
    nested: u64,
}

impl Counted {
    fn read(ebpf: &Ebpf) -> Result<Self> {
        let map = ebpf.map(symbols::COUNTERS).context("the kernel object has no map COUNTERS")?;
        let mut counted = Self::default();
        for Counters(cpu) in PerCpuArray::<_, Counters>::try_from(map)?.get(&0, 0)?.iter() {
            counted.lost += cpu.lost.iter().sum::<u64>();
            counted.nested += cpu.nested;
        }
        Ok(counted)
    }
}

/// What the map holds, as aya may read it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Counters(CpuCounters);

// SAFETY: all of it is plain integers, for which any bytes are a value.
unsafe impl aya::Pod for Counters {}
