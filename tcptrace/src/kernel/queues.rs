//! The queues of the CPUs, read in order of time ([`tcptrace_common::queue`]).

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, bail};
use aya::{Ebpf, maps::Map};
use rustix::mm::{MapFlags, ProtFlags};
use tcptrace_common::{
    queue::{ASLEEP, HEADER_BYTES, LONGEST_ENTRY, READ_UP_TO, READER_WORDS, STRIDE, place},
    symbols,
};

use super::{mapping::Mapping, memory::Memory};

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
        let (segments, readers) = lengths(cpus, segments_each);
        let writable = ProtFlags::READ | ProtFlags::WRITE;
        Ok(Some(Self::of(
            map_array(ebpf, symbols::SEGMENTS, segments, ProtFlags::READ)?,
            map_array(ebpf, symbols::READERS, readers, writable)?,
            cpus,
            segments_each,
        )))
    }

    /// Those in memory of these [`lengths`].
    fn of(segments: Mapping, readers: Mapping, cpus: usize, segments_each: u32) -> Self {
        Self {
            segments,
            readers,
            segments_each,
            positions: vec![0; cpus],
            next: BinaryHeap::with_capacity(cpus),
            until: 0,
        }
    }

    /// So many queues in memory of our own, where tests write what the programs would, or worse.
    ///
    /// # Errors
    /// If the kernel does not give the memory.
    #[cfg(any(test, fuzzing))]
    pub(super) fn anonymous(cpus: usize, segments_each: u32) -> std::io::Result<Self> {
        let (segments, readers) = lengths(cpus, segments_each);
        let (segments, readers) = (Mapping::anonymous(segments)?, Mapping::anonymous(readers)?);
        Ok(Self::of(segments, readers, cpus, segments_each))
    }

    /// One queue, of one segment, for each of these: its first bytes.
    ///
    /// # Errors
    /// As for [`Self::anonymous`].
    #[cfg(fuzzing)]
    pub(super) fn holding(bytes: &[&[u8]]) -> std::io::Result<Self> {
        let queues = Self::anonymous(bytes.len(), 1)?;
        for (queue, bytes) in bytes.iter().enumerate() {
            let (words, _) = bytes.as_chunks();
            for (place, word) in words.iter().take(STRIDE / 8).enumerate() {
                let word = u64::from_ne_bytes(*word);
                queues.segments.word(queue * STRIDE + place * 8).store(word, Ordering::Relaxed);
            }
        }
        Ok(queues)
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
        if !is_possible {
            return None;
        }
        // SAFETY: the programs write no byte of an entry between its header and the moment at which it is
        // given back (`release`).
        let record = unsafe { self.segments.bytes(begin + HEADER_BYTES, length - HEADER_BYTES) };
        let time = record.get(TIME_PLACE..TIME_PLACE + 8)?.try_into().ok()?;
        Some((record, u64::from_ne_bytes(time)))
    }
}

/// Bytes of the segments of so many queues, and of what userspace says of each.
fn lengths(cpus: usize, segments_each: u32) -> (usize, usize) {
    (cpus * segments_each as usize * STRIDE, cpus * READER_WORDS * size_of::<u64>())
}

fn map_array(ebpf: &Ebpf, name: &str, length: usize, access: ProtFlags) -> Result<Mapping> {
    let Some(Map::Array(map)) = ebpf.map(name) else {
        bail!("the kernel object has no array {name}");
    };
    Mapping::of(map.fd(), length, access, MapFlags::SHARED)
        .with_context(|| format!("cannot map the memory of {name}"))
}

#[cfg(test)]
mod tests;
