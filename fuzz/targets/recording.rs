//! Any bytes as a recording: no panic, no memory that they have not paid for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcptrace::recording::Recording;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut recording) = Recording::open(bytes) else {
        return;
    };
    while let Ok(Some(_)) = recording.next_batch() {}
});
