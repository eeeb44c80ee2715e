//! Events to the bytes of a recording, and back.

use std::io::Cursor;

use divan::{Bencher, black_box, counter::ItemsCount};
use tcptrace::recording::{Compression, Encoder, Recording};
use tcptrace_bench::generate::metadata;

use crate::Batches;

/// Batches of events of which a batch of the recording is made: nearly as many as fit.
const BATCHES: u64 = 23;

#[divan::bench(args = [Compression::Zstd, Compression::Lz4, Compression::None])]
fn encode(bencher: Bencher<'_, '_>, compression: &Compression) {
    let mut batches = Batches::new();
    let mut encoder = encoder(*compression);
    let events = || (0..BATCHES).flat_map(|_| batches.next()).collect::<Vec<_>>();
    bencher.counter(count()).with_inputs(events).bench_local_refs(|events| {
        events.iter().for_each(|event| encoder.add(event));
        encoder.close_batch().map(|bytes| bytes.len()).unwrap_or(0)
    });
}

#[divan::bench(args = [Compression::Zstd, Compression::Lz4, Compression::None])]
fn read(bencher: Bencher<'_, '_>, compression: &Compression) {
    let mut batches = Batches::new();
    let mut encoder = encoder(*compression);
    (0..BATCHES).flat_map(|_| batches.next()).for_each(|event| encoder.add(&event));
    let bytes = encoder.finish().expect("events are encoded");
    bencher.counter(count()).bench_local(|| {
        let mut recording = Recording::open(Cursor::new(&bytes)).expect("it was just made");
        while let Some(events) = recording.next_batch().expect("its columns are ours") {
            black_box(events);
        }
    });
}

fn encoder(compression: Compression) -> Encoder {
    Encoder::new(&metadata(), compression).expect("all compressions are part of the build")
}

fn count() -> ItemsCount {
    ItemsCount::new(BATCHES * crate::BATCH)
}
