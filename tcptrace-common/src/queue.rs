//! Queues: how `set_state_btf` hands its records over, one queue for each CPU.
//!
//! Each is memory that userspace maps, cut into segments, which the queue goes through in a circle.
//! A position counts the bytes since the start; the place of an entry is its position within its
//! segment, and an entry may reach beyond the end of that. An entry is a header of eight bytes and a
//! record. The header holds the length of both, and is written last; before that it is zero, because
//! whoever wrote the entry before has made it so.

/// Bytes of a segment in which entries begin; a power of two.
pub const SEGMENT_BYTES: usize = 1 << 20;
/// Bytes behind them, for an entry that begins near the end; a page, so that segments lie on pages.
pub const SPILL_BYTES: usize = 4096;
/// From one segment to the next.
pub const STRIDE: usize = SEGMENT_BYTES + SPILL_BYTES;
/// Bytes of a header, a `u64`.
pub const HEADER_BYTES: usize = 8;
/// No entry with the header after it is longer.
pub const LONGEST_ENTRY: usize = 256;
/// Words that a queue has in the map in which userspace says how far it has read: a cache line of its own.
pub const READER_WORDS: usize = 8;
/// The word with the position up to which userspace has read.
pub const READ_UP_TO: usize = 0;
/// The word that is not 0 while userspace wants to be woken for the next record.
pub const ASLEEP: usize = 1;

const _: () =
    assert!(HEADER_BYTES + crate::record::LONGEST_TRANSITION + HEADER_BYTES <= LONGEST_ENTRY);
const _: () = assert!(LONGEST_ENTRY <= SPILL_BYTES);

/// Number of the segment and place in it of the byte at `position`, in a queue of so many segments, a
/// power of two.
#[must_use]
#[inline(always)]
pub const fn place(position: u64, segments: u32) -> (u32, usize) {
    let segment = (position / SEGMENT_BYTES as u64) as u32 & (segments - 1);
    (segment, position as usize & (SEGMENT_BYTES - 1))
}

#[cfg(test)]
mod tests {
    use super::{SEGMENT_BYTES, place};

    #[test]
    fn a_queue_goes_through_its_segments_in_a_circle() {
        let segment = SEGMENT_BYTES as u64;
        assert_eq!(place(0, 4), (0, 0));
        assert_eq!(place(segment - 8, 4), (0, SEGMENT_BYTES - 8));
        assert_eq!(place(segment + 16, 4), (1, 16));
        assert_eq!(place(9 * segment + 24, 4), (1, 24));
        assert_eq!(place(5 * segment, 1), (0, 0));
    }
}
