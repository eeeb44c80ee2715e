//! Writing a recording while events come: encoded here, written by a thread of its own.

use std::{
    fmt,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{Compression, Encoder, Metadata, Output, Rotate};
use crate::{
    event::{Event, Lost, LostWhy, Sysctls},
    time::{ClockSample, Timestamp},
};

/// A recording that is killed loses at most what came in this time.
const BATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Batches that may wait to be written. What comes while these many wait is lost, for the kernel's
/// buffer must not wait for a disk.
const WAITING_BATCHES: usize = 64;
/// A file holds at least so much time, however small it is to be: it begins with a snapshot, which is
/// work.
const SHORTEST_FILE: Duration = Duration::from_secs(1);

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder {
    encoder: Option<Encoder>,
    sender: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<Result<()>>>,
    failures: Receiver<()>,
    opened: Instant,
    /// A job for which there was no room, to be handed over before any other.
    waiting: Option<Job>,
    /// Events of batches that were dropped, and are not told yet.
    dropped: u64,
    /// What was written or waits to be.
    progress: Progress,
    report: Report,
    metadata: Metadata,
    compression: Compression,
    rotate: Rotate,
    /// What `progress` had when the present file began, and when that was.
    begun: (u64, Instant),
}

/// What the writer is to do.
#[derive(Debug)]
enum Job {
    /// Write a batch.
    Write(Vec<u8>),
    /// End the file with these bytes, begin the next at this time of the wall clock, with those.
    Next { last: Vec<u8>, wall_ns: i64, first: Vec<u8> },
}

/// Begins the file of this time of the wall clock.
pub type Begin = Box<dyn FnMut(i64) -> Result<Output> + Send>;

/// Called once a second, at most.
struct Report(Box<dyn FnMut(Progress)>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// Files.
    pub files: u64,
}

impl Recorder {
    /// A recorder that writes to `output` first, and from each rotation on to what `begin` then gives.
    /// `report` is told once a second how far it is.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new(
        metadata: Metadata,
        compression: Compression,
        output: Output,
        begin: Begin,
        rotate: Rotate,
        report: impl FnMut(Progress) + 'static,
    ) -> Result<Self> {
        let encoder = Encoder::new(&metadata, compression)?;
        let (sender, jobs) = mpsc::sync_channel(WAITING_BATCHES);
        let (fail, failures) = mpsc::sync_channel(1);
        let writer = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let written = write_all(output, &jobs, begin);
                if written.is_err() {
                    // Nobody listens only if the recorder is gone.
                    _ = fail.try_send(());
                }
                written
            })
            .context("cannot start the thread that writes the recording")?;
        let mut recorder = Self {
            encoder: Some(encoder),
            sender: Some(sender),
            writer: Some(writer),
            failures,
            opened: Instant::now(),
            waiting: None,
            dropped: 0,
            progress: Progress { files: 1, ..Progress::default() },
            report: Report(Box::new(report)),
            metadata,
            compression,
            rotate,
            begun: (0, Instant::now()),
        };
        // From now on it is a recording, if an empty one.
        recorder.close_batch()?;
        Ok(recorder)
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

    /// Whether the next file should be begun: this one is full, or somebody `asked`. Not while the
    /// writer is behind.
    #[must_use]
    pub fn wants_rotation(&self, asked: bool) -> bool {
        let (bytes, begun) = self.begun;
        let age = begun.elapsed();
        let is_full = self.rotate.bytes.is_some_and(|limit| self.progress.bytes - bytes >= limit)
            || self.rotate.time.is_some_and(|limit| age >= limit);
        (asked || is_full && age >= SHORTEST_FILE) && self.waiting.is_none()
    }

    /// Ends the file and begins the next, in which all that comes now will be; `clock` and the settings
    /// are those of this moment.
    ///
    /// # Errors
    /// If the recording cannot be written any more.
    pub fn rotate(&mut self, clock: ClockSample, sysctls: Sysctls) -> Result<()> {
        self.tell_dropped(clock.boot);
        let Some(encoder) = self.encoder.take() else {
            return Ok(());
        };
        let last = encoder.finish()?;
        self.metadata.clock = clock;
        self.metadata.sysctls = sysctls;
        self.metadata.part += 1;
        let mut encoder = Encoder::new(&self.metadata, self.compression)?;
        let first = encoder.close_batch()?;
        self.encoder = Some(encoder);
        self.opened = Instant::now();
        self.progress.bytes += last.len() as u64;
        self.begun = (self.progress.bytes, Instant::now());
        self.progress.bytes += first.len() as u64;
        self.progress.files += 1;
        self.hand_over(Job::Next { last, wall_ns: clock.wall_ns, first })
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
        if let Some(job) = self.waiting.take() {
            self.hand_over(job)?;
        }
        let Some(encoder) = &mut self.encoder else {
            return Ok(());
        };
        if self.waiting.is_some() {
            let dropped = encoder.drop_batch() as u64;
            self.dropped += dropped;
            self.progress.lost += dropped;
            return Ok(());
        }
        let bytes = encoder.close_batch()?;
        self.progress.bytes += bytes.len() as u64;
        self.hand_over(Job::Write(bytes))
    }

    /// Gives the writer a job, now or, if it has too many, before the next.
    fn hand_over(&mut self, job: Job) -> Result<()> {
        let Some(sender) = &self.sender else {
            return Ok(());
        };
        match sender.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => {
                self.waiting = Some(job);
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
            for job in self.waiting.take().into_iter().chain([Job::Write(bytes)]) {
                _ = sender.send(job);
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

fn write_all(mut output: Output, jobs: &Receiver<Job>, mut begin: Begin) -> Result<()> {
    for job in jobs {
        match job {
            Job::Write(batch) => output.write(&batch)?,
            Job::Next { last, wall_ns, first } => {
                output.write(&last)?;
                output = begin(wall_ns)?;
                output.write(&first)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, PoisonError, mpsc},
    };

    use super::{Begin, Compression, Metadata, Output, Recorder, Rotate, WAITING_BATCHES};
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

    fn recorder(output: Output, begin: Begin) -> Recorder {
        let metadata = Metadata { part: 1, ..Metadata::default() };
        Recorder::new(metadata, Compression::None, output, begin, Rotate::default(), |_| {})
            .expect("a recorder")
    }

    #[test]
    fn what_a_slow_disk_costs_is_told_and_the_rest_keeps_its_names() {
        let (disk_goes_on, go) = mpsc::channel::<()>();
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { go, written: Arc::clone(&written) };
        let mut recorder = recorder(Output::new("disk", disk), Box::new(|_| unreachable!()));
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
