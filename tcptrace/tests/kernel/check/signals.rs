//! Signals, from whoever sends them and from a terminal.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{PidfdFlags, Signal, pidfd_open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::{
    Test,
    run::{PATIENCE, PROGRAM, Run, state_and_parent, until},
};
use crate::{namespace::Namespace, sys};

pub(super) const TESTS: &[(&str, Test)] = &[
    ("a signal reaches the command, whose status counts", passed_on),
    ("a command that a signal ends is told", ended_by_default),
    ("a second signal reaches the command too", second_signal),
    ("a signal ends the settling", while_settling),
    ("a signal that was ignored from the start stays ignored", ignored),
    ("if tcptrace is killed the command goes too", killed),
    ("Ctrl-C on a terminal reaches the command once", interrupt_key),
    ("when the terminal goes nothing is left running", hangup),
];

const SIGNALS: [(&str, Signal); 4] =
    [("INT", Signal::INT), ("TERM", Signal::TERM), ("HUP", Signal::HUP), ("QUIT", Signal::QUIT)];

/// Settling that nobody would wait for.
const LONG: &[&str] = &["--settle", "1000s"];

fn passed_on() -> Result<()> {
    let netns = Namespace::new()?;
    for (name, signal) in SIGNALS {
        let script =
            format!("trap 'echo got {name}; exit 5' {name}; sleep 1000 & echo ready; wait");
        let mut run = Run::of_script(&netns, LONG, &script)?;
        run.hear("ready")?;
        run.signal(signal)?;
        run.hear(&format!("got {name}"))?;
        let ended = run.end()?;
        ensure!(ended.must_be(5)?.stdout.is_empty(), "more than once: {ended:?}");
    }
    Ok(())
}

fn ended_by_default() -> Result<()> {
    let netns = Namespace::new()?;
    for (signal, status) in [(Signal::INT, 130), (Signal::HUP, 129)] {
        let mut run = Run::of_script(&netns, LONG, "echo ready; read line")?;
        run.hear("ready")?;
        run.signal(signal)?;
        run.end()?.must_be(status)?;
    }
    Ok(())
}

fn second_signal() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "n=0; trap 'n=$((n+1)); echo $n; [ $n = 3 ] && exit 0' TERM INT; \
                  sleep 1000 & echo ready; while :; do wait; done";
    let mut run = Run::of_script(&netns, LONG, script)?;
    run.hear("ready")?;
    for (signal, count) in [(Signal::TERM, "1"), (Signal::TERM, "2"), (Signal::INT, "3")] {
        run.signal(signal)?;
        run.hear(count)?;
    }
    run.end()?.must_be(0)?;
    Ok(())
}

fn while_settling() -> Result<()> {
    let netns = Namespace::new()?;
    for signal in [Signal::INT, Signal::TERM] {
        let mut run = Run::of_script(&netns, LONG, "echo $$")?;
        let shell: u32 = run.line()?.parse()?;
        until("the command's end", || Ok(state_and_parent(shell).is_none()))?;
        run.signal(signal)?;
        run.end()?.must_be(0)?;
    }
    Ok(())
}

/// As by nohup: neither tcptrace nor the command minds.
fn ignored() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "trap '' HUP; exec \"$0\" check --settle 0s -- \
                  sh -c 'echo ready; read line; kill -HUP $$; echo still here; read line'";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    let mut run = Run::start(&netns, command)?;
    run.hear("ready")?;
    run.signal(Signal::HUP)?;
    run.go_on()?;
    run.hear("still here")?;
    run.go_on()?;
    run.end()?.must_be(0)?;
    Ok(())
}

fn killed() -> Result<()> {
    let netns = Namespace::new()?;
    let mut run = Run::of_script(&netns, LONG, "trap '' TERM HUP; echo $$; exec sleep 1000")?;
    let pid: u32 = run.line()?.parse()?;
    let command = pidfd_open(sys::pid_of(pid)?, PidfdFlags::empty())?;
    run.signal(Signal::KILL)?;
    ensure!(sys::ended(&command, PATIENCE)?, "the command lives on");
    ensure!(run.end()?.status.is_none());
    Ok(())
}

/// A terminal of our own, of which a run is the foreground process.
struct Terminal {
    /// The side of the keys and the screen.
    ours: File,
    theirs: OwnedFd,
}

impl Terminal {
    fn new() -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let path = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(&path, flags, Mode::empty())?;
        Ok(Self { ours: File::from(ours), theirs })
    }

    /// Runs `tcptrace check -- sh -c SCRIPT` there. It may not hold the terminal open itself.
    fn run(self, netns: &Namespace, script: &str) -> Result<(File, Run)> {
        let mut command = Command::new("setsid");
        command.args(["--ctty", PROGRAM, "check", "--format", "csv"]).args(LONG);
        command.args(["--", "sh", "-c", script]);
        command.stdin(Stdio::from(self.theirs.try_clone()?));
        command.stdout(Stdio::from(self.theirs.try_clone()?));
        command.stderr(Stdio::from(self.theirs));
        Ok((self.ours, Run::with_its_own(netns, command)?))
    }
}

fn interrupt_key() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "n=0; trap 'n=$((n+1)); echo \"Ctrl-C $n\"' INT; \
                  trap 'echo \"$n in all\"; exit 5' TERM; \
                  sleep 1000 & echo ready; while :; do wait; done";
    let (mut keys, run) = Terminal::new()?.run(&netns, script)?;
    let mut screen = BufReader::new(keys.try_clone()?).lines();
    let mut see = |wanted: &str| {
        for line in screen.by_ref() {
            let line = line?;
            if line.contains(wanted) {
                return Ok(line);
            }
        }
        Err(anyhow::anyhow!("`{wanted}` did not come"))
    };
    see("ready")?;
    // Were each key to come twice, some of these would not be coalesced.
    for count in 1..=10 {
        keys.write_all(b"\x03")?;
        see(&format!("Ctrl-C {count}"))?;
    }
    run.signal(Signal::TERM)?;
    let all = see("in all")?;
    ensure!(all.trim() == "10 in all", "{all}");
    see("sh failed: its exit status is 5")?;
    run.end()?.must_be(5)?;
    Ok(())
}

fn hangup() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "trap 'exit 5' HUP; (setsid sleep 1000 &); echo ready; sleep 1000 & wait";
    let (keys, run) = Terminal::new()?.run(&netns, script)?;
    let mut screen = BufReader::new(keys).lines();
    let first = screen.next().context("a line")??;
    ensure!(first.contains("ready"), "{first}");
    drop(screen);
    // Nobody can read the report.
    run.end()?.must_be(3)?;
    Ok(())
}
