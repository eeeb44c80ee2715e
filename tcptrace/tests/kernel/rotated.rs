//! `tcptrace record` into several files.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value;

use crate::{
    namespace::Namespace,
    needing_root,
    recorder::{Folder, PROGRAM, Running, read, record, until},
    script,
    stage::Stage,
};

pub(crate) fn trials() -> [Trial; 3] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 3] = [
        ("rotation: SIGHUP begins a new file, and the files say what one would", hangup),
        ("rotation: by time, with the newest files kept", by_time),
        ("rotation: a terminal that is closed ends the recording in order", terminal),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

fn hangup() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = Folder::new()?;
    let printed = folder.0.join("printed");
    let mut command = record(&stage.here, &folder.0.join("r.arrows"), &["--print"]);
    let mut recorder = Running::start(command.stdout(File::create(&printed)?))?;
    // The first line is the names of the columns.
    until(&stage.here, || Ok(fs::read_to_string(&printed)?.lines().count() > 1))?;
    let parts = [
        "srv listen L :80\ncli connect OPEN :80\nsrv accept KEPT L",
        "cli connect NEXT :80\nsrv accept OTHER L",
        "cli close OPEN\nsrv eof KEPT\nsrv close KEPT",
    ];
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            recorder.tell(Signal::HUP)?;
            let begun = format!("-{:04}.arrows", number + 1);
            until(&stage.here, || {
                let mut files = folder.recordings()?;
                files.retain(|path| path.to_string_lossy().ends_with(&begun));
                // Its first batch has all of the snapshot.
                Ok(!files.is_empty() && has_lines(&files)?)
            })?;
        }
        for step in script::parse(part)? {
            stage.play(&step)?;
        }
    }
    let shows = |text: &str| fs::read_to_string(&printed).map(|all| all.contains(text));
    until(&stage.here, || Ok(shows("LAST_ACK")?))?;
    ensure!(recorder.end(Signal::INT)? == Some(0), "{}", recorder.stderr()?);
    let said = recorder.stderr()?;
    ensure!(said.contains(" in 3 files"), "{said}");

    let together = read(&["watch"], std::slice::from_ref(&folder.0))?;
    let printed = fs::read(&printed)?;
    ensure!(
        together.stdout == printed,
        "printed:\n{}\nand read:\n{}",
        String::from_utf8_lossy(&printed),
        String::from_utf8_lossy(&together.stdout)
    );
    let said = String::from_utf8_lossy(&together.stderr).into_owned();
    ensure!(said.lines().count() == 1, "nothing but the summary: {said}");
    let lines = transitions(std::slice::from_ref(&folder.0))?;
    let opened = line(&lines, "SYN_SENT", "ESTABLISHED")?;
    let closed = line(&lines, "ESTABLISHED", "FIN_WAIT1")?;
    ensure!(opened["conn"] == closed["conn"], "one connection: {opened} {closed}");
    ensure!(closed["dwell"] == "exact", "{closed}");

    let files = folder.recordings()?;
    let last = files.iter().find(|path| path.to_string_lossy().contains("-0003."));
    let alone = transitions(&[last.context("the third")?.clone()])?;
    let closed = line(&alone, "ESTABLISHED", "FIN_WAIT1")?;
    ensure!(closed["dwell"] == "at_least" && closed["comm"] == "cli", "{closed}");
    // Whose ends they are, a file alone knows from its first snapshot.
    let stuck = read(&["stuck", "--json", "--for", "1ms"], &[files[0].clone()])?;
    ensure!(stuck.status.code().is_some_and(|code| code < 2), "{stuck:?}");
    Ok(())
}

fn has_lines(recordings: &[PathBuf]) -> Result<bool> {
    Ok(String::from_utf8_lossy(&read(&["watch"], recordings)?.stdout).lines().count() > 1)
}

fn transitions(recordings: &[PathBuf]) -> Result<Vec<Value>> {
    let output = read(&["watch", "--json"], recordings)?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<Vec<Value>, _>>()?)
}

/// The last line of a transition to port 80.
fn line<'a>(lines: &'a [Value], from: &str, to: &str) -> Result<&'a Value> {
    let is_it = |line: &&Value| line["from"] == from && line["to"] == to && line["rport"] == 80;
    match to {
        // The first that was opened is the first that is closed.
        "ESTABLISHED" => lines.iter().find(is_it),
        _ => lines.iter().rfind(is_it),
    }
    .with_context(|| format!("{from} -> {to} is not told: {lines:#?}"))
}

fn by_time() -> Result<()> {
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let output = folder.0.join("r.arrows");
    let arguments = ["--rotate", "1s,1GB", "--keep", "2"];
    let mut recorder = Running::start(&mut record(&netns, &output, &arguments))?;
    until(&netns, || {
        let files = folder.recordings()?;
        Ok(files.iter().any(|path| path.to_string_lossy().ends_with("-0004.arrows")))
    })?;
    ensure!(recorder.end(Signal::TERM)? == Some(0), "{}", recorder.stderr()?);
    let files = folder.recordings()?;
    ensure!(files.len() == 2, "two are kept: {files:?}");
    let read = read(&["watch"], std::slice::from_ref(&folder.0))?;
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    ensure!(read.status.code() == Some(0) && said.lines().count() == 1, "{said}");
    ensure!(read.stdout.len() > 1000, "{} bytes of lines", read.stdout.len());
    Ok(())
}

fn terminal() -> Result<()> {
    let netns = Namespace::new()?;
    let folder = Folder::new()?;
    let output = folder.0.join("r.arrows");
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let terminal = File::options().read(true).write(true).open(name.to_str()?)?;
    let mut command = std::process::Command::new("setsid");
    command.args(["--ctty", PROGRAM, "record", "--netns", &netns.path(), "-o"]).arg(&output);
    command.stdin(terminal.try_clone()?).stdout(Stdio::null()).stderr(terminal);
    let mut recorder = Running::start(&mut command)?;
    drop(command);
    until(&netns, || Ok(output.exists() && has_lines(std::slice::from_ref(&output))?))?;
    drop(master);
    ensure!(recorder.status()? == Some(0), "it ends in order");
    let read = read(&["watch"], &[output])?;
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    ensure!(said.lines().count() == 1, "it is whole: {said}");
    ensure!(folder.recordings()?.len() == 1, "no other file is begun");
    Ok(())
}
