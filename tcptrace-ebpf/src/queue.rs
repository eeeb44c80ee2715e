//! The queue of this CPU, which one program writes to.
//!
//! The kernel never runs a program that is running on the CPU already (the loader sees to it that it
//! is such a kernel), so nothing interrupts a write to the queue by another one. That is why it
//! needs no lock and no helper, which are an eighth of what a record costs with the ring buffer. A
//! reader sees the stores in their order on x86, and only there queues are used.

use core::ptr;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE, helpers::generated::bpf_get_smp_processor_id, macros::map,
    maps::Array,
};
use tcptrace_common::{
    queue::{
        ASLEEP, HEADER_BYTES, LONGEST_ENTRY, READ_UP_TO, READER_WORDS, SEGMENT_BYTES, STRIDE, place,
    },
    record::CpuCounters,
};

use crate::{emit, fields::setting};

/// The loader sets the real number.
#[map]
static SEGMENTS: Array<[u8; STRIDE]> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// The loader sets the real number.
#[map]
static READERS: Array<[u64; READER_WORDS]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// An entry that is not yet to be seen.
pub(crate) struct Entry {
    header: *mut u64,
    position: u64,
    /// Memory for the longest record.
    pub(crate) record: *mut u8,
    /// Bytes that were not read when the entry was begun.
    used: u64,
    /// What userspace says of this queue.
    reader: *const u64,
}

/// Room for a record; `None` if there is none.
///
/// # Safety
/// Only one program may write to the queues, one that the kernel does not let interrupt itself.
#[inline(always)]
pub(crate) unsafe fn reserve(counters: *mut CpuCounters) -> Option<Entry> {
    let segments = setting!(queue_segments);
    // SAFETY: the pointer is to this CPU's value; userspace writes the word, and all of it at once.
    unsafe {
        let cpu = bpf_get_smp_processor_id();
        let position = (*counters).position;
        let reader = READERS.get_ptr(cpu)?.cast::<u64>();
        let used = position.wrapping_sub(ptr::read_volatile(reader.add(READ_UP_TO)));
        if used > u64::from(segments) * SEGMENT_BYTES as u64 - LONGEST_ENTRY as u64 {
            return None;
        }
        let header = at(cpu, position, segments)?;
        Some(Entry { header, position, record: header.add(1).cast(), used, reader })
    }
}

/// Where the byte at this position is.
#[inline(always)]
fn at(cpu: u32, position: u64, segments: u32) -> Option<*mut u64> {
    let (segment, place) = place(position, segments);
    let segment = SEGMENTS.get_ptr_mut(cpu * segments + segment)?;
    Some(segment.cast::<u8>().wrapping_add(place).cast())
}

/// Whether the reader wants to be woken for the next record. It has slept for a while then.
#[inline(always)]
pub(crate) fn is_reader_asleep() -> bool {
    if setting!(queue_segments) == 0 {
        return false;
    }
    let Some(reader) = READERS.get_ptr(0) else { return false };
    // SAFETY: userspace writes the word, and all of it at once.
    unsafe { ptr::read_volatile(reader.cast::<u64>().add(ASLEEP)) != 0 }
}

/// Lets the reader see an entry whose record of this length is filled, and wakes it if too much waits.
///
/// # Safety
/// As for [`reserve`], with the same `counters`.
#[inline(always)]
pub(crate) unsafe fn submit(entry: &Entry, length: usize, counters: *mut CpuCounters) {
    // SAFETY: both headers are in the map (`at`); the pointer is to this CPU's value.
    unsafe {
        let length = (HEADER_BYTES + length) as u64;
        let segments = setting!(queue_segments);
        // The compiler does not know what a helper does, so it has the record written before this call;
        // and of the two headers it keeps the order.
        let cpu = bpf_get_smp_processor_id();
        // There is a segment for every position.
        let Some(next_header) = at(cpu, entry.position + length, segments) else { return };
        ptr::write_volatile(next_header, 0);
        ptr::write_volatile(entry.header, length);
        (*counters).position = entry.position + length;
        if ptr::read_volatile(entry.reader.add(ASLEEP)) != 0
            || entry.used > u64::from(segments) * (SEGMENT_BYTES as u64 / 4)
                && emit::is_time_to_wake(counters)
        {
            emit::wake();
        }
    }
}
