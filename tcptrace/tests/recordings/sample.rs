//! Small recordings.

use tcptrace::{
    event::{Comm, Event, Fork, Holder, Lost, LostWhy, Process, ProcessDetails},
    recording::{Compression, Encoder, Metadata, Recording},
    time::Timestamp,
};

/// A few events, with a command name, text and a number in them.
pub(crate) fn events() -> Vec<Event> {
    let process = Process { pid: 812, comm: Comm::from("server") };
    vec![
        Event::Tick(Timestamp(1)),
        Event::Fork(Fork { at: Timestamp(2), parent: 1, child: 812 }),
        Event::Holder(Holder { skaddr: Some(1), cookie: Some(2), inode: 3, process, fd: 4 }),
        Event::Process(ProcessDetails {
            pid: 812,
            cmdline: Some(b"server\0--port\0".to_vec()),
            cgroup: Some("/system.slice/server.service".to_owned()),
        }),
        Event::Lost(Lost { at: Timestamp(5), count: 6, why: LostWhy::RingFull }),
    ]
}

/// A recording of these events, a batch of each list.
pub(crate) fn recorded(batches: &[Vec<Event>], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(&Metadata::default(), compression).expect("an encoder");
    let mut bytes = Vec::new();
    for batch in batches {
        batch.iter().for_each(|event| encoder.add(event));
        bytes.extend(encoder.close_batch().expect("a batch"));
    }
    bytes.extend(encoder.finish().expect("an end"));
    bytes
}

/// The events of what may be a recording, and what is wrong with it.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Event>, Option<String>) {
    let mut recording = match Recording::open(bytes) {
        Ok(recording) => recording,
        Err(error) => return (Vec::new(), Some(format!("{error:#}"))),
    };
    let mut events = Vec::new();
    loop {
        match recording.next_batch() {
            Ok(Some(batch)) => events.extend(batch),
            Ok(None) => return (events, recording.tail().broken.clone()),
            Err(error) => return (events, Some(format!("{error:#}"))),
        }
    }
}
