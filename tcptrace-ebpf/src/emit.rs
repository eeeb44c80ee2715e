//! The ring buffer, its losses and its wake-ups.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    macros::map,
    maps::{PerCpuArray, RingBuf, ring_buf::RingBufEntry},
};

use tcptrace_common::record::CpuCounters;

use crate::{fields::setting, queue};

/// The loader sets the real size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);
#[map]
static COUNTERS: PerCpuArray<CpuCounters> = PerCpuArray::with_max_entries(1, 0);

/// A producer looks at the fill mark once in this many records: `bpf_ringbuf_query` touches the
/// reader's cache line, which costs as much as the record itself.
const QUERY_EVERY: u64 = 256;

/// The counters of this CPU. Programs may interrupt each other between a load and a store of them.
#[inline(always)]
pub(crate) fn counters() -> Option<*mut CpuCounters> {
    COUNTERS.get_ptr_mut(0)
}

/// Counts a record as lost, at `place` of [`CpuCounters::lost`].
///
/// # Safety
/// `counters` must be of this CPU, and nothing may count at this place meanwhile.
#[inline(always)]
pub(crate) unsafe fn count_lost(counters: *mut CpuCounters, place: u8) {
    // SAFETY: as the caller promises.
    unsafe {
        let lost = (&raw mut (*counters).lost).cast::<u64>().add(usize::from(place));
        *lost = (*lost).wrapping_add(1);
    }
}

/// Reserves room for a record, or counts it as lost, at `place` of [`CpuCounters::lost`].
#[inline(always)]
pub(crate) fn reserve<T: 'static>(place: u8) -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none()
        && let Some(counters) = counters()
    {
        // SAFETY: the pointer is to this CPU's value, and nothing else writes this place meanwhile.
        unsafe { count_lost(counters, place) };
    }
    entry
}

/// Hands a filled record over. The reader polls on a timer, so it is woken only above a fill mark.
#[inline(always)]
pub(crate) fn submit<T: 'static>(entry: RingBufEntry<T>) {
    entry.submit(wake_flags());
}

/// Wakes the reader, with a record that it does not see.
#[inline(always)]
pub(crate) fn wake() {
    if let Some(entry) = EVENTS.reserve::<u64>(0) {
        entry.discard(u64::from(BPF_RB_FORCE_WAKEUP));
    }
}

/// Whether a fill mark is to be looked at.
///
/// # Safety
/// `counters` must be of this CPU. A count lost to an interrupt only shifts the moment.
#[inline(always)]
pub(crate) unsafe fn is_time_to_wake(counters: *mut CpuCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        (*counters).submitted = (*counters).submitted.wrapping_add(1);
        (*counters).submitted.is_multiple_of(QUERY_EVERY)
    }
}

#[inline(always)]
fn wake_flags() -> u64 {
    let no_wakeup = u64::from(BPF_RB_NO_WAKEUP);
    if queue::is_reader_asleep() {
        return u64::from(BPF_RB_FORCE_WAKEUP);
    }
    let Some(counters) = counters() else {
        return no_wakeup;
    };
    // SAFETY: the pointer is to this CPU's value.
    if !unsafe { is_time_to_wake(counters) }
        || EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) < u64::from(setting!(wake_bytes))
    {
        return no_wakeup;
    }
    u64::from(BPF_RB_FORCE_WAKEUP)
}
