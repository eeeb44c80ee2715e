//! Recordings in several files: they say together what one file would.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::prelude::*;
use tcptrace::{
    event::{Event, Sysctls},
    model::{
        change::Change,
        tracker::{Options, Tracker},
    },
    recording::{Compression, Input, Metadata, Recorder, Rotate, Rotation},
    time::{ClockSample, Timestamp},
};

use crate::{random_events, render::Renderer, script};

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tcptrace-rotated-{}-{count}", process::id()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    /// Its files by name.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("our folder").flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Records `parts`, each in a file of its own.
fn record(parts: &[Vec<Event>]) -> Folder {
    let folder = Folder::new();
    let mut rotation = Rotation::new(&folder.0.join("r.arrows"), None, false);
    let first = rotation.begin(0).expect("a file");
    let metadata = Metadata {
        clock: ClockSample { boot: Timestamp(1), wall_ns: 0 },
        part: 1,
        ..Metadata::default()
    };
    let begin = Box::new(move |wall_ns| rotation.begin(wall_ns));
    let mut recorder =
        Recorder::new(metadata, Compression::None, first, begin, Rotate::default(), |_| {})
            .expect("a recorder");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            let clock = ClockSample { boot: Timestamp(1 + index as u64), wall_ns: 0 };
            recorder.rotate(clock, Sysctls::default()).expect("another file");
        }
        part.iter().for_each(|event| recorder.add(event).expect("room"));
    }
    let written = recorder.finish(Timestamp(u64::MAX)).expect("all is written");
    assert_eq!(written.files, parts.len() as u64);
    folder
}

fn read(paths: &[PathBuf]) -> Vec<Event> {
    let mut input = Input::open(paths).expect("recordings");
    let mut events = Vec::new();
    while let Some(batch) = input.next_batch().expect("recordings") {
        events.extend(batch);
    }
    assert!(input.tails().is_empty(), "{:?}", input.tails());
    events
}

fn told(events: &[Event]) -> Vec<Change> {
    let mut tracker = Tracker::new(Options::default());
    let mut changes = Vec::new();
    events.iter().for_each(|event| tracker.apply(event, &mut changes));
    tracker.finish(&mut changes);
    changes
}

fn lines(events: &[Event]) -> Vec<String> {
    let mut renderer = Renderer::default();
    told(events).iter().map(|change| renderer.change(change)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_files_say_together_what_one_would(
        events in random_events::events(60),
        places in proptest::collection::vec(0..60_usize, 0..5),
    ) {
        let whole = record(std::slice::from_ref(&events));
        let mut places: Vec<usize> = places.into_iter().map(|at| at.min(events.len())).collect();
        places.sort_unstable();
        let mut parts = Vec::new();
        let mut from = 0;
        for to in places.into_iter().chain([events.len()]) {
            parts.push(events[from..to].to_vec());
            from = to;
        }
        let parts = record(&parts);
        let (one, many) = (read(&whole.files()), read(std::slice::from_ref(&parts.0)));
        prop_assert_eq!(told(&one), told(&events));
        prop_assert_eq!(told(&many), told(&events));
        // In whatever order they are named.
        let mut backwards = parts.files();
        backwards.reverse();
        prop_assert_eq!(read(&backwards), many);
    }
}

/// One that opens, one that is stuck, one that closes, a listener and a minisock.
const BEFORE: &str = "
    L 7>10 own srv inode
    +1s
    A 7>2 own cli inode
    +1ms
    A 2>1 inode
    +1ms
    B 10>3
    +1ms
    B 3>1 inode
    +1s
    B 1>8 done inode
    +1s
    C 7>2 own cli inode
    +1ms
    C 2>1 inode
    +1s
    C 1>4 own cli shut=3 inode
    +1ms
    C 4>5 shut=3 dead
    +1ms
    C 5>7 shut=3 dead done";
/// What the next file begins with.
const SNAPSHOT: &str = "
    +1s
    L row 10 inode
    A row 1 inode
    B row 8 inode
    C mini 6
    dump 1
    A holder cli
    B holder srv
    end";
const AFTER: &str = "
    +1s
    A 1>8 done inode
    +1s
    A 8>9 own cli shut=3 done inode
    +1ms
    A 9>7 shut=3 dead done
    +1s
    B 8>9 own srv shut=3 done inode
    +1ms
    B 9>7 shut=3 dead done";

#[test]
fn the_snapshot_of_the_next_file_contradicts_nothing() {
    let without = script::events(&format!("{BEFORE}\n+1s\n{AFTER}"));
    let all = script::events(&format!("{BEFORE}{SNAPSHOT}{AFTER}"));
    let before = script::events(BEFORE).len();
    let folder = record(&[all[..before].to_vec(), all[before..].to_vec()]);
    let together = read(std::slice::from_ref(&folder.0));
    assert_eq!(lines(&together), lines(&without));
    // Alone, the second knows what was there, but not since when.
    let alone = lines(&read(&folder.files()[1..]));
    let known: Vec<&str> = alone.iter().map(String::as_str).collect();
    let begun = known.first().copied().unwrap_or_default();
    assert!(begun.starts_with("A ESTABLISHED -> CLOSE_WAIT 1s at_least"), "{alone:#?}");
    assert!(known.iter().any(|l| l.starts_with("B CLOSE_WAIT -> LAST_ACK")), "{alone:#?}");
}

#[test]
fn what_is_missing_between_files_is_told() {
    let events = script::events(BEFORE);
    let parts: Vec<_> = events.chunks(5).map(<[Event]>::to_vec).collect();
    let folder = record(&parts);
    let mut files = folder.files();
    let before = files.remove(1);
    let before = before.with_file_name(files[0].file_name().expect("a name"));
    // Of a recorder that was ended before it wrote anything.
    let empty = folder.0.join("empty.arrows");
    fs::write(&empty, "").expect("room");
    files.push(empty.clone());
    let mut input = Input::open(&files).expect("recordings");
    while input.next_batch().expect("recordings").is_some() {}
    let told: Vec<_> = input.tails().iter().map(|(path, tail)| (path.clone(), tail.gap)).collect();
    assert_eq!(told, [(empty, false), (before, true)]);
}
