//! Bytes of the kernel programs to events.

use divan::{Bencher, black_box};
use tcptrace::kernel::decode;
use tcptrace_bench::records::{JIFFY_NS, record};

use crate::{Batches, events};

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let mut batches = Batches::new();
    let records: Vec<Vec<u8>> = batches.next().iter().filter_map(record).collect();
    let mut decoded = Vec::new();
    bencher.counter(events()).bench_local(|| {
        decoded.clear();
        decoded
            .extend(records.iter().filter_map(|bytes| decode::event(black_box(bytes), JIFFY_NS)));
    });
}
