//! Any records, one after the other, as far as the text about them: no panic, nothing that a terminal
//! would obey, and JSON that can be read.
#![no_main]

use bytes::BytesMut;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use tcptrace::{
    event::{DumpEnd, Event},
    kernel::decode,
    live::Sink as _,
    model::tracker::Options,
    output::{
        style::{Format, Style},
        times::Times,
        transitions::Transitions,
    },
    pipeline::Pipeline,
    time::{ClockSample, Timestamp},
};

const JIFFY_NS: u64 = 4_000_000;

fuzz_target!(|bytes: &[u8]| {
    let clock = ClockSample { boot: Timestamp(1 << 40), wall_ns: 1 << 60 };
    let formats = [Format::Table, Format::Csv, Format::Json, Format::Bcc, Format::BccCsv];
    let mut texts = formats.map(|format| {
        let style = Style { wide: true, time: true, seconds: true, ..Style::new(format) };
        let lines = Transitions::new(style, Times::new(TimeZone::UTC, clock, clock.boot));
        (format, lines, BytesMut::new())
    });
    let options = Options { max_connections: 8, max_minisocks: 4, ..Options::default() };
    let mut pipeline = Pipeline::tracked(options, Default::default(), clock);
    let mut tell = |pipeline: &mut Pipeline| {
        pipeline.tell_shown(|change| {
            for (_, lines, text) in &mut texts {
                lines.change(change, &clock, text);
            }
        });
    };
    for event in events(bytes) {
        pipeline.feed(&event);
        tell(&mut pipeline);
    }
    pipeline.finish();
    tell(&mut pipeline);
    for (format, _, text) in texts {
        let text = str::from_utf8(&text).expect("text");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        for line in text.lines().filter(|_| format == Format::Json) {
            let read: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(read["type"], "transition");
        }
    }
});

/// Each is a byte that says what follows, one with the length of it, and a record.
fn events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut now = Timestamp(0);
    while let [kind, length, rest @ ..] = bytes {
        let (record, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let event = match kind % 5 {
            0 => decode::event(record, JIFFY_NS),
            1 => decode::socket(record, JIFFY_NS).map(Event::Socket),
            2 => decode::next_holder(&mut &*record, JIFFY_NS)
                .and_then(|(holder, _)| holder.map(Event::Holder)),
            3 => Some(Event::DumpEnd(DumpEnd { started: now, netns: vec![1] })),
            _ => Some(Event::Tick(now)),
        };
        match &event {
            Some(Event::Transition(transition)) => now = now.max(transition.at),
            Some(Event::Socket(socket)) => now = now.max(socket.at),
            _ => {}
        }
        events.extend(event);
    }
    events
}
