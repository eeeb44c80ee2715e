//! The ring buffer, its losses and its wake-ups.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    macros::map,
    maps::{PerCpuArray, RingBuf, ring_buf::RingBufEntry},
};

use tcptrace_common::record::CpuCounters;

use crate::fields::setting;

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

/// Reserves room for a record, or counts it as lost, at `place` of [`CpuCounters::lost`].
#[inline(always)]
pub(crate) fn reserve<T: 'static>(place: u8) -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none()
        && let Some(counters) = counters()
    {
        // SAFETY: the pointer is to this CPU's value, and nothing else writes this place meanwhile.
        unsafe {
            let lost = (&raw mut (*counters).lost).cast::<u64>().add(usize::from(place));
            *lost = (*lost).wrapping_add(1);
        }
    }
    entry
}

/// Hands a filled record over. The reader polls on a timer, so it is woken only above a fill mark.
#[inline(always)]
pub(crate) fn submit<T: 'static>(entry: RingBufEntry<T>) {
    entry.submit(wake_flags());
}

#[inline(always)]
fn wake_flags() -> u64 {
    let no_wakeup = u64::from(BPF_RB_NO_WAKEUP);
    let Some(counters) = counters() else {
        return no_wakeup;
    };
    // SAFETY: the pointer is to this CPU's value; a count lost to an interrupt only shifts the
    // moment at which the fill mark is looked at.
    let count = unsafe {
        (*counters).submitted = (*counters).submitted.wrapping_add(1);
        (*counters).submitted
    };
    if count % QUERY_EVERY != 0
        || EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) < u64::from(setting!(wake_bytes))
    {
        return no_wakeup;
    }
    u64::from(BPF_RB_FORCE_WAKEUP)
}
