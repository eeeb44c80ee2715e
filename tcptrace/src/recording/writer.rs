//! Events to the bytes of a recording.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow_ipc::{
    CompressionType, MetadataVersion,
    writer::{IpcWriteOptions, StreamWriter},
};
use arrow_schema::Schema;

use super::{
    Metadata,
    rows::texts,
    schema::{self, Block, Columns},
    turn::BLOCK,
};
use crate::event::Event;

/// Rows of a batch, at most.
const MAX_ROWS: usize = 65_536;
/// Bytes of text in a batch, roughly: a reader need not believe in more than some times as many.
const MAX_TEXT: usize = 16 << 20;

/// Columns begin at multiples of so many bytes. At the usual 64 a batch of a quiet host, which has few
/// rows and every column, would be mostly padding.
const ALIGNMENT: usize = 8;

/// How hard zstd tries: a tenth less time than at 1, for a byte more per transition.
const LEVEL: i32 = -1;

/// How the bytes of columns are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Small and fast.
    #[default]
    Zstd,
    /// Faster, and larger.
    Lz4,
    /// Not at all.
    None,
}

/// Turns events into the bytes of a recording, batch by batch.
pub struct Encoder {
    columns: Columns,
    /// The last rows, which are not in the columns yet.
    block: Box<Block>,
    /// How many they are, less than a block.
    open: usize,
    rows: usize,
    /// There is no room for another block.
    is_full: bool,
    text: usize,
    schema: Arc<Schema>,
    stream: StreamWriter<Vec<u8>>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder of a new recording.
    ///
    /// # Errors
    /// If the compression is not part of this build.
    pub fn new(metadata: &Metadata, compression: Compression) -> Result<Self> {
        let compression = match compression {
            Compression::Zstd => (Some(CompressionType::ZSTD), Some(LEVEL)),
            Compression::Lz4 => (Some(CompressionType::LZ4_FRAME), None),
            Compression::None => (None, None),
        };
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?
            .try_with_compression(compression.0)?
            .try_with_compression_level(compression.1)?;
        let schema = schema::schema(metadata.write());
        let stream = StreamWriter::try_new_with_options(Vec::new(), &schema, options)
            .context("cannot begin a recording")?;
        let columns = Columns::default();
        Ok(Self {
            columns,
            block: Box::default(),
            open: 0,
            rows: 0,
            is_full: false,
            text: 0,
            schema,
            stream,
        })
    }

    /// Adds an event to the open batch.
    pub fn add(&mut self, event: &Event) {
        self.block.write(self.open, event);
        let (text, cgroup) = texts(event);
        if let Some(text) = text {
            self.text += text.len();
            self.columns.text.set(self.rows, &text);
        }
        if let Some(cgroup) = cgroup {
            self.text += cgroup.len();
            self.columns.cgroup.set(self.rows, cgroup);
        }
        self.rows += 1;
        self.open += 1;
        if self.open == BLOCK {
            self.take_block();
        }
    }

    fn take_block(&mut self) {
        self.columns.take(self.rows - self.open, self.open, &mut self.block);
        self.is_full = self.rows >= MAX_ROWS || self.columns.is_full();
        self.open = 0;
    }

