//! Disks that fail: what is said, and what is left.

use std::{
    env, fs,
    io::{self, ErrorKind, Write},
    process,
    sync::{Arc, Mutex, PoisonError},
};

use tcptrace::{
    event::{Event, Sysctls},
    recording::{Begin, Compression, Metadata, Output, Recorder, Rotate, Rotation},
    time::{ClockSample, Timestamp},
};

use crate::sample::{events, read};

/// A disk that takes so many bytes, and then fails.
struct Disk {
    room: usize,
    fails: ErrorKind,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            return Err(self.fails.into());
        }
        self.room -= taken;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn recorder(output: Output, begin: Begin) -> Recorder {
    Recorder::new(Metadata::default(), Compression::None, output, begin, Rotate::default(), |_| {})
        .expect("a recorder")
}

fn no_next() -> Begin {
    Box::new(|_| unreachable!("nothing rotates"))
}

/// Adds full batches until it fails; what it says then.
fn fill(recorder: &mut Recorder) -> String {
    loop {
        for event in std::iter::repeat_n(Event::Tick(Timestamp(7)), 65_536) {
            if let Err(error) = recorder.add(&event) {
                return format!("{error:#}");
            }
        }
    }
}

#[test]
fn a_disk_that_fails_is_named_with_the_fix_and_what_it_took_is_readable() {
    for (fails, fix) in [
        (ErrorKind::StorageFull, "make room, or record to another disk"),
        (ErrorKind::QuotaExceeded, "raise the quota, or record elsewhere"),
        (ErrorKind::BrokenPipe, "keep it reading, or record to a file"),
        (ErrorKind::Other, "record elsewhere"),
    ] {
        let written = Arc::default();
        let disk = Disk { room: 60_000_000, fails, written: Arc::clone(&written) };
        let mut recorder = recorder(Output::new("/mnt/x.arrows", disk), no_next());
        let error = fill(&mut recorder);
        assert!(error.starts_with("cannot write /mnt/x.arrows, "), "{error}");
        assert!(error.contains(fix) && !error.contains('\n'), "{error}");
        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, broken) = read(&written);
        assert!(events.len() >= 65_536, "{} events", events.len());
        assert!(broken.is_some_and(|broken| broken.contains("recorder was killed")));
    }
}

#[test]
fn a_file_that_is_deleted_ends_the_recording() {
    let path = env::temp_dir().join(format!("tcptrace-deleted-{}.arrows", process::id()));
    let file = fs::File::create_new(&path).expect("a new file");
    let output = Output::file(&path, file, true).expect("an output");
    let mut recorder = recorder(output, no_next());
    fs::remove_file(&path).expect("ours");
    let error = fill(&mut recorder);
    assert!(error.contains("was deleted while it was written"), "{error}");
}

#[test]
fn a_folder_that_vanishes_ends_the_recording_at_the_next_file() {
    let folder = env::temp_dir().join(format!("tcptrace-vanished-{}", process::id()));
    let moved = folder.with_extension("moved");
    fs::create_dir(&folder).expect("a new folder");
    let mut rotation = Rotation::new(&folder.join("x.arrows"), None, false);
    let first = rotation.begin(0).expect("the first");
    let mut recorder = recorder(first, Box::new(move |wall_ns| rotation.begin(wall_ns)));
    events().iter().for_each(|event| recorder.add(event).expect("room"));
    fs::rename(&folder, &moved).expect("ours");
    recorder.rotate(ClockSample::default(), Sysctls::default()).expect("nobody knows yet");
    let error = format!("{:#}", recorder.finish(Timestamp(9)).expect_err("no folder"));
    assert!(error.starts_with("cannot begin ") && error.contains("x-1970"), "{error}");
    let left = fs::read(moved.join("x-19700101T000000Z-0001.arrows")).expect("the first");
    assert_eq!(read(&left), (events(), None));
    fs::remove_dir_all(&moved).expect("ours");
}
