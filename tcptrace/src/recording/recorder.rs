//! Writing a recording while events come: encoded here, written by a thread of its own.

use std::{
    io::Write,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{Compression, Encoder, Metadata};
use crate::{
    event::{Event, Lost, LostWhy},
    time::Timestamp,
};

/// A recording that is killed loses at most what came in this time.
const BATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Batches that may wait to be written. What comes while these many wait is lost, for the kernel's
/// buffer must not wait for a disk.
const WAITING_BATCHES: usize = 64;

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder {
    encoder: Option<Encoder>,
    sender: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<Result<()>>>,
    failures: Receiver<()>,
    opened: Instant,
    /// A batch for which there was no room, to be handed over before any other.
    waiting: Option<Vec<u8>>,
    /// Events of batches that were dropped, and are not told yet.
    dropped: u64,
    /// What was written or waits to be.
    progress: Progress,
    report: Report,
}

/// Called once a second, at most.
struct Report(Box<dyn FnMut(Progress)>);

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Report")
    }
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// Events lost because the writer was behind.
    pub lost: u64,
}

impl Recorder {
    /// A recorder that writes to `sink`, which it closes at the end; with `sync` each batch is on the
    /// disk before the next is written. `report` is told once a second how far it is.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new<W: Write + Send + 'static>(
        metadata: &Metadata,
        compression: Compression,
        sink: W,
        sync: impl Fn(&W) -> std::io::Result<()> + Send + 'static,
        report: impl FnMut(Progress) + 'static,
    ) -> Result<Self> {
        let encoder = Encoder::new(metadata, compression)?;
        let (sender, batches) = mpsc::sync_channel(WAITING_BATCHES);
        let (fail, failures) = mpsc::sync_channel(1);
        let writer = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let written = write_all(sink, &batches, sync);
                if written.is_err() {
                    // Nobody listens only if the recorder is gone.
                    _ = fail.try_send(());
                }
                written
            })
            .context("cannot start the thread that writes the recording")?;
        Ok(Self {
            encoder: Some(encoder),
            sender: Some(sender),
            writer: Some(writer),
            failures,
            opened: Instant::now(),
            waiting: None,
            dropped: 0,
            progress: Progress::default(),
            report: Report(Box::new(report)),
        })
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If the recording cannot be written any more; the message says why.
    pub fn add(&mut self, event: &Event) -> Result<()> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(());
        };
        encoder.add(event);
        self.progress.events += 1;
        if encoder.is_full() { self.close_batch() } else { Ok(()) }
    }

    /// Lets time pass: closes the open batch once a second.
    ///
    /// # Errors
    /// If the recording cannot be written any more.
    pub fn advance_to(&mut self, now: Timestamp) -> Result<()> {
        if self.failures.try_recv().is_ok() {
            return self.fail();
        }
        if self.opened.elapsed() < BATCH_INTERVAL {
            return Ok(());
        }
        self.tell_dropped(now);
        (self.report.0)(self.progress);
        self.close_batch()
    }

    /// Says in the open batch what is missing before it.
    fn tell_dropped(&mut self, now: Timestamp) {
        if let Some(encoder) = self.encoder.as_mut().filter(|_| self.dropped > 0) {
            let count = std::mem::take(&mut self.dropped);
            encoder.add(&Event::Lost(Lost { at: now, count, why: LostWhy::RecorderBehind }));
        }
    }

    fn close_batch(&mut self) -> Result<()> {
        self.opened = Instant::now();
        let (Some(encoder), Some(sender)) = (&mut self.encoder, &self.sender) else {
            return Ok(());
        };
        if let Some(bytes) = self.waiting.take() {
            match sender.try_send(bytes) {
                Ok(()) => {}
                Err(TrySendError::Full(bytes)) => {
                    self.waiting = Some(bytes);
                    let dropped = encoder.drop_batch() as u64;
                    self.dropped += dropped;
                    self.progress.lost += dropped;
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => return self.fail(),
            }
        }
        let bytes = encoder.close_batch()?;
        self.progress.bytes += bytes.len() as u64;
        match sender.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(bytes)) => {
                self.waiting = Some(bytes);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => self.fail(),
        }
    }

    /// Ends the recording in order and waits until all of it is written. `now` is when it ended.
    ///
    /// # Errors
    /// If not all of it could be written.
    pub fn finish(&mut self, now: Timestamp) -> Result<Progress> {
        self.tell_dropped(now);
        if let (Some(encoder), Some(sender)) = (self.encoder.take(), self.sender.take()) {
            let bytes = encoder.finish()?;
            self.progress.bytes += bytes.len() as u64;
            // The end waits for its turn; should the writer have failed, joining it says so.
            for bytes in self.waiting.take().into_iter().chain([bytes]) {
                _ = sender.send(bytes);
            }
        }
        self.join()?;
        Ok(self.progress)
    }

    fn fail(&mut self) -> Result<()> {
        self.sender = None;
        self.encoder = None;
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(written)) => written,
            Some(Err(_)) => Err(anyhow!("the thread that writes the recording died")),
        }
    }
}

/// Each batch is one write, so that a reader sees whole ones.
fn write_all<W: Write>(
    mut sink: W,
    batches: &Receiver<Vec<u8>>,
    sync: impl Fn(&W) -> std::io::Result<()>,
) -> Result<()> {
    for batch in batches {
        sink.write_all(&batch).and_then(|()| sink.flush()).and_then(|()| sync(&sink)).context(
            "cannot write the recording, which is readable up to here: make room, or record elsewhere",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, PoisonError, mpsc},
    };

    use super::{Compression, Metadata, Recorder, WAITING_BATCHES};
    use crate::{
        event::{Comm, Event, Holder, LostWhy, Process},
        recording::Recording,
        time::Timestamp,
    };

    /// A disk that writes nothing before it is told to.
    struct Disk {
        go: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is gone it goes on without asking.
            _ = self.go.recv();
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_slow_disk_costs_is_told_and_the_rest_keeps_its_names() {
        let (disk_goes_on, go) = mpsc::channel::<()>();
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { go, written: Arc::clone(&written) };
        let mut recorder =
            Recorder::new(&Metadata::default(), Compression::None, disk, |_| Ok(()), |_| {})
                .expect("a recorder");
        let held = |number: u32| {
            // Each batch has one process, whose name changes from batch to batch and back.
            let comm = Comm::from(["one", "two", "three"][number as usize % 3]);
            let process = Process { pid: number, comm };
            Event::Holder(Holder { skaddr: None, cookie: None, inode: 1, process, fd: 3 })
        };
        let batches = u32::try_from(WAITING_BATCHES).expect("few") + 20;
        for number in 0..batches {
            recorder.add(&held(number)).expect("it goes on");
            recorder.close_batch().expect("it goes on");
        }
        drop(disk_goes_on);
        let progress = recorder.finish(Timestamp(7)).expect("all is written");
        assert!(progress.lost > 0, "{progress:?}");

        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recording = Recording::open(written.as_slice()).expect("a recording");
        let (mut read, mut lost) = (0, 0);
        while let Some(events) = recording.next_batch().expect("whole") {
            for event in events {
                match event {
                    Event::Holder(holder) => {
                        assert_eq!(Event::Holder(holder), held(holder.process.pid));
                        read += 1;
                    }
                    Event::Lost(told) if told.why == LostWhy::RecorderBehind => lost += told.count,
                    other => assert_eq!(None, Some(other)),
                }
            }
        }
        assert!(recording.tail().is_whole());
        assert_eq!((read + lost, lost), (u64::from(batches), progress.lost));
    }
}
