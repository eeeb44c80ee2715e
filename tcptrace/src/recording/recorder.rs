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
    /// Events of batches that could not be handed over, and are not told yet.
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
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            self.add(&Event::Lost(Lost { at: now, count, why: LostWhy::RecorderBehind }))?;
        }
        (self.report.0)(self.progress);
        self.close_batch()
    }

    fn close_batch(&mut self) -> Result<()> {
        self.opened = Instant::now();
        let (Some(encoder), Some(sender)) = (&mut self.encoder, &self.sender) else {
            return Ok(());
        };
        let rows = encoder.rows() as u64;
        let bytes = encoder.close_batch()?;
        let length = bytes.len() as u64;
        match sender.try_send(bytes) {
            Ok(()) => {
                self.progress.bytes += length;
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                self.dropped += rows;
                self.progress.lost += rows;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => self.fail(),
        }
    }

    /// Ends the recording in order and waits until all of it is written.
    ///
    /// # Errors
    /// If not all of it could be written.
    pub fn finish(&mut self) -> Result<Progress> {
        if let (Some(encoder), Some(sender)) = (self.encoder.take(), self.sender.take()) {
            let bytes = encoder.finish()?;
            self.progress.bytes += bytes.len() as u64;
            // The end waits for its turn; should the writer have failed, joining it says so.
            _ = sender.send(bytes);
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
