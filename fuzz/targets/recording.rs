//! Any bytes as a recording: no panic, no memory that they have not paid for, and what is read from them
//! can be written and is read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcptrace::recording::{Compression, Encoder, Recording};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut recording) = Recording::open(bytes) else {
        return;
    };
    let metadata = recording.metadata().clone();
    while let Ok(Some(events)) = recording.next_batch() {
        let mut encoder = Encoder::new(&metadata, Compression::None).expect("an encoder");
        let mut written = Vec::new();
        for event in &events {
            encoder.add(event);
            if encoder.is_full() {
                written.extend(encoder.close_batch().expect("a batch"));
            }
        }
        written.extend(encoder.finish().expect("an end"));
        let mut again = Recording::open(&written[..]).expect("a recording of ours");
        assert_eq!(again.metadata(), &metadata);
        let mut read = Vec::new();
        while let Some(batch) = again.next_batch().expect("a batch of ours") {
            read.extend(batch);
        }
        assert_eq!(read, events);
        assert!(again.tail().is_whole());
    }
});
