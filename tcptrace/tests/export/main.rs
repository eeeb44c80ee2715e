//! `tcptrace export` as its users meet it: recordings made here, files read back.
//!
//! That other programs than ours read them too is tested in the kernel suite (`readers`), with
//! recordings of real sockets.

mod files;
mod partitions;
mod recording;
mod rows;
mod tables;
mod text;

use std::{
    path::Path,
    process::{Command, Output},
};

/// The program, in `folder`.
fn tcptrace(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    command.args(args).current_dir(folder);
    command
}

/// Runs what must succeed.
fn done(folder: &Path, args: &[&str]) -> Output {
    let output = tcptrace(folder, args).output().expect("tcptrace runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    output
}

/// Runs what cannot be done; returns the one line that says why.
fn failed(folder: &Path, args: &[&str]) -> String {
    let output = tcptrace(folder, args).output().expect("tcptrace runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{args:?}: {stderr}");
    // What is lost is told when it is met, before the export fails.
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.contains("records lost")).collect();
    assert_eq!(lines.len(), 1, "{args:?}: {stderr}");
    lines.concat()
}

/// The names of all files in `folder` and below, in order.
fn files_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(files_in(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}
