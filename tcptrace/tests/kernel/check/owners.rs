//! Whose connections are the command's.

use std::{env, process::Command};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    Test,
    leaks::{Stranger, leak, names},
    run::{PROGRAM, Remote, Run},
};
use crate::{actor, cast::Answer, namespace::Namespace};

pub(super) const TESTS: &[(&str, Test)] = &[
    ("children of children", children_of_children),
    ("a daemon in a session of its own", daemon),
    ("a grandchild whose parent has ended", orphaned_grandchild),
    ("what a stranger connected before is none of it", before),
    ("thousands of forks confuse nothing", many_forks),
    ("in a pid namespace the command is found", pid_namespace),
];

const JSON: &[&str] = &["--json", "--settle", "300ms"];

fn children_of_children() -> Result<()> {
    finds("( ( LEAKY & wait ) & wait ) & echo ready; read line")
}

fn daemon() -> Result<()> {
    finds("(setsid LEAKY &); echo ready; read line")
}

/// The shell waits for the middle process before it says that it is ready, and only then the
/// grandchild connects.
fn orphaned_grandchild() -> Result<()> {
    finds("(LEAKY &); echo ready; read line")
}

/// Whether a leak of `LEAKY` is found in a command that starts it like this.
fn finds(script: &str) -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let mut run = Run::of_script(&netns, JSON, &script.replace("LEAKY", &leaky.words()))?;
    run.hear("ready")?;
    let held = leak(&mut leaky, &stranger)?;
    stranger.leak()?;
    run.go_on()?;
    let ended = run.end()?;
    names(&ended.must_be(1)?.finding()?, "close_wait_not_closed", "leaky", held)
}

fn before() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    stranger.leak()?;
    let mut run =
        Run::of_script(&netns, &["--json", "--settle", "0s", "--for", "1ms"], "read line")?;
    run.go_on()?;
    let ended = run.end()?;
    ensure!(ended.must_be(0)?.findings()?.is_empty(), "{ended:?}");
    Ok(())
}

/// Strangers fork at the same time, so that pids are given to both in turn. Half of the command's
/// processes lose their parents and become tcptrace's, which must bury them: unburied they would use up
/// the pids.
fn many_forks() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let forks = "i=0; while [ $i -lt 2000 ]; do /bin/true; (/bin/true &); i=$((i+1)); done";
    let script = format!("{forks}; {} & echo ready; read line", leaky.words());
    let mut run = Run::of_script(&netns, JSON, &script)?;
    let mut others = Command::new("sh").args(["-c", forks]).spawn()?;
    run.hear("ready")?;
    let held = leak(&mut leaky, &stranger)?;
    stranger.leak()?;
    run.go_on()?;
    let ended = run.end()?;
    others.wait()?;
    names(&ended.must_be(1)?.finding()?, "close_wait_not_closed", "leaky", held)?;
    let lost = &ended.summary()?["lost"];
    ensure!(lost["ring_full"] == 0 && lost["undecodable"] == 0, "{ended:?}");
    Ok(())
}

/// There a process has another number than the kernel's own, by which events name it.
fn pid_namespace() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", PROGRAM, "check"]);
    command.args(JSON).arg("--").arg(env::current_exe()?).env(actor::NAME, "leaky");
    let mut run = Run::start(&netns, command)?;
    let mut tell = |command: &str| -> Result<Answer> {
        run.say(command)?;
        Answer::parse(&run.line()?)?.done()
    };
    tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    stranger.tell("close s")?;
    tell("until c CLOSE_WAIT")?;
    stranger.leak()?;
    tell("fork other")?;
    let fd = tell("which c")?.fd;
    // The command ends, and the process that it has forked goes on with a copy of its connection.
    tell("in other stay c")?;
    run.close_input();
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    let owner = &finding["owners"][0];
    ensure!(owner["comm"] == "other" && owner["fds"] == json!([fd]), "{finding}");
    Ok(())
}
