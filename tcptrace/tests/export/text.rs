//! CSV and NDJSON: what the views print, in a file.

use std::{fs, io::Write as _, process::Stdio};

use crate::{done, failed, files_in, recording, tcptrace};

#[test]
fn the_bytes_are_those_of_the_views() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::events());
    for (table, view) in [("transitions", "watch"), ("connections", "lifetimes")] {
        for (format, style) in [("csv", "csv"), ("ndjson", "json")] {
            let printed = done(folder, &[view, "-i", "r.arrows", "--format", style]).stdout;
            assert!(printed.len() > 1000, "{printed:?}");
            let args = ["export", "-i", "r.arrows", "--table", table, "--to", format, "-o"];
            done(folder, &[&args[..], &["x"]].concat());
            assert_eq!(fs::read(folder.join("x")).expect("a file"), printed, "{view} {style}");
            assert_eq!(done(folder, &[&args[..], &["-"]].concat()).stdout, printed);
            let all = ["export", "-i", "r.arrows", "--table", table, "--to", format, "--force"];
            let few = done(folder, &[&all[..], &["-6", "-o", "-"]].concat()).stdout;
            assert_eq!(
                few,
                done(folder, &[view, "-i", "r.arrows", "--format", style, "-6"]).stdout
            );
            assert!(few.len() < printed.len());
            fs::remove_file(folder.join("x")).expect("it is there");
        }
    }
    assert_eq!(files_in(folder), ["r.arrows"]);
}

#[test]
fn transitions_read_so() {
    let folder = tempfile::tempdir().expect("a folder");
    recording::write(folder.path(), "r.arrows", &recording::of("web1"), &recording::events());
    let args = ["export", "-i", "r.arrows", "--to", "ndjson", "-o", "-"];
    let output = done(folder.path(), &args);
    insta::assert_snapshot!("transitions", String::from_utf8_lossy(&output.stdout));
    insta::assert_snapshot!("summary", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn connections_read_so() {
    let folder = tempfile::tempdir().expect("a folder");
    recording::write(folder.path(), "r.arrows", &recording::of("web1"), &recording::events());
    let args = ["export", "-i", "r.arrows", "--to", "csv", "--table", "connections", "-o", "-"];
    let output = done(folder.path(), &args);
    insta::assert_snapshot!("connections", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_recording_may_come_from_a_pipe_and_go_into_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::events());
    for format in ["csv", "parquet"] {
        let into = |input| ["export", "-i", input, "--to", format, "-o", "-"];
        let mut command = tcptrace(folder, &into("-"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("tcptrace runs");
        let recording = fs::read(folder.join("r.arrows")).expect("a file");
        child.stdin.take().expect("a pipe").write_all(&recording).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, done(folder, &into("r.arrows")).stdout, "{format}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // More than a pipe takes.
    recording::write(folder, "r.arrows", &recording::of("web1"), &recording::hours(&[0], 2000));
    for format in ["csv", "ndjson", "parquet"] {
        let mut child = tcptrace(folder, &["export", "-i", "r.arrows", "--to", format, "-o", "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcptrace runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{format}: {output:?}");
        assert!(output.stderr.is_empty(), "{format}: {output:?}");
    }
}

#[test]
fn a_stream_that_takes_no_more_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    recording::write(folder.path(), "r.arrows", &recording::of("web1"), &recording::events());
    for format in ["csv", "ndjson", "parquet"] {
        let args = ["export", "-i", "r.arrows", "--to", format, "-o", "/dev/full"];
        let line = failed(folder.path(), &args);
        assert!(line.starts_with("tcptrace: cannot write /dev/full, what is there"), "{line}");
        assert!(line.contains("No space left on device"), "{line}");
    }
}
