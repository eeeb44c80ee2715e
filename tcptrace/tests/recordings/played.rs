//! `replay`: what `watch` says, at the pace of the recording, and paused like any program.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
};
use tcptrace::{
    event::{Event, Lost, LostWhy},
    recording::{Compression, Encoder, Metadata},
    time::{ClockSample, Timestamp},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");

/// What the program says of recordings on stdout.
fn said(arguments: &[&str], recording: &Path) -> Vec<u8> {
    let output = Command::new(PROGRAM).args(arguments).arg("-i").arg(recording).output();
    let output = output.expect("a program");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

#[test]
fn at_full_speed_it_says_what_watch_does() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/format-1.arrows");
    for options in [&["-T"][..], &["-s"], &["--json"], &["--raw", "-t"], &["--format", "bcc"]] {
        let played = said(&[&["replay", "--speed", "max"], options].concat(), &sample);
        assert!(played.iter().filter(|byte| **byte == b'\n').count() > 10, "{options:?}");
        assert_eq!(
            String::from_utf8_lossy(&played),
            String::from_utf8_lossy(&said(&[&["watch"], options].concat(), &sample)),
            "{options:?}"
        );
    }
}

const TICK: Duration = Duration::from_millis(100);

/// A recording with a line every [`TICK`]; it is gone when this is dropped.
struct Ticking(PathBuf);

impl Ticking {
    fn new(name: &str, ticks: u32) -> Self {
        let metadata = Metadata {
            clock: ClockSample { boot: Timestamp(0), wall_ns: 0 },
            ..Metadata::default()
        };
        let mut encoder = Encoder::new(&metadata, Compression::None).expect("an encoder");
        for tick in 0..ticks {
            let at = Timestamp(0) + TICK * tick;
            encoder.add(&Event::Tick(at));
            encoder.add(&Event::Lost(Lost { at, count: 1, why: LostWhy::RingFull }));
        }
        let name = format!("tcptrace-{name}-{}.arrows", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, encoder.finish().expect("an end")).expect("room");
        Self(path)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// While it is stopped its time does not pass: what is left takes as long as it would have. Another one
/// that plays meanwhile is the clock. Only that it takes long enough is checked, so that a busy machine
/// changes nothing.
#[test]
fn what_is_left_after_a_pause_keeps_its_pace() {
    let (long, short) = (Ticking::new("long", 35), Ticking::new("short", 15));
    let mut child = Command::new(PROGRAM)
        .args(["replay", "--json", "-i"])
        .arg(&long.0)
        // A group that nobody else is in, but whose parent is in its session, can be stopped.
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    lines.read_line(&mut String::new()).expect("a line");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TSTP).expect("it runs");
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).expect("our child").expect("news");
    assert!(status.stopped(), "{status:?}");

    // What it wrote before may be in the pipe still, and does not count.
    while !lines.buffer().is_empty() || is_readable(lines.get_ref()) {
        lines.read_line(&mut String::new()).expect("a line");
    }

    said(&["replay", "--json"], &short.0);
    let went_on = Instant::now();
    kill_process(pid, Signal::CONT).expect("it is there");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    let took = went_on.elapsed();
    assert!(child.wait().expect("our child").success());
    let left = rest.lines().filter(|line| line.starts_with("{\"type\":\"lost\""));
    let left = u32::try_from(left.count()).expect("few");
    assert!(left > 20, "{left} lines were left");
    // It may have been about to tell one, and one after it counts as late.
    assert!(took >= TICK * (left - 4), "{left} lines took {took:?}");
}

fn is_readable(pipe: &ChildStdout) -> bool {
    let mut polled = [PollFd::new(pipe, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).expect("a pipe") > 0
}
