//! The exit status, and runs that do not come to anything.

use std::process::Command;

use anyhow::{Result, ensure};
use rustix::thread::CapabilitySet;

use super::{
    Test,
    leaks::{Stranger, leak, names},
    run::{PROGRAM, Remote, Run},
};
use crate::{
    namespace::Namespace,
    privileges::{LOOKING, must_keep},
};

pub(super) const TESTS: &[(&str, Test)] = &[
    ("the command's status is passed on", passed_on),
    ("a command that fails is told about all the same", failed_and_leaked),
    ("a command that cannot start is one line", cannot_start),
    ("without BTF the command is not started", without_btf),
    ("the report follows what the command prints", order_of_output),
    ("a report that cannot be written leaves nothing running", full_stdout),
    ("tcptrace drops its privileges, the command does not", privileges),
    ("the command gets streams, arguments and nothing else", what_it_gets),
];

fn passed_on() -> Result<()> {
    let netns = Namespace::new()?;
    for (script, status, told) in [
        ("true", 0, None),
        // Those that tcptrace itself may end with.
        ("exit 1", 1, Some("sh failed: its exit status is 1")),
        ("exit 2", 2, Some("sh failed: its exit status is 2")),
        ("exit 3", 3, Some("sh failed: its exit status is 3")),
        ("exit 255", 255, Some("sh failed: its exit status is 255")),
        ("kill -KILL $$", 137, Some("sh failed: its exit status is 137")),
        ("kill -SEGV $$", 139, Some("sh failed: its exit status is 139")),
    ] {
        let ended = Run::of_script(&netns, &["--settle", "0s"], script)?.end()?;
        ended.must_be(status)?;
        ensure!(ended.stdout.is_empty(), "{ended:?}");
        let failures: Vec<&str> = ended
            .stderr
            .iter()
            .filter(|line| line.contains("failed"))
            .filter_map(|line| line.strip_prefix("tcptrace: "))
            .collect();
        ensure!(failures == told.as_slice(), "{script}: {ended:?}");
    }
    Ok(())
}

fn failed_and_leaked() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let script = format!("{} & read line; exit 7", leaky.words());
    let mut run = Run::of_script(&netns, &["--json", "--settle", "300ms"], &script)?;
    let held = leak(&mut leaky, &stranger)?;
    run.go_on()?;
    let ended = run.end()?;
    names(&ended.must_be(7)?.finding()?, "close_wait_not_closed", "leaky", held)?;
    let told = |what: &str| ended.stderr.iter().any(|line| line.contains(what));
    ensure!(told("sh failed: its exit status is 7") && told("1 finding"), "{ended:?}");
    Ok(())
}

fn cannot_start() -> Result<()> {
    let netns = Namespace::new()?;
    for (format, words, fix) in [
        ("table", &["/nowhere/at/all"][..], "name a program that exists"),
        ("csv", &["no-such-program-anywhere", "--help"], "name a program that exists"),
        ("json", &[""], "name a program that exists"),
        ("json", &["two\nlines\u{1b}[m"], "name a program that exists"),
        ("json", &["/etc/passwd"], "name a program that may be run"),
        ("json", &["/etc"], "name a program that may be run"),
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(["check", "--format", format, "--"]).args(words);
        let ended = Run::start(&netns, command)?.end()?;
        ended.must_be(3)?;
        ensure!(ended.stdout.is_empty() && ended.stderr.len() == 1, "{ended:?}");
        let line = &ended.stderr[0];
        ensure!(line.starts_with("tcptrace: cannot start ") && line.ends_with(fix), "{line}");
        ensure!(!line.contains('\u{1b}'), "{line:?}");
    }
    Ok(())
}

fn without_btf() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing \
                  && exec \"$0\" check -- sh -c 'echo started'";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, PROGRAM]).env("TCPTRACE_BTF", "/nonexistent");
    let ended = Run::start(&netns, command)?.end()?;
    ended.must_be(3)?;
    ensure!(ended.stdout.is_empty() && ended.stderr.len() == 1, "{ended:?}");
    ensure!(ended.stderr[0].contains("no BTF at /nonexistent"), "{ended:?}");
    ensure!(ended.stderr[0].ends_with("`tcptrace doctor` tells what is missing"), "{ended:?}");
    Ok(())
}

