//! What is no recording, or none for this version: one sentence, and exit status 3.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use assert_cmd::Command;
use tcptrace::{
    event::Event,
    recording::{Compression, Encoder, Metadata},
    time::{ClockSample, Timestamp},
};

use crate::sample::{events, recorded};

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("tcptrace-{name}-{}", process::id()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("room");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn watch(paths: &[&Path]) -> (Option<i32>, String) {
    let mut command = Command::cargo_bin("tcptrace").expect("the program");
    command.arg("watch");
    for path in paths {
        command.arg("-i").arg(path);
    }
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// The one line that says why.
fn refused(paths: &[&Path]) -> String {
    let (status, said) = watch(paths);
    assert_eq!(status, Some(3), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    said
}

/// A recording of another boot, run or time.
fn other(metadata: &Metadata) -> Vec<u8> {
    let mut encoder = Encoder::new(metadata, Compression::None).expect("an encoder");
    encoder.add(&Event::Tick(metadata.clock.boot));
    encoder.finish().expect("an end")
}

#[test]
fn what_is_no_recording_is_refused_in_one_sentence() {
    let folder = Folder::new("refused");
    let whole = recorded(&[events()], Compression::Zstd);
    for (name, bytes, answer) in [
        ("empty", &b""[..], "nothing was recorded in it"),
        ("short", &whole[..3], "nothing was recorded in it"),
        ("header", &whole[..900], "nothing was recorded in it"),
        ("text", b"PID COMM\n", "it is no recording of tcptrace"),
        ("letter", b"P", "it is no recording of tcptrace"),
        ("end", b"\xff\xff\xff\xff\0\0\0\0", "it is no recording of tcptrace"),
        ("large", b"\xff\xff\xff\xff\xff\xff\xff\x7f", "it is no recording of tcptrace"),
    ] {
        let said = refused(&[&folder.file(name, bytes)]);
        assert!(said.contains(answer) && said.contains(name), "{name}: {said}");
    }
    let said = refused(&[&folder.0]);
    assert!(said.contains("has no recordings (*.arrows): name another folder"), "{said}");
    let said = refused(&[Path::new("/nowhere/at/all")]);
    assert!(said.contains("cannot read /nowhere/at/all"), "{said}");
    let (one, two) = (folder.file("one", b""), folder.file("two", b""));
    let said = refused(&[&one, &two]);
    assert!(said.contains("nothing was recorded in"), "{said}");
}

#[test]
fn a_newer_format_is_refused_naming_the_version_that_reads_it() {
    let metadata = Metadata { tool: "7.8.9\u{1b}[2J".to_owned(), ..Metadata::default() };
    let mut bytes = other(&metadata);
    // A text of one byte, which is the number of the format.
    let format = b"\x01\0\0\0\x32\0";
    let places: Vec<usize> =
        (0..bytes.len() - 6).filter(|at| bytes[*at..].starts_with(format)).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    bytes[places[0] + 4] = b'9';
    let folder = Folder::new("newer");
    let said = refused(&[&folder.file("new.arrows", &bytes)]);
    let answer = "its format 9 is newer than ours (2): read it with tcptrace 7.8.9";
    assert!(said.contains(answer), "{said}");
}

#[test]
fn recordings_that_do_not_belong_together_are_refused() {
    let folder = Folder::new("apart");
    let at = |seconds: u64| ClockSample { boot: Timestamp(seconds), wall_ns: 0 };
    let metadata = Metadata { clock: at(9), boot_id: "one".to_owned(), ..Metadata::default() };
    let first = folder.file("a.arrows", &other(&metadata));
    let boot = Metadata { clock: at(10), boot_id: "two".to_owned(), ..metadata.clone() };
    let said = refused(&[&first, &folder.file("b.arrows", &other(&boot))]);
    assert!(said.contains("is of another boot"), "{said}");
    // The first says that time has come to 9 when the second has begun at 8.
    let mut encoder =
        Encoder::new(&Metadata { clock: at(7), ..metadata.clone() }, Compression::None)
            .expect("an encoder");
    encoder.add(&Event::Tick(Timestamp(9)));
    let long = folder.file("c.arrows", &encoder.finish().expect("an end"));
    let second = Metadata { clock: at(8), ..metadata };
    let said = refused(&[&long, &folder.file("d.arrows", &other(&second))]);
    assert!(said.contains("by another recorder"), "{said}");
}
