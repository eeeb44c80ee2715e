//! The queues of the CPUs, read in order of time ([`tcptrace_common::queue`]).

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use aya::{Ebpf, maps::Map};
use rustix::{
    fd::AsFd,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};
use tcptrace_common::{
    queue::{ASLEEP, HEADER_BYTES, LONGEST_ENTRY, READ_UP_TO, READER_WORDS, STRIDE, place},
    symbols,
};

use super::memory::Memory;

/// Where the time is in every record of the tracepoints.
const TIME_PLACE: usize = 8;

/// All queues.
pub(super) struct Queues {
    segments: Mapping,
    readers: Mapping,
    /// Segments of each.
    segments_each: u32,
    /// Up to where each has been read.
    positions: Vec<u64>,
    /// The queues that have something, by the time of their next record.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Records from this time on wait for the next look.
    until: u64,
}

impl Queues {
    /// Maps the queues of a loaded object, if it has any.
    ///
    /// # Errors
    /// If the kernel does not give the memory.
    pub(super) fn open(ebpf: &Ebpf, memory: Memory) -> Result<Option<Self>> {
        let Memory { cpus, queue_segments: segments_each, .. } = memory;
        if segments_each == 0 {
            return Ok(None);
        }
        let cpus = cpus as usize;
        let all = cpus * segments_each as usize;
        Ok(Some(Self {
            segments: Mapping::new(ebpf, symbols::SEGMENTS, all * STRIDE, ProtFlags::READ)?,
            readers: Mapping::new(
                ebpf,
                symbols::READERS,
                cpus * READER_WORDS * 8,
                ProtFlags::READ | ProtFlags::WRITE,
            )?,
            segments_each,
            positions: vec![0; cpus],
            next: BinaryHeap::with_capacity(cpus),
            until: 0,
        }))
    }

    /// Looks for what was written before `until` (ns of the boot clock), and then hands it out in order
    /// of time. A record of a socket is in its queue before the next one of this socket gets its time, so
    /// whatever is found with an earlier time than `until` lacks nothing before it.
    pub(super) fn look(&mut self, until: u64) {
        self.next.clear();
        self.until = until;
        for queue in 0..self.positions.len() {
            self.await_turn(queue);
        }
    }

    /// Time of the next record.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.next.peek().map(|Reverse((time, _))| *time)
    }

    /// Takes the next record, and those that follow it in its queue, as long as `take` wants them and
    /// neither another queue has an earlier one nor something else is next, at the time `other`.
    pub(super) fn take(&mut self, other: Option<u64>, mut take: impl FnMut(&[u8]) -> bool) {
        let Some(Reverse((_, queue))) = self.next.pop() else { return };
        let latest = [self.next_time(), other].into_iter().flatten().min().unwrap_or(u64::MAX);
        let mut position = self.positions[queue];
        let mut wants_more = true;
        while wants_more
            && let Some((record, time)) = self.record(queue, position)
            && time < self.until
            && time <= latest
        {
            wants_more = take(record);
            position += (HEADER_BYTES + record.len()) as u64;
        }
        self.positions[queue] = position;
        self.await_turn(queue);
    }

    fn await_turn(&mut self, queue: usize) {
        if let Some((_, time)) = self.record(queue, self.positions[queue])
            && time < self.until
        {
            self.next.push(Reverse((time, queue)));
        }
    }

    /// Gives what was read back to the programs.
    pub(super) fn release(&self) {
        for (queue, &position) in self.positions.iter().enumerate() {
            self.word(queue, READ_UP_TO).store(position, Ordering::Release);
        }
    }

    /// Says whether the programs are to wake us for the next record. One that is being written at this very
    /// moment may not.
    pub(super) fn fall_asleep(&self, is_asleep: bool) {
        for queue in 0..self.positions.len() {
            self.word(queue, ASLEEP).store(is_asleep.into(), Ordering::Release);
        }
    }

    fn word(&self, queue: usize, word: usize) -> &AtomicU64 {
        self.readers.word((queue * READER_WORDS + word) * size_of::<u64>())
    }

    /// The record at this position of a queue and its time, if it has been written. An impossible header
    /// counts as not written: then the queue fills up, and what finds no room is counted as lost.
    #[inline]
    fn record(&self, queue: usize, position: u64) -> Option<(&[u8], u64)> {
        let (segment, place) = place(position, self.segments_each);
        let begin = (queue * self.segments_each as usize + segment as usize) * STRIDE + place;
        let length = self.segments.word(begin).load(Ordering::Acquire) as usize;
        let is_possible = (HEADER_BYTES + TIME_PLACE + 8..=LONGEST_ENTRY).contains(&length)
            && length.is_multiple_of(8);
        let record = is_possible
            .then(|| self.segments.bytes(begin + HEADER_BYTES, length - HEADER_BYTES))?;
        let time = record.get(TIME_PLACE..TIME_PLACE + 8)?.try_into().ok()?;
        Some((record, u64::from_ne_bytes(time)))
    }
}

/// Memory of a map, shared with the kernel.
struct Mapping {
    begin: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(ebpf: &Ebpf, name: &str, length: usize, access: ProtFlags) -> Result<Self> {
        let Some(Map::Array(map)) = ebpf.map(name) else {
            anyhow::bail!("the kernel object has no array {name}");
        };
        let kind = MapFlags::SHARED;
        // SAFETY: the kernel chooses the place, so nothing else is there.
        let begin = unsafe { mmap(ptr::null_mut(), length, access, kind, map.fd().as_fd(), 0) }
            .with_context(|| format!("cannot map the memory of {name}"))?;
        let begin = NonNull::new(begin.cast()).context("mmap gave no memory")?;
        Ok(Self { begin, length })
    }

    fn word(&self, place: usize) -> &AtomicU64 {
        assert!(place.is_multiple_of(8) && place + 8 <= self.length, "a word outside of its map");
        // SAFETY: it is within the mapping and aligned, which begins with a page; both sides write such
        // words whole.
        unsafe { AtomicU64::from_ptr(self.begin.as_ptr().add(place).cast()) }
    }

    fn bytes(&self, place: usize, length: usize) -> &[u8] {
        assert!(place + length <= self.length, "bytes outside of their map");
        // SAFETY: they are within the mapping, and the programs write no byte of an entry between its
        // header and the moment at which it is given back (`Queues::release`).
        unsafe { slice::from_raw_parts(self.begin.as_ptr().add(place), length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. A failure would leave memory to the process.
        let _ = unsafe { munmap(self.begin.as_ptr().cast(), self.length) };
    }
}
