//! Events to changes.

use divan::Bencher;
use tcptrace::{
    model::{
        filter::Filter,
        findings::{detector, limits::Limits},
        tracker::Options,
    },
    pipeline::Pipeline,
};
use tcptrace_bench::generate::clock;

use crate::{Batches, events};

#[divan::bench]
fn track_for_watch(bencher: Bencher<'_, '_>) {
    feed(bencher, Pipeline::tracked(Options::default(), Filter::default(), clock()));
}

#[divan::bench]
fn track_for_stuck(bencher: Bencher<'_, '_>) {
    let stuck = detector::Options::default();
    feed(bencher, Pipeline::stuck(Options::default(), stuck, clock()));
}

#[divan::bench]
fn track_for_record(bencher: Bencher<'_, '_>) {
    let (filter, limits) = (Filter::default(), Limits::default());
    feed(bencher, Pipeline::recorded(Options::default(), filter, limits, clock(), false));
}

fn feed(bencher: Bencher<'_, '_>, mut pipeline: Pipeline) {
    let mut batches = Batches::new();
    bencher.counter(events()).with_inputs(|| batches.next()).bench_local_refs(|batch| {
        for event in batch {
            pipeline.feed(event);
            pipeline.shown().for_each(drop);
        }
    });
}
