//! What becomes of files: whole or not there, and never overwritten unasked.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tcptrace::event::Event;

use crate::{done, failed, files_in, recording, tcptrace};

/// How long a program may take for what it does, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_file_that_exists_is_not_overwritten_unasked() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::events());
    for format in ["parquet", "csv", "ndjson"] {
        fs::write(folder.join("x"), "precious").expect("a file");
        let args = ["export", "-i", "r.arrows", "--to", format, "-o", "x"];
        let line = failed(folder, &args);
        assert_eq!(line, "tcptrace: x exists: name another file, or overwrite it with --force");
        assert_eq!(fs::read(folder.join("x")).expect("a file"), b"precious");
        done(folder, &[&args[..], &["--force"]].concat());
        assert!(fs::read(folder.join("x")).expect("a file").len() > 1000);
        assert_eq!(files_in(folder), ["r.arrows", "x"]);
    }
    let mode = folder.join("x").metadata().expect("a file").permissions().mode();
    fs::write(folder.join("usual"), "").expect("a file");
    let usual = folder.join("usual").metadata().expect("a file").permissions().mode();
    assert_eq!(mode, usual, "others may read it as any other file");
}

#[test]
fn what_cannot_be_written_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::events());
    fs::create_dir(folder.join("there")).expect("a folder");
    for (args, answer) in [
        (&["--to", "parquet", "-o", "no/x"][..], "cannot write no/x: no is no folder: make it"),
        (&["--to", "csv", "-o", "r.arrows/x"], "r.arrows is no folder: make it"),
        (&["--to", "parquet", "-o", "there"], "there is a folder: name a file"),
        (&["--to", "parquet", "--partition", "host", "-o", "no/x"], "cannot write no/x: No such"),
        (&["--to", "parquet", "--partition", "host", "-o", "r.arrows"], "r.arrows is no folder,"),
    ] {
        let line = failed(folder, &[&["export", "-i", "r.arrows"], args].concat());
        assert!(line.contains(answer), "{args:?}: {line}");
    }
    let line = failed(folder, &["export", "-i", "there", "--to", "csv", "-o", "x"]);
    assert!(line.contains("there has no recordings"), "{line}");
    fs::write(folder.join("text.arrows"), "no recording").expect("a file");
    let line = failed(folder, &["export", "-i", "text.arrows", "--to", "parquet", "-o", "x"]);
    assert!(line.contains("text.arrows: it is no recording of tcptrace"), "{line}");
    assert_eq!(files_in(folder), ["r.arrows", "text.arrows"]);
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    let events = recording::events();
    for to in
        [&["--to", "parquet"][..], &["--to", "csv"], &["--to", "parquet", "--partition", "hour"]]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut child = tcptrace(folder, &[&["export", "-i", "-", "-o", "x"], to].concat())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcptrace runs");
        let mut input = child.stdin.take().expect("a pipe");
        let mut encoder = recording::encoder(&recording::of("web1"));
        let mut give = |events: &[Event]| {
            events.iter().for_each(|event| encoder.add(event));
            // It may have seen enough.
            _ = input.write_all(&encoder.close_batch().expect("a batch"));
        };
        give(&events);
        let deadline = Instant::now() + PATIENCE;
        while !files_in(folder).iter().any(|name| name.ends_with(".partial")) {
            assert!(Instant::now() < deadline, "it writes nothing: {:?}", files_in(folder));
            thread::yield_now();
        }
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        // The recording has no end, so that only the signal can end it.
        while child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            give(&events);
        }
        let output = child.wait_with_output().expect("it has ended");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        let line = "tcptrace: interrupted, and nothing was written: run it again\n";
        assert!(stderr.ends_with(line), "{stderr}");
        assert!(fs::read_dir(folder).expect("a folder").next().is_none());
    }
}
