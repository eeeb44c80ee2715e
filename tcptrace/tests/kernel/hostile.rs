//! Processes that hide who they are: names made of anything, and ends before anybody looks.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{
    cast::Actor, namespace::Namespace, needing_root, recorder::PROGRAM, surroundings::Run, sys,
};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// What would reset the terminal, a byte that is no UTF-8, a line feed.
const NAME: &str = r"\x1bc\xff\x0a";
/// How it is shown to people.
const SHOWN: &str = r"\x1bc\xff\x0a";
/// What it is to programs.
const TEXT: &str = "\u{1b}c\u{fffd}\n";
/// Refused connections to this port tell that a tracer has begun, and to the next that it has told all.
const BEGUN: u16 = 9001;

pub(crate) fn trials() -> Vec<Trial> {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 2] = [
        ("a name of any bytes reaches no terminal as it is", names),
        ("a process that ends before it is looked for is no other", gone),
    ];
    tests.map(|(name, test)| Trial::test(format!("hostile: {name}"), needing_root(test))).into()
}

fn names() -> Result<()> {
    let netns = Namespace::new()?;
    let actor = Actor::spawn(NAME, &netns)?;
    for command in [
        "listen l 127.0.0.1:7000",
        "connect c 127.0.0.1:7000",
        "accept s l",
        "shutdown s",
        "until c CLOSE_WAIT",
    ] {
        actor.tell(command, PATIENCE)?.done()?;
    }
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["stuck", "--once", "--for", "1ms"],
        &["stuck", "--once", "--for", "1ms", "--json"],
    ] {
        for btf in ["/sys/kernel/btf/vmlinux", "/nowhere/vmlinux"] {
            let output = told(&netns, arguments, btf)?;
            let text = String::from_utf8(output.stdout)?;
            let is_raw = |c: char| c.is_control() && c != '\n';
            ensure!(!text.contains(is_raw), "raw bytes: {text:?}");
            let is_json = arguments.contains(&"--json");
            let shown = if is_json { serde_json::to_string(TEXT)? } else { SHOWN.to_owned() };
            ensure!(text.contains(&shown), "{arguments:?}, BTF at {btf}: {text}");
        }
    }
    Ok(())
}

fn told(netns: &Namespace, arguments: &[&str], btf: &str) -> Result<Output> {
    let script = "test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing \
                  && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, PROGRAM]).args(arguments);
    command.args(["--netns", &netns.path()]).env("TCPTRACE_BTF", btf);
    netns.enter("starter", move || Ok(command.output()?))
}

/// The tracer stands still meanwhile, so that it can look for the holder only when there is none.
fn gone() -> Result<()> {
    let netns = Namespace::new()?;
    let client = Actor::spawn("client", &netns)?;
    let server = Actor::spawn("server", &netns)?;
    let of = |actor: &Actor, command: &str| actor.tell(command, PATIENCE)?.done().map(drop);
    let mut watch = Command::new(PROGRAM);
    let mut run = Run::start(watch.args(["watch", "--json", "--netns", &netns.path()]))?;
    let is_of = |line: &str, port: u16| line.contains(&format!("\"rport\":{port},"));
    run.line_while(|line| is_of(line, BEGUN), || drop(netns.refuse(BEGUN)))?;
    kill_process(sys::pid_of(run.pid())?, Signal::STOP)?;
    of(&server, "listen l 127.0.0.1:7000")?;
    of(&client, "connect c 127.0.0.1:7000")?;
    of(&server, "accept s l")?;
    of(&client, "shutdown c")?;
    of(&server, "until s CLOSE_WAIT")?;
    server.kill()?;
    of(&client, "until c CLOSE")?;
    client.kill()?;
    netns.refuse(BEGUN + 1)?;
    kill_process(sys::pid_of(run.pid())?, Signal::CONT)?;
    let mut seen = Vec::new();
    loop {
        let text = run.line(|line| line.contains("\"type\":\"transition\""))?;
        if is_of(&text, BEGUN + 1) {
            break;
        }
        let line: Value = serde_json::from_str(&text)?;
        // That of a connection which was accepted.
        if line["lport"] == 7000 && !line["rport"].is_null() {
            let is_server = line["pid"] == server.pid() && line["comm"] == "server";
            let is_unknown = line["pid"].is_null() && line["comm"].is_null();
            ensure!(is_server || is_unknown, "{line}");
            seen.push(line["to"].as_str().unwrap_or_default().to_owned());
        }
    }
    let expected = ["ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSE"];
    ensure!(seen.ends_with(&expected.map(str::to_owned)), "{seen:?}");
    run.stop(Signal::INT)?;
    Ok(())
}
