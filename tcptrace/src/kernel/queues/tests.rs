//! The queues with a thread in the place of the programs. Miri runs these (`cargo xtask miri`), and would
//! see a byte that one side reads while the other writes it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tcptrace_common::queue::{SEGMENT_BYTES, place};

use super::{
    ASLEEP, HEADER_BYTES, LONGEST_ENTRY, Queues, READ_UP_TO, READER_WORDS, STRIDE, TIME_PLACE,
};

/// Writes to one queue as `tcptrace-ebpf/src/queue.rs` does.
struct Writer {
    segments: *mut u8,
    reader: *mut u64,
    segments_each: u32,
    position: u64,
}

// SAFETY: each queue has one writer, and the memory outlives the threads of a test, which are scoped.
unsafe impl Send for Writer {}

impl Writer {
    /// That of the queue with this number, which is at `position`.
    fn new(queues: &mut Queues, queue: usize, position: u64) -> Self {
        queues.positions[queue] = position;
        queues.release();
        let begin = queue * queues.segments_each as usize * STRIDE;
        Self {
            segments: queues.segments.begin().wrapping_add(begin),
            reader: queues.readers.begin().cast::<u64>().wrapping_add(queue * READER_WORDS),
            segments_each: queues.segments_each,
            position,
        }
    }

    fn header(&self, position: u64) -> *mut u64 {
        let (segment, place) = place(position, self.segments_each);
        self.segments.wrapping_add(segment as usize * STRIDE + place).cast()
    }

    /// Writes a record of so many bytes, all the low one of `time` but where the time is; false if there is
    /// no room.
    fn write(&mut self, time: u64, length: usize) -> bool {
        // SAFETY: the places are in the memory of the queue, which outlives this; the reader looks at no
        // byte of an entry that has no header yet, and the words are atomic on both sides.
        unsafe {
            let read = AtomicU64::from_ptr(self.reader.add(READ_UP_TO)).load(Ordering::Acquire);
            let room = u64::from(self.segments_each) * SEGMENT_BYTES as u64;
            if self.position - read > room - LONGEST_ENTRY as u64 {
                return false;
            }
            let header = self.header(self.position);
            let record = header.add(1).cast::<u8>();
            record.write_bytes(time as u8, length);
            record.add(TIME_PLACE).cast::<u64>().write(time);
            let next = self.position + (HEADER_BYTES + length) as u64;
            AtomicU64::from_ptr(self.header(next)).store(0, Ordering::Relaxed);
            let length = (HEADER_BYTES + length) as u64;
            AtomicU64::from_ptr(header).store(length, Ordering::Release);
            self.position = next;
        }
        true
    }
}

/// Takes all that was written before `until`: length and time of each, whose bytes are looked at.
fn take_all(queues: &mut Queues, until: u64) -> Vec<(usize, u64)> {
    let mut taken = Vec::new();
    queues.look(until);
    while queues.next_time().is_some() {
        queues.take(None, |record| {
            let (before, rest) = record.split_at(TIME_PLACE);
            let (time, after) = rest.split_first_chunk().expect("a time");
            let time = u64::from_ne_bytes(*time);
            assert!([before, after].concat().iter().all(|&byte| byte == time as u8));
            taken.push((record.len(), time));
            true
        });
    }
    queues.release();
    taken
}

#[test]
fn records_of_all_queues_come_in_order_of_time() {
    let mut queues = Queues::anonymous(2, 1).expect("memory");
    let [mut one, mut other] = [0, 1].map(|queue| Writer::new(&mut queues, queue, 0));
    assert_eq!(take_all(&mut queues, u64::MAX), []);
    assert!(one.write(1, 16) && other.write(2, 56) && other.write(3, 144) && one.write(4, 248));
    assert_eq!(take_all(&mut queues, 4), [(16, 1), (56, 2), (144, 3)]);
    assert_eq!(take_all(&mut queues, 5), [(248, 4)]);
}

#[test]
fn a_reader_that_has_enough_goes_on_where_it_stopped() {
    let mut queues = Queues::anonymous(1, 1).expect("memory");
    let mut writer = Writer::new(&mut queues, 0, 0);
    for time in 1..=3 {
        assert!(writer.write(time, 16));
    }
    queues.look(u64::MAX);
    let mut taken = 0;
    queues.take(None, |_| {
        taken += 1;
        taken < 2
    });
    assert_eq!((taken, queues.next_time()), (2, Some(3)));
    // Something else is older.
    queues.take(Some(2), |_| unreachable!("it is later"));
    assert_eq!(take_all(&mut queues, u64::MAX), [(16, 3)]);
}

#[test]
fn an_entry_may_reach_beyond_the_end_of_its_segment() {
    for segments in [1, 2] {
        let mut queues = Queues::anonymous(1, segments).expect("memory");
        let mut writer = Writer::new(&mut queues, 0, SEGMENT_BYTES as u64 - 8);
        for time in 1..=3 {
            assert!(writer.write(time, 144));
        }
        assert_eq!(take_all(&mut queues, u64::MAX), [(144, 1), (144, 2), (144, 3)]);
    }
}

#[test]
fn impossible_headers_count_as_not_written() {
    let mut queues = Queues::anonymous(2, 1).expect("memory");
    let mut writer = Writer::new(&mut queues, 1, 0);
    assert!(writer.write(1, 16));
    for length in [0, 1, 8, 16, 23, 25, LONGEST_ENTRY as u64 + 8, u64::MAX, 1 << 32 | 24] {
        // SAFETY: nobody else uses the word now.
        unsafe { writer.header(0).write(length) };
        assert_eq!(take_all(&mut queues, u64::MAX), [], "{length}");
    }
}

#[test]
fn what_is_written_meanwhile_is_read_whole() {
    const RECORDS: u64 = 60;
    let mut queues = Queues::anonymous(2, 1).expect("memory");
    let begin = SEGMENT_BYTES as u64 - 1024;
    let writers = [0, 1].map(|queue| Writer::new(&mut queues, queue, begin));
    thread::scope(|scope| {
        for mut writer in writers {
            scope.spawn(move || {
                for time in 1..=RECORDS {
                    assert!(writer.write(time, 16 + 8 * (time as usize % 17)));
                }
            });
        }
        let mut taken = 0;
        while taken < 2 * RECORDS as usize {
            queues.fall_asleep(true);
            taken += take_all(&mut queues, u64::MAX).len();
            thread::yield_now();
        }
    });
    assert_eq!(queues.positions, [queues.positions[0]; 2]);
    assert_eq!(queues.word(1, ASLEEP).load(Ordering::Relaxed), 1);
}
