use std::fs;
use tcptrace::{event::Event, recording::{Compression, Encoder, Recording}};
#[test]
fn make() {
    let Ok(from) = std::env::var("SAMPLE") else { return };
    let to = std::env::var("SAMPLE_TO").unwrap();
    let mut recording = Recording::open(fs::File::open(from).unwrap()).unwrap();
    let metadata = recording.metadata().clone();
    let mut batches = Vec::new();
    while let Some(events) = recording.next_batch().unwrap() {
        let events: Vec<Event> = events.into_iter().filter(|event| match event {
            Event::Holder(h) => ["server", "client"].iter().any(|n| h.process.comm.as_bytes() == n.as_bytes()),
            Event::Process(_) => false,
            Event::Socket(s) => s.netns == metadata.sysctls.netns,
            Event::DumpEnd(_) => true,
            Event::Tick(_) => true,
            _ => true,
        }).map(|event| match event {
            Event::DumpEnd(mut end) => { end.netns.retain(|n| *n == metadata.sysctls.netns); Event::DumpEnd(end) }
            event => event,
        }).collect();
        batches.push(events);
    }
    let write = |name: &str, batches: &[Vec<Event>], compression| {
        let mut encoder = Encoder::new(&metadata, compression).unwrap();
        let mut bytes = Vec::new();
        for batch in batches { batch.iter().for_each(|e| encoder.add(e)); bytes.extend(encoder.close_batch().unwrap()); }
        bytes.extend(encoder.finish().unwrap());
        fs::write(format!("{to}/{name}"), &bytes).unwrap();
        eprintln!("{name} {} bytes {} batches", bytes.len(), batches.len());
    };
    write("format-1.arrows", &batches, Compression::Zstd);
    let some: Vec<Event> = batches.concat();
    let mut few: Vec<Event> = some.iter().filter(|e| !matches!(e, Event::Tick(_))).take(40).cloned().collect();
    few.push(Event::Tick(tcptrace::time::Timestamp(1)));
    write("zstd", &[few.clone()], Compression::Zstd);
    write("lz4", &[few.clone()], Compression::Lz4);
    write("none", &[few[..12].to_vec(), few[12..20].to_vec()], Compression::None);
    write("empty", &[], Compression::Zstd);
}