    /// Events in the open batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the open batch should be closed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full || self.text >= MAX_TEXT
    }

    /// Closes the open batch, if it has any event; returns the bytes to be written in one go.
    ///
    /// # Errors
    /// If a batch cannot be encoded.
    pub fn close_batch(&mut self) -> Result<Vec<u8>> {
        if self.rows > 0 {
            self.take_block();
            let batch =
                self.columns.batch(&self.schema, self.rows).context("cannot close a batch")?;
            (self.rows, self.text, self.is_full) = (0, 0, false);
            self.stream.write(&batch).context("cannot encode a batch")?;
        }
        Ok(std::mem::take(self.stream.get_mut()))
    }

    /// Drops the open batch; returns how many events were in it. Only an open batch may be dropped: a
    /// closed one may have the dictionary that those after it go on with.
    pub fn drop_batch(&mut self) -> usize {
        self.columns = Columns::default();
        (self.open, self.text, self.is_full) = (0, 0, false);
        std::mem::take(&mut self.rows)
    }

    /// Ends the recording; returns its last bytes.
    ///
    /// # Errors
    /// If the last batch cannot be encoded.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let mut bytes = self.close_batch()?;
        self.stream.finish().context("cannot end a recording")?;
        bytes.append(self.stream.get_mut());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use tcptrace_common::tcp_state::TcpState;

    use super::{Compression, Encoder, Metadata};
    use crate::{
        event::{
            Comm, Counters, DumpEnd, Endpoint, Ends, Event, Fork, Holder, Hook, HookKind, Lost,
            LostWhy, Process, ProcessDetails, Shape, Socket, SocketFields, Sysctl, Sysctls, Timer,
            TimerKind, Transition, Tuple,
        },
        recording::Recording,
        time::{ClockSample, Timestamp},
    };

    const AT: Timestamp = Timestamp(1_000_000_000_123);

    fn tuple(addr: [u16; 8], v4mapped: bool) -> Tuple {
        let addr = IpAddr::from(addr).to_canonical();
        let end = |port| Endpoint { addr: Some(addr), port };
        Tuple { local: end(Some(65_535)), remote: end(None), v4mapped, ipv6: v4mapped }
    }

    fn socket(state: TcpState, shape: Shape) -> Socket {
        Socket {
            at: AT,
            skaddr: Some(u64::MAX),
            cookie: None,
            state,
            shape,
            tuple: tuple([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1], false),
            netns: 4_026_531_840,
            inode: Some(7),
            kernel: Some(false),
            recv_q: 1,
            send_q: u32::MAX,
            timer: Some(Timer { kind: TimerKind::Probe, expires: AT, retransmits: 255 }),
            last_ack: Some(AT),
            last_data: None,
            last_sent: Some(Timestamp(0)),
            waiting: Some(AT),
            cgroup: None,
        }
    }

    /// An event of each kind, full and bare.
    fn events() -> Vec<Event> {
        let process = Process { pid: 812, comm: Comm(*b"\xff\x1bfifteen bytes\0") };
        let transition = Transition {
            at: AT,
            skaddr: 0xffff_8881_0000_0001,
            cookie: Some(77),
            from: TcpState::FinWait2,
            to: TcpState::Close,
            tuple: tuple([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], false),
            netns: Some(1),
            socket: Some(SocketFields {
                owned: true,
                done: true,
                err: 104,
                shutdown: 3,
                inode: Some(9),
                ..SocketFields::default()
            }),
            on_cpu: Some(process),
            counters: Some(Counters { tx_bytes: 1, rx_bytes: 2, retransmits: 3, srtt_us: None }),
            cgroup: Some(5),
            orphan_lifetime: Some(Duration::from_secs(60)),
        };
        let bare = Transition {
            cookie: None,
            tuple: Tuple::default(),
            netns: None,
            socket: None,
            on_cpu: None,
            counters: None,
            cgroup: None,
            orphan_lifetime: None,
            ..transition
        };
        let settings = [(Sysctl::TcpFinTimeout, "60".to_owned())];
        let mut events = vec![
            Event::Clock(ClockSample { boot: AT, wall_ns: -1 }),
            Event::Transition(transition),
            Event::Transition(bare),
            Event::DumpEnd(DumpEnd { started: AT, netns: vec![1, u32::MAX] }),
            Event::DumpEnd(DumpEnd { started: AT, netns: Vec::new() }),
            Event::Holder(Holder { skaddr: None, cookie: Some(1), inode: 9, process, fd: 3 }),
            Event::Fork(Fork { at: AT, parent: 1, child: 2 }),
            Event::Process(ProcessDetails {
                pid: 1,
                cmdline: Some(b"a\0b\xff\0".to_vec()),
                cgroup: Some("/x".to_owned()),
            }),
            Event::Process(ProcessDetails { pid: 1, cmdline: None, cgroup: None }),
            Event::Sysctls(Sysctls::new(1, settings)),
            Event::SnapshotEnd(AT),
            Event::Tick(AT),
        ];
        let ends = Ends { netns: 1, tuple: tuple([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], false) };
        for kind in [
            HookKind::Destroyed,
            HookKind::ResetReceived,
            HookKind::ResetSent,
            HookKind::Accepted(process),
            HookKind::TimeWaitMade,
            HookKind::OrphanMade,
            HookKind::NoMinisock,
            HookKind::MinisockGotFin(ends),
            HookKind::MinisockReset(ends),
            HookKind::MinisockEnded(ends),
        ] {
            events.push(Event::Hook(Hook { at: AT, skaddr: 1, cookie: None, kind }));
        }
        for why in
            [LostWhy::RingFull, LostWhy::Recursion, LostWhy::Undecodable, LostWhy::RecorderBehind]
        {
            events.push(Event::Lost(Lost { at: AT, count: u64::MAX, why }));
        }
        for state in TcpState::ALL {
            for shape in [Shape::Full, Shape::Minisock, Shape::Request] {
                events.push(Event::Socket(socket(state, shape)));
            }
        }
        let mapped = tuple([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1], true);
        events
            .push(Event::Socket(Socket { tuple: mapped, ..socket(TcpState::Close, Shape::Full) }));
        events
    }

    fn metadata() -> Metadata {
        Metadata {
            tool: "0.1.0".to_owned(),
            host: "host\n".to_owned(),
            clock: ClockSample { boot: AT, wall_ns: i64::MIN },
            reset_hook: true,
            ..Metadata::default()
        }
    }

    fn recorded(events: &[Event], compression: Compression, per_batch: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(&metadata(), compression).expect("an encoder");
        let mut bytes = Vec::new();
        for batch in events.chunks(per_batch) {
            batch.iter().for_each(|event| encoder.add(event));
            bytes.extend(encoder.close_batch().expect("a batch"));
        }
        bytes.extend(encoder.finish().expect("an end"));
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
            for per_batch in [1, 3, 1000] {
                let bytes = recorded(&events(), compression, per_batch);
                let mut recording = Recording::open(bytes.as_slice()).expect("a recording");
                assert_eq!(*recording.metadata(), metadata());
                let mut read = Vec::new();
                while let Some(events) = recording.next_batch().expect("whole") {
                    read.extend(events);
                }
                assert_eq!(read, events(), "{compression:?}, {per_batch} in a batch");
                assert!(recording.tail().is_whole());
            }
        }
    }

    #[test]
    fn a_batch_has_no_more_addresses_than_places_for_them() {
        let all = events();
        let Some(Event::Transition(one)) = all.get(1) else {
            panic!("the first is a transition");
        };
        let from = |host: u32| {
            let addr = Some(IpAddr::from(host.to_be_bytes()));
            let remote = Endpoint { addr, port: Some(7) };
            let local =
                Endpoint { addr: Some(IpAddr::from([10, 0, 0, host as u8 % 3])), port: None };
            Event::Transition(Transition { tuple: Tuple { local, remote, ..one.tuple }, ..*one })
        };
        let events: Vec<Event> = (1..100_000).map(from).collect();
        let mut encoder = Encoder::new(&metadata(), Compression::Zstd).expect("an encoder");
        let (mut bytes, mut batches) = (Vec::new(), 0);
        for event in &events {
            encoder.add(event);
            if encoder.is_full() {
                batches += 1;
                bytes.extend(encoder.close_batch().expect("a batch"));
            }
        }
        bytes.extend(encoder.finish().expect("an end"));
        assert_eq!(batches, 3);
        let mut recording = Recording::open(bytes.as_slice()).expect("a recording");
        let mut read = Vec::new();
        while let Some(events) = recording.next_batch().expect("whole") {
            read.extend(events);
        }
        assert!(read == events);
    }

    #[test]
    fn a_recording_cut_anywhere_gives_its_whole_batches() {
        let events = &events()[..9];
        let bytes = recorded(events, Compression::None, 4);
        let mut most = 0;
        for length in 0..bytes.len() {
            let Ok(mut recording) = Recording::open(&bytes[..length]) else {
                assert_eq!(most, 0, "cut at {length}");
                continue;
            };
            let mut read = Vec::new();
            while let Ok(Some(events)) = recording.next_batch() {
                read.extend(events);
            }
            assert_eq!(read, events[..read.len()], "cut at {length}");
            assert!(read.len() >= most, "cut at {length}");
            most = read.len();
        }
        assert_eq!(most, events.len());
    }
}
