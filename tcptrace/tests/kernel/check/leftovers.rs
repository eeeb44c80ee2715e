//! What the command leaves running is ended, and nothing else.

use std::process::Command;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{
    Test,
    leaks::Stranger,
    run::{PROGRAM, Run, state_and_parent, until},
};
use crate::namespace::Namespace;

pub(super) const TESTS: &[(&str, Test)] = &[
    ("what it left running may end in order", asked_first),
    ("what ignores SIGTERM, or is stopped, is ended", ended_by_force),
    ("what begins anew when it is ended is ended", begins_anew),
    ("what ends without a parent is buried at once", buried),
    ("processes that are not its own go on", others_go_on),
    ("in a pid namespace its processes are ended, and no others", pid_namespace),
];

const NO_SETTLING: &[&str] = &["--settle", "0s"];

fn asked_first() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "(setsid sh -c 'trap \"echo cleaned up; exit\" TERM; sleep 1000 & \
                  echo ready; wait' &); read line";
    let mut run = Run::of_script(&netns, NO_SETTLING, script)?;
    run.hear("ready")?;
    run.go_on()?;
    let ended = run.end()?;
    ended.must_be(0)?;
    ensure!(ended.stdout == ["cleaned up"], "{ended:?}");
    ensure!(ended.stderr.iter().any(|line| line.contains("left processes running")), "{ended:?}");
    Ok(())
}

fn ended_by_force() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "trap '' TERM HUP; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; \
                  sleep 1000 & echo $!; kill -STOP $!";
    let mut run = Run::of_script(&netns, NO_SETTLING, script)?;
    let pids = [run.line()?, run.line()?, run.line()?];
    run.end()?.must_be(0)?;
    for pid in pids {
        ensure!(state_and_parent(pid.parse()?).is_none(), "{pid} is a zombie");
    }
    Ok(())
}

fn begins_anew() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "setsid sh -c 'trap \"setsid sleep 1000 & setsid sleep 1000 &\" TERM; \
                  echo ready; while :; do sleep 1000 & wait; done' & read line";
    let mut run = Run::of_script(&netns, NO_SETTLING, script)?;
    run.hear("ready")?;
    run.go_on()?;
    run.end()?.must_be(0)?;
    Ok(())
}

fn buried() -> Result<()> {
    let netns = Namespace::new()?;
    let script = "i=0; while [ $i -lt 20 ]; do (sleep 0 & echo $!); i=$((i+1)); done; read line";
    let mut run = Run::of_script(&netns, NO_SETTLING, script)?;
    let tcptrace = run.pid();
    for _ in 0..20 {
        let pid: u32 = run.line()?.parse()?;
        until("the end of an orphan, and its burial", || {
            Ok(state_and_parent(pid).is_none_or(|(_, parent)| parent != tcptrace))
        })?;
    }
    run.go_on()?;
    run.end()?.must_be(0)?;
    Ok(())
}

/// Neither one in the same session, nor one that tcptrace has inherited as a child.
fn others_go_on() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let script = "sleep 1000 & sibling=$!; \
                  sh -c 'sleep 1000 & echo $!; exec \"$0\" check --settle 0s -- \
                  sh -c \"sleep 1000 & exit 4\"' \"$0\"; \
                  echo $?; kill $sibling && echo alive";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    let mut run = Run::start(&netns, command)?;
    let child: u32 = run.line()?.parse()?;
    run.hear("4")?;
    run.hear("alive")?;
    ensure!(state_and_parent(child).is_some_and(|(state, _)| state != 'Z'), "{child} was ended");
    ensure!(crate::sys::end(child, Signal::KILL, super::run::PATIENCE)?);
    run.end()?.must_be(0)?;
    stranger.tell("connect c 127.0.0.1:7000")?;
    Ok(())
}

/// There the numbers of the kernel's events are those of other processes.
fn pid_namespace() -> Result<()> {
    let netns = Namespace::new()?;
    // Many strangers, so that the numbers in use there are in use for them.
    let script = "i=0; while [ $i -lt 300 ]; do sleep 1000 & all=\"$all $!\"; i=$((i+1)); done; \
                  \"$0\" check --settle 0s -- sh -c '(setsid sleep 2000 &); exit 4'; echo $?; \
                  kill $all && echo alive; wait; grep -l sleep /proc/[0-9]*/comm";
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, PROGRAM]);
    let mut run = Run::start(&netns, command)?;
    run.hear("4")?;
    run.hear("alive")?;
    let ended = run.end()?;
    ensure!(ended.stdout.is_empty(), "left running: {ended:?}");
    Ok(())
}
