//! Any bytes as the memory of two queues: what is taken out of each is what lies there up to the first
//! impossible header, in pieces of any number and none of it twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcptrace::kernel::fuzzing::QueuesOf;
use tcptrace_common::queue::{HEADER_BYTES, LONGEST_ENTRY};

fuzz_target!(|bytes: &[u8]| {
    let Some((until, [most, bytes @ ..])) = bytes.split_first_chunk() else {
        return;
    };
    let (until, most) = (u64::from_ne_bytes(*until), usize::from(*most) + 1);
    let (one, other) = bytes.split_at(bytes.len() / 16 * 8);
    let mut queues = QueuesOf::new(one, other).expect("memory");
    let mut taken = Vec::new();
    loop {
        let some = queues.take(until, most);
        assert!(some.len() <= most);
        if some.is_empty() {
            break;
        }
        taken.extend(some);
    }
    let mut expected = [written(one, until), written(other, until)].concat();
    taken.sort();
    expected.sort();
    assert_eq!(taken, expected);
});

/// The records from the beginning of a queue on.
fn written(bytes: &[u8], until: u64) -> Vec<Vec<u8>> {
    let mut memory = bytes[..bytes.len() / 8 * 8].to_vec();
    memory.resize(memory.len() + 2 * LONGEST_ENTRY, 0);
    let word = |at: usize| u64::from_ne_bytes(*memory[at..].first_chunk().expect("a word"));
    let (mut at, mut records) = (0, Vec::new());
    while at < bytes.len() {
        let length = word(at);
        if !(24..=LONGEST_ENTRY as u64).contains(&length) || length % 8 != 0 {
            break;
        }
        let end = at + length as usize;
        if word(at + HEADER_BYTES + 8) >= until {
            break;
        }
        records.push(memory[at + HEADER_BYTES..end].to_vec());
        at = end;
    }
    records
}