fn order_of_output() -> Result<()> {
    let netns = Namespace::new()?;
    for (format, first) in [
        ("json", "{\"type\":\"stuck\","),
        ("csv", "type,time,conn,"),
        ("table", "CLOSE_WAIT  leaky("),
    ] {
        let stranger = Stranger::listening(&netns)?;
        let mut leaky = Remote::new("leaky")?;
        // Long enough in the state to be found while the command still prints.
        let script = format!(
            "echo before; {} & read line; sleep 1; echo after; echo error >&2; read line; \
             echo last; exit 0",
            leaky.words()
        );
        let options = ["--format", format, "--for", "200ms", "--settle", "0s"];
        let mut run = Run::of_script(&netns, &options, &script)?;
        leak(&mut leaky, &stranger)?;
        run.hear("before")?;
        run.go_on()?;
        run.hear("after")?;
        run.go_on()?;
        run.hear("last")?;
        let ended = run.end()?;
        ended.must_be(1)?;
        ensure!(ended.stdout.first().is_some_and(|line| line.starts_with(first)), "{ended:#?}");
        ensure!(ended.stderr.iter().any(|line| line == "error"), "{ended:#?}");
        ensure!(ended.stderr.iter().any(|line| line.contains("1 finding")), "{ended:#?}");
    }
    Ok(())
}

fn full_stdout() -> Result<()> {
    let netns = Namespace::new()?;
    // The one has a header before the findings, the other a summary after them.
    for format in ["csv", "json"] {
        let script = "exec \"$0\" check --format $1 --settle 0s -- sh -c 'sleep 1000 & exit 0' \
                      >/dev/full";
        let mut command = Command::new("sh");
        command.args(["-c", script, PROGRAM, format]);
        let ended = Run::start(&netns, command)?.end()?;
        ended.must_be(3)?;
        ensure!(
            ended.stderr.iter().any(|line| line.contains("cannot write to stdout")),
            "{ended:?}"
        );
    }
    Ok(())
}

/// The words as they are, the input, no descriptor of tcptrace's own, no signal that is blocked or
/// ignored, and all privileges: as without it.
fn what_it_gets() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "for word; do echo \"$word\"; done; ulimit -a; grep -E '^(Sig|Cap|NoNew)' \
                  /proc/self/status; readlink /proc/self/fd/*; read line; echo \"$line\"";
    let words = ["sh", "-c", script, "sh", "--json", "a  b", "--", ""];
    let mut with = Command::new(PROGRAM);
    with.args(["check", "--settle", "0s", "--"]).args(words);
    let mut without = Command::new("env");
    without.args(words);
    let mut said = Vec::new();
    for command in [without, with] {
        let mut run = Run::start(&netns, command)?;
        run.say("said")?;
        let ended = run.end()?;
        ended.must_be(0)?;
        let lines = ended.stdout.iter().filter(|line| !line.starts_with("SigQ"));
        said.push(lines.map(|line| comparable(line)).collect::<Vec<String>>());
    }
    ensure!(said[0] == said[1], "{said:#?}");
    ensure!(said[0].iter().any(|line| line == "a  b") && said[0].ends_with(&["said".to_owned()]));
    Ok(())
}

/// A line without what is another in each process: the numbers of pipes and processes, and what the C
/// library does with signals above 28 for its threads.
fn comparable(line: &str) -> String {
    if line.starts_with("Sig") {
        return format!("{}{}", &line[..7], &line[line.len() - 7..]);
    }
    match line.split_once(':') {
        Some(("pipe", _)) => "pipe".to_owned(),
        _ if line.starts_with("/proc/") => line.replace(|c: char| c.is_ascii_digit(), ""),
        _ => line.to_owned(),
    }
}

/// `CAP_KILL` stays, to end what the command leaves running as another user.
fn privileges() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "setpriv --reuid 65534 sleep 1000 & echo ready; read line";
    let mut run = Run::of_script(&netns, &["--settle", "0s"], script)?;
    run.hear("ready")?;
    let kept = LOOKING | CapabilitySet::SYS_ADMIN | CapabilitySet::KILL;
    must_keep(run.pid(), kept, 1)?;
    run.go_on()?;
    run.end()?.must_be(0)?;
    Ok(())
}
