//! The same events taken in live, and read again from what was recorded of them: the same text.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use bytes::BytesMut;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tcptrace::{
    commands::tracing::{WithLosses, times},
    event::{Comm, DumpEnd, Event, Holder, Process, ProcessDetails, Shape, Socket, Transition},
    live::Sink,
    model::{
        change::Change,
        filter::Filter,
        findings::{detector, limits::Limits},
        tracker::Options,
    },
    output::{
        connections::Connections,
        stuck::Findings,
        style::{Format, Style},
        transitions::Transitions,
    },
    pipeline::Pipeline,
    recording::{Compression, Encoder, Metadata, Recording},
    teller::Teller,
    time::{ClockSample, Timestamp},
};

use crate::{
    properties::time_of,
    random_events::{START, events},
};

const CLOCK: ClockSample = ClockSample { boot: START, wall_ns: 1_795_170_660_000_000_000 };
const LENGTH: usize = 60;

/// A command that reads a trace.
#[derive(Clone, Copy, Debug)]
enum View {
    Watch,
    Lifetimes,
    Stuck,
}

/// With what its lines are about.
const VIEWS: [(View, &str); 3] = [
    (View::Watch, "\"type\":\"transition\""),
    (View::Lifetimes, "\"type\":\"connection\""),
    (View::Stuck, "\"type\":\"stuck\""),
];
const FORMATS: [Format; 3] = [Format::Table, Format::Csv, Format::Json];

