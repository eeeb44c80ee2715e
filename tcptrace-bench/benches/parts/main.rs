//! The parts that an event passes through, each alone: `cargo bench -p tcptrace-bench`.
//!
//! A sample is a batch of events, as many as the tracer finds in its buffer under full load; the column
//! of items per second is of events.

mod decoder;
mod formatter;
mod recorder;
mod tracker;

use divan::counter::ItemsCount;
use tcptrace::event::Event;
use tcptrace_bench::traffic::Traffic;

/// Events of a batch.
const BATCH: u64 = 2800;
/// Connections that are open at the same time.
const OPEN: u64 = 1000;

fn main() {
    divan::main();
}

/// Batches of events, one after the other.
struct Batches {
    traffic: Traffic,
    next: u64,
}

impl Batches {
    fn new() -> Self {
        Self { traffic: Traffic::new(OPEN, 0), next: 0 }
    }

    fn next(&mut self) -> Vec<Event> {
        let numbers = self.next..self.next + BATCH;
        self.next = numbers.end;
        numbers.map(|number| self.traffic.event(number, Traffic::time(number))).collect()
    }
}

/// What items per second counts.
fn events() -> ItemsCount {
    ItemsCount::new(BATCH)
}
