//! Where the time of a transition goes in userspace, stage by stage, without a kernel.

use std::{fs::File, io::Write as _};

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use jiff::tz::TimeZone;
use tcptrace::{
    event::Event,
    kernel::decode,
    model::{change::Change, filter::Filter, findings::limits::Limits, tracker},
    output::{
        style::{Format, Style},
        times::Times,
        transitions::Transitions,
    },
    pipeline::Pipeline,
    recording::{Compression, Encoder},
};

use crate::{
    generate::{clock, metadata},
    options::Bench,
    process_cost::thread_ns,
    records::{JIFFY_NS, record},
    sheet::{Measure, Sheet},
    traffic::Traffic,
};

const CPU: Measure = Measure { name: "CPU", unit: "ns each", budget: None };

/// As many connections as there are at a time on a host that opens and closes as many as it can.
const OPEN: u64 = 1000;
/// Events that the tracer finds when it looks at its buffer after 4 ms of full load.
const LOOK: u64 = 2800;

/// The stages; what each is counted under.
const STAGES: [&str; 9] = [
    "decode",
    "track, for watch",
    "format, as a table",
    "write, as a table",
    "format, as JSON",
    "write, as JSON",
    "track, for record",
    "encode",
    "write, a recording",
];

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let mut stages = Stages::new(bench)?;
    let traffic = Traffic::new(OPEN, 0);
    let mut number = 0;
    while number < bench.effort.tracked_events {
        let events = (number..number + LOOK).map(|number| {
            let event = traffic.event(number, Traffic::time(number));
            record(&event).context("the kernel programs tell of such events")
        });
        let records = events.collect::<Result<Vec<_>>>()?;
        stages.pass(&records)?;
        number += LOOK;
    }
    for (stage, spent) in STAGES.iter().zip(stages.spent) {
        sheet.add(CPU, stage, spent as f64 / stages.transitions as f64);
    }
    Ok(())
}

/// All that a batch goes through, and the time that it took in each stage so far.
struct Stages {
    watch: Pipeline,
    record: Pipeline,
    table: Transitions,
    json: Transitions,
    encoder: Encoder,
    file: File,
    events: Vec<Event>,
    changes: Vec<Change>,
    out: BytesMut,
    spent: [u64; STAGES.len()],
    transitions: u64,
}

impl Stages {
    fn new(bench: &Bench) -> Result<Self> {
        let lines = |format| {
            let times = Times::new(TimeZone::UTC, clock(), clock().boot);
            Transitions::new(Style::new(format), times)
        };
        let (options, filter) = (tracker::Options::default(), Filter::default());
        let limits = Limits::default();
        let path = bench.file("stages");
        Ok(Self {
            watch: Pipeline::tracked(options.clone(), filter.clone(), clock()),
            record: Pipeline::recorded(options, filter, limits, clock(), false),
            table: lines(Format::Table),
            json: lines(Format::Json),
            encoder: Encoder::new(&metadata(), Compression::Zstd)?,
            file: File::create(&path).with_context(|| format!("cannot make {path}"))?,
            events: Vec::new(),
            changes: Vec::new(),
            out: BytesMut::new(),
            spent: [0; STAGES.len()],
            transitions: 0,
        })
    }

    /// Takes a batch through all stages.
    fn pass(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let mut clock = Lap::begin();
        for bytes in records {
            self.events.extend(decode::event(bytes, JIFFY_NS));
        }
        self.spent[0] += clock.lap();
        for event in &self.events {
            self.watch.feed(event);
            self.changes.extend(self.watch.shown());
        }
        self.spent[1] += clock.lap();
        for (lines, format, write) in [(&mut self.table, 2, 3), (&mut self.json, 4, 5)] {
            clock.lap();
            for change in &self.changes {
                if let Change::Moved(moved) = change {
                    lines.line(&mut self.out, moved);
                }
            }
            self.spent[format] += clock.lap();
            self.file.write_all(&self.out)?;
            self.spent[write] += clock.lap();
            self.out.clear();
        }
        for event in &self.events {
            self.record.feed(event);
            self.record.shown().for_each(drop);
        }
        self.spent[6] += clock.lap();
        for event in &self.events {
            self.encoder.add(event);
        }
        let batch = if self.encoder.is_full() { self.encoder.close_batch()? } else { Vec::new() };
        self.spent[7] += clock.lap();
        self.file.write_all(&batch)?;
        self.spent[8] += clock.lap();
        let is_transition = |event: &&Event| matches!(event, Event::Transition(_));
        self.transitions += self.events.iter().filter(is_transition).count() as u64;
        self.events.clear();
        self.changes.clear();
        Ok(())
    }
}

/// CPU time of this thread, in parts.
struct Lap(u64);

impl Lap {
    fn begin() -> Self {
        Self(thread_ns())
    }

    /// Nanoseconds since the last time.
    fn lap(&mut self) -> u64 {
        let now = thread_ns();
        now - std::mem::replace(&mut self.0, now)
    }
}
