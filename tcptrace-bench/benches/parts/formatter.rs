//! Changes to lines.

use bytes::BytesMut;
use divan::{Bencher, counter::ItemsCount};
use jiff::tz::TimeZone;
use tcptrace::{
    model::{
        change::{Change, Moved},
        filter::Filter,
        tracker::Options,
    },
    output::{
        style::{Format, Style},
        times::Times,
        transitions::Transitions,
    },
    pipeline::Pipeline,
};
use tcptrace_bench::generate::clock;

use crate::Batches;

#[divan::bench(args = [Format::Table, Format::Csv, Format::Json])]
fn format(bencher: Bencher<'_, '_>, format: &Format) {
    let times = Times::new(TimeZone::UTC, clock(), clock().boot);
    let mut lines = Transitions::new(Style::new(*format), times);
    let moved = transitions();
    let mut out = BytesMut::new();
    bencher.counter(ItemsCount::new(moved.len())).bench_local(|| {
        out.clear();
        moved.iter().for_each(|moved| lines.line(&mut out, moved));
    });
}

/// Those of some batches, so that all kinds are there.
fn transitions() -> Vec<Moved> {
    let mut pipeline = Pipeline::tracked(Options::default(), Filter::default(), clock());
    let mut batches = Batches::new();
    let mut all = Vec::new();
    for _ in 0..8 {
        batches.next().iter().for_each(|event| pipeline.feed(event));
        all.extend(pipeline.shown().filter_map(|change| match change {
            Change::Moved(moved) => Some(moved),
            _ => None,
        }));
    }
    all
}
