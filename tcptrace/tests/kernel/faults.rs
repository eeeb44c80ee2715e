//! `tcptrace record` where disks, readers and processes fail.

mod crowd;
mod exits;
mod losses;
pub(crate) mod namespaces;
mod starved;
pub(crate) mod tiny;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    namespace::Namespace,
    needing_root,
    recorded::PATIENCE,
    recorder::{Folder, PROGRAM, Running, read, record, under_load, until},
};

pub(crate) fn trials() -> [Trial; 6] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 6] = [
        ("record fault: a full disk", full_disk),
        ("record fault: a folder that vanishes", vanished),
        ("record fault: a named pipe whose reader left", pipe),
        ("record fault: stdout whose reader left", stdout),
        ("record fault: killed at any moment under load", killed),
        ("exits: a process that is gone is no other", exits::run),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

/// Those that need the processors to themselves.
pub(crate) fn alone() -> [Trial; 6] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 6] = [
        ("losses: a ring buffer of a page", losses::tiny_ring),
        ("losses: the smallest queues", losses::tiny_queues),
        ("losses: a recorder that stands still for ten seconds", losses::stopped),
        ("starved: what a tracer without a processor tells late", starved::run),
        ("namespaces: those that come and go leave nothing", namespaces::run),
        ("crowd: 200,000 connections at a time", crowd::run),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

/// What is left gives lines, and no more than a note says what is missing.
fn is_readable(path: &Path) -> Result<()> {
    let output = read(&["watch"], &[path.to_owned()])?;
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    ensure!(output.status.code() == Some(0) && lines > 1, "{lines} lines: {output:?}");
    Ok(())
}

/// Copies a recording until what was copied gives lines.
fn copy_lines(from: &mut impl std::io::Read, to: &Path) -> Result<()> {
    let mut copy = fs::File::create(to)?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut chunk)?;
        ensure!(length > 0, "the recorder writes no more");
        copy.write_all(&chunk[..length])?;
        if is_readable(to).is_ok() {
            return Ok(());
        }
    }
}

/// It ended with 3 and one line that has all of this in it.
fn failed(recorder: &mut Running, words: &[&str]) -> Result<()> {
    let status = recorder.status()?;
    let said = recorder.stderr()?;
    let has_all = words.iter().all(|word| said.contains(word));
    ensure!(status == Some(3) && has_all && said.lines().count() == 1, "{status:?}: {said}");
    Ok(())
}

fn full_disk() -> Result<()> {
    const SCRIPT: &str = "
        mount -t tmpfs -o size=400k tmpfs \"$1\" || exit 99
        \"$2\" record --netns \"$3\" -o \"$1/full.arrows\"
        status=$?
        cp \"$1/full.arrows\" \"$4\" && exit $status";
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let (disk, left) = (folder.0.join("disk"), folder.0.join("left.arrows"));
    fs::create_dir(&disk)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(&disk).arg(PROGRAM);
    command.arg(netns.path()).arg(&left).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut recorder = Running::start(&mut command)?;
    under_load(&netns, || {
        failed(&mut recorder, &["full.arrows", "make room", "No space left on device"])
    })?;
    is_readable(&left)
}

fn vanished() -> Result<()> {
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let (inside, moved) = (folder.0.join("inside"), Folder(folder.0.join("moved")));
    fs::create_dir(&inside)?;
    let output = inside.join("r.arrows");
    let mut recorder = Running::start(&mut record(&netns, &output, &["--rotate", "1s"]))?;
    until(&netns, || Ok(fs::read_dir(&inside)?.count() > 1))?;
    fs::rename(&inside, &moved.0)?;
    under_load(&netns, || failed(&mut recorder, &["cannot begin ", "record into a folder"]))?;
    let files = moved.recordings()?;
    ensure!(files.len() > 1, "{files:?}");
    let together = read(&["watch"], &files)?;
    ensure!(together.status.code() == Some(0), "{together:?}");
    is_readable(&files[0])
}

fn pipe() -> Result<()> {
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let (pipe, got) = (folder.0.join("pipe"), folder.0.join("got.arrows"));
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "mkfifo: {made}");
    let refused = record(&netns, &pipe, &["--rotate", "1s"]).output()?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(3) && said.contains("--rotate needs files"), "{said}");
    let mut recorder = Running::start(&mut record(&netns, &pipe, &[]))?;
    under_load(&netns, || {
        copy_lines(&mut fs::File::open(&pipe)?, &got)?;
        failed(&mut recorder, &["pipe", "whose reader left"])
    })?;
    is_readable(&got)
}

fn stdout() -> Result<()> {
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let got = folder.0.join("got.arrows");
    let mut command = record(&netns, Path::new("-"), &[]);
    let mut recorder = Running::start(command.stdout(Stdio::piped()))?;
    under_load(&netns, || {
        let mut stdout = recorder.0.stdout.take().context("stdout is a pipe")?;
        copy_lines(&mut stdout, &got)?;
        drop(stdout);
        // As with any other output: whoever read it has seen enough.
        let status = recorder.status()?;
        let said = recorder.stderr()?;
        ensure!(status == Some(0) && said.is_empty(), "{status:?}: {said}");
        Ok(())
    })?;
    is_readable(&got)
}

fn killed() -> Result<()> {
    const ROUNDS: u32 = 8;
    const LINES: usize = 30;
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    for round in 0..ROUNDS {
        let output = folder.0.join(format!("{round}.arrows"));
        let mut command = record(&netns, &output, &["--compress", "none", "--rotate", "1s"]);
        let mut recorder = Running::start(&mut command)?;
        let stem = format!("{round}-");
        let files = || -> Result<Vec<_>> {
            let mut files = folder.recordings()?;
            files.retain(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&stem))
            });
            Ok(files)
        };
        under_load(&netns, || {
            // Each time a little later, in the one file or on the way to the next.
            let size = || -> Result<u64> {
                Ok(files()?.iter().map(|path| path.metadata().map_or(0, |m| m.len())).sum())
            };
            while size()? < 1 + u64::from(round) * 200_000 {
                netns.refuse(9)?;
            }
            // On a crowded host the first look at it alone may be as large as that; but not all of
            // them are to be killed so early.
            let deadline = Instant::now() + PATIENCE;
            let mut before = read(&["watch"], &files()?)?;
            while round >= ROUNDS / 2
                && String::from_utf8_lossy(&before.stdout).lines().count() < LINES
            {
                ensure!(Instant::now() < deadline, "round {round}: no lines: {before:?}");
                netns.refuse(9)?;
                before = read(&["watch"], &files()?)?;
            }
            ensure!(recorder.end(Signal::KILL)?.is_none(), "it was killed");
            let after = read(&["watch"], &files()?)?;
            let said = String::from_utf8_lossy(&after.stderr).into_owned();
            ensure!(after.status.code() == Some(0), "round {round}: {said}");
            ensure!(after.stdout.starts_with(&before.stdout), "round {round}: less than before");
            ensure!(said.contains("its recorder was killed"), "round {round}: {said}");
            Ok(())
        })?;
    }
    Ok(())
}