/// Hands a teller what its run feeds, and gives the text that comes of it.
fn told(
    view: View,
    format: Format,
    clock: ClockSample,
    run: impl FnOnce(&mut Teller<'_>),
) -> String {
    let style = Style { time: true, seconds: true, ..Style::new(format) };
    let (times, json) = (times(clock), format == Format::Json);
    let sink: Box<dyn Sink> = match view {
        View::Watch => Box::new(WithLosses { sink: Transitions::new(style, times), json }),
        View::Lifetimes => Box::new(WithLosses { sink: Connections::new(style, times), json }),
        View::Stuck => Box::new(WithLosses { sink: Findings::new(style, times, false), json }),
    };
    let mut pipeline = match view {
        View::Watch | View::Lifetimes => {
            Pipeline::tracked(Options::default(), Filter::default(), clock)
        }
        View::Stuck => {
            let limits = Limits::all(Duration::from_millis(1));
            let stuck = detector::Options { limits, ..detector::Options::default() };
            Pipeline::stuck(Options::default(), stuck, clock)
        }
    };
    let text = Rc::default();
    let mut kept = Kept { sink, text: Rc::clone(&text) };
    let mut teller = Teller::new(&mut pipeline, &mut kept);
    run(&mut teller);
    teller.finish();
    let text = text.borrow();
    String::from_utf8(text.to_vec()).expect("UTF-8")
}

/// A sink whose text is kept instead of being written.
struct Kept {
    sink: Box<dyn Sink>,
    text: Rc<RefCell<BytesMut>>,
}

impl Sink for Kept {
    fn header(&self, _: &mut BytesMut) {
        self.sink.header(&mut self.text.borrow_mut());
    }

    fn change(&mut self, change: &Change, clock: &ClockSample, _: &mut BytesMut) {
        self.sink.change(change, clock, &mut self.text.borrow_mut());
    }

    fn flush(&mut self, _: &mut BytesMut) {
        self.sink.flush(&mut self.text.borrow_mut());
    }
}

/// What the live loop does with events: each is fed and recorded, and so is the time that passes
/// between them, as often as the teller wants, by `shares` of what is left until the next.
fn live(events: &[Event], shares: &[u64], teller: &mut Teller<'_>) -> Vec<u8> {
    let metadata = Metadata { clock: CLOCK, ..Metadata::default() };
    let mut encoder = Encoder::new(&metadata, Compression::Zstd).expect("an encoder");
    let mut bytes = Vec::new();
    let mut now = START;
    for (index, event) in events.iter().enumerate() {
        // No earlier event may come afterwards.
        let limit = events[index..].iter().filter_map(time_of).min().unwrap_or(now);
        for share in [shares[index], 4] {
            now = Timestamp(now.0 + limit.0.saturating_sub(now.0) / 4 * share);
            if teller.wants_tick(now) {
                feed(&Event::Tick(now), teller, &mut encoder);
            }
            assert!(!teller.wants_tick(now), "a line is late");
        }
        feed(event, teller, &mut encoder);
        if shares[index] == 0 {
            bytes.extend(encoder.close_batch().expect("a batch"));
        }
    }
    bytes.extend(encoder.finish().expect("an end"));
    bytes
}

fn feed(event: &Event, teller: &mut Teller<'_>, encoder: &mut Encoder) {
    teller.feed(event);
    encoder.add(event);
}

fn replay(mut recording: Recording<&[u8]>, teller: &mut Teller<'_>) {
    while let Some(events) = recording.next_batch().expect("a whole recording") {
        events.iter().for_each(|event| teller.feed(event));
    }
    assert!(recording.tail().is_whole());
}

/// The events, with snapshots of the socket that moved last and steps of the wall clock among them.
fn with_snapshots(events: &[Event], shares: &[u64]) -> Vec<Event> {
    let mut all = Vec::new();
    let mut last = None;
    for (event, share) in events.iter().zip(shares) {
        if let (0..3, Some(moved), Some(at)) = (share, last, time_of(event)) {
            all.extend(snapshot(&moved, at));
        }
        all.push(event.clone());
        match event {
            Event::Transition(moved) => last = Some(*moved),
            Event::Holder(_) | Event::Lost(_) => {
                let wall_ns = CLOCK.wall_ns + i64::try_from(all.len()).expect("few") * 7_000_000;
                all.push(Event::Clock(ClockSample { wall_ns, ..CLOCK }));
            }
            _ => {}
        }
    }
    all
}

/// A snapshot that shows one socket, and who holds it.
fn snapshot(moved: &Transition, at: Timestamp) -> [Event; 5] {
    let process = Process { pid: 7, comm: Comm::from("srv") };
    let inode = moved.socket.and_then(|fields| fields.inode);
    let row = Socket {
        at,
        skaddr: Some(moved.skaddr),
        cookie: moved.cookie,
        state: moved.to,
        shape: Shape::Full,
        tuple: moved.tuple,
        netns: 1,
        inode,
        kernel: None,
        recv_q: 0,
        send_q: 0,
        timer: None,
        last_ack: None,
        last_data: None,
        last_sent: None,
        waiting: None,
        cgroup: None,
    };
    let inode = inode.unwrap_or_default();
    let cmdline = Some(b"srv\0".to_vec());
    [
        Event::Socket(row),
        Event::DumpEnd(DumpEnd { started: at, netns: vec![1] }),
        Event::Holder(Holder { skaddr: None, cookie: None, inode, process, fd: 3 }),
        Event::Process(ProcessDetails { pid: process.pid, cmdline, cgroup: None }),
        Event::SnapshotEnd(at),
    ]
}

#[test]
fn what_is_told_live_is_told_of_the_recording() {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let lines = [const { Cell::new(0) }; VIEWS.len()];
    let shares = vec(0..=4_u64, 7 * LENGTH);
    let tested = TestRunner::new(config).run(&(events(LENGTH), shares), |(events, shares)| {
        let events = with_snapshots(&events, &shares);
        for ((view, line), lines) in VIEWS.iter().zip(&lines) {
            for format in FORMATS {
                let mut bytes = Vec::new();
                let was = told(*view, format, CLOCK, |teller| {
                    bytes = live(&events, &shares, teller);
                });
                let recording = Recording::open(bytes.as_slice()).expect("a recording");
                let clock = recording.metadata().clock;
                let is = told(*view, format, clock, |teller| replay(recording, teller));
                lines.set(lines.get() + was.matches(line).count());
                prop_assert_eq!(was, is);
            }
        }
        Ok(())
    });
    tested.unwrap_or_else(|failed| panic!("{failed}"));
    let lines = lines.map(|lines| lines.get());
    assert!(lines.iter().all(|lines| *lines > 500), "too few to mean anything: {lines:?}");
}
