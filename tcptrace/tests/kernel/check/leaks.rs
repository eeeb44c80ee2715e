//! What counts as left behind, and when.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    Test,
    run::{PATIENCE, Remote, Run},
};
use crate::{
    cast::{Actor, Answer},
    namespace::Namespace,
    sys,
};

pub(super) const TESTS: &[(&str, Test)] = &[
    ("a background child that never closes is named, and no stranger", close_wait),
    ("a half-closed connection is named", half_closed),
    ("a connection that was accepted is named", accepted),
    ("one that was never accepted is named with its listener", never_accepted),
    ("who closed an orphan is named", orphan),
    ("an orphan of the command's end is named", orphan_of_the_end),
    ("a state that was entered soon after the end counts", soon_after_the_end),
    ("what ends while settling is no finding", ended_while_settling),
    ("whoever closes everything leaves nothing", clean),
    ("what was stuck for a while counts although it resolves", resolved),
    ("a kind that was not asked for does not count", other_kind),
    ("with no time to settle the end is what counts", no_settling),
];

/// Somebody who is no process of the command, and listens.
pub(super) struct Stranger(Actor);

impl Stranger {
    pub(super) fn listening(netns: &Namespace) -> Result<Self> {
        let stranger = Self(Actor::spawn("stranger", netns)?);
        stranger.tell("listen l 127.0.0.1:7000")?;
        Ok(stranger)
    }

    pub(super) fn tell(&self, command: &str) -> Result<Answer> {
        self.0.tell(command, PATIENCE)?.done()
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Has a connection with itself of which neither end is closed properly.
    pub(super) fn leak(&self) -> Result<()> {
        for command in [
            "listen m 127.0.0.1:7100",
            "connect mine 127.0.0.1:7100",
            "accept other m",
            "shutdown other",
            "until mine CLOSE_WAIT",
        ] {
            self.tell(command)?;
        }
        Ok(())
    }
}

/// Pid and descriptor of a connection of `leaky`, which the stranger has closed and `leaky` has not.
pub(super) fn leak(leaky: &mut Remote, stranger: &Stranger) -> Result<(u32, u64)> {
    leaky.tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    stranger.tell("close s")?;
    leaky.tell("until c CLOSE_WAIT")?;
    which(leaky, "c")
}

fn which(remote: &mut Remote, socket: &str) -> Result<(u32, u64)> {
    let answer = remote.tell(&format!("which {socket}"))?;
    Ok((answer.pid.context("a pid")?, answer.fd.context("a descriptor")?))
}

/// The finding is of this kind and names this holder and nobody else.
pub(super) fn names(finding: &Value, kind: &str, comm: &str, (pid, fd): (u32, u64)) -> Result<()> {
    ensure!(finding["kind"] == kind, "{finding}");
    let owners = finding["owners"].as_array().context("owners")?;
    ensure!(owners.len() == 1, "{finding}");
    let owner = &owners[0];
    ensure!(
        owner["pid"] == pid && owner["comm"] == comm && owner["fds"] == json!([fd]),
        "not {comm}({pid}) fd {fd}: {finding}"
    );
    Ok(())
}

/// A command that starts `leaky` in the background, waits for our word, and ends.
fn in_background(netns: &Namespace, options: &[&str], leaky: &Remote) -> Result<Run> {
    let script = format!("{} & read line", leaky.words());
    Run::of_script(netns, options, &script)
}

const JSON: &[&str] = &["--json", "--settle", "300ms"];

fn close_wait() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let mut run = in_background(&netns, JSON, &leaky)?;
    let held = leak(&mut leaky, &stranger)?;
    stranger.leak()?;
    run.go_on()?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    names(&finding, "close_wait_not_closed", "leaky", held)?;
    ensure!(finding["age"] == "exact" && finding["netns"] == netns.inode(), "{finding}");
    ensure!(finding["rport"] == 7000 && finding["state"] == "CLOSE_WAIT", "{finding}");
    let cmdline = finding["owners"][0]["cmdline"].as_str().context("a command line")?;
    ensure!(cmdline.ends_with("/exe"), "{finding}");
    ensure!(ended.summary()?["kinds"]["close_wait_not_closed"] == 1, "{ended:?}");
    ensure!(
        ended.stderr.iter().any(|line| line.contains("1 finding (1 close_wait_not_closed)")),
        "{ended:?}"
    );
    // It goes on as if nothing had happened.
    stranger.tell("connect again 127.0.0.1:7000")?;
    Ok(())
}

fn half_closed() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let mut run = in_background(&netns, JSON, &leaky)?;
    leaky.tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    leaky.tell("shutdown c")?;
    leaky.tell("until c FIN_WAIT2")?;
    let held = which(&mut leaky, "c")?;
    run.go_on()?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    names(&finding, "fin_wait2_half_closed", "leaky", held)?;
    let peer = &finding["peer"];
    ensure!(peer["state"] == "CLOSE_WAIT", "{finding}");
    ensure!(peer["owners"][0]["pid"] == stranger.pid(), "{finding}");
    Ok(())
}

fn accepted() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut server = Remote::new("server")?;
    let mut run = in_background(&netns, JSON, &server)?;
    server.tell("listen l 127.0.0.1:8000")?;
    stranger.tell("connect c 127.0.0.1:8000")?;
    server.tell("accept s l")?;
    stranger.tell("close c")?;
    server.tell("until s CLOSE_WAIT")?;
    let held = which(&mut server, "s")?;
    run.go_on()?;
    let ended = run.end()?;
    names(&ended.must_be(1)?.finding()?, "close_wait_not_closed", "server", held)
}

fn never_accepted() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut server = Remote::new("server")?;
    let mut run = in_background(&netns, JSON, &server)?;
    server.tell("listen l 127.0.0.1:8000")?;
    let held = which(&mut server, "l")?;
    stranger.tell("connect c 127.0.0.1:8000")?;
    stranger.tell("shutdown c")?;
    stranger.tell("until c FIN_WAIT2")?;
    run.go_on()?;
    let ended = run.end()?;
    names(&ended.must_be(1)?.finding()?, "close_wait_not_accepted", "server", held)
}

fn orphan() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let mut run = in_background(&netns, JSON, &leaky)?;
    leaky.tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    let (pid, _) = which(&mut leaky, "c")?;
    leaky.tell("close c")?;
    stranger.tell("until s CLOSE_WAIT")?;
    // An orphan of somebody else.
    stranger.tell("listen m 127.0.0.1:7100")?;
    stranger.tell("connect mine 127.0.0.1:7100")?;
    stranger.tell("accept other m")?;
    stranger.tell("close mine")?;
    run.go_on()?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    ensure!(finding["kind"] == "fin_wait2_orphan" && finding["owners"] == json!([]), "{finding}");
    ensure!(finding["closed_by"] == json!({"pid": pid, "comm": "leaky"}), "{finding}");
    Ok(())
}

/// The command is the actor itself, which closes by ending.
fn orphan_of_the_end() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let script = format!("exec {}", leaky.words());
    let run = Run::of_script(&netns, JSON, &script)?;
    leaky.tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    let (pid, _) = which(&mut leaky, "c")?;
    drop(leaky);
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    ensure!(finding["kind"] == "fin_wait2_orphan", "{finding}");
    ensure!(finding["closed_by"] == json!({"pid": pid, "comm": "leaky"}), "{finding}");
    Ok(())
}

/// The answer to a FIN takes a while, by a delayed acknowledgement alone 40 ms, so a state that counts
/// is mostly entered after the command has ended, and is then a little younger than the settling.
fn soon_after_the_end() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let words = leaky.words();
    let script = format!("{words} & read line; (sleep 1; echo a second later) & exit 0");
    let mut run = Run::of_script(&netns, &["--json", "--settle", "8s"], &script)?;
    leaky.tell("connect c 127.0.0.1:7000")?;
    stranger.tell("accept s l")?;
    run.go_on()?;
    run.hear("a second later")?;
    leaky.tell("close c")?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    ensure!(finding["kind"] == "fin_wait2_orphan", "{finding}");
    Ok(())
}

fn ended_while_settling() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut slow = Remote::new("slow")?;
    let words = slow.words();
    let script = format!("{words} & read line; (sleep 1; echo a second later) & exit 0");
    let mut run = Run::of_script(&netns, &["--json", "--settle", "8s"], &script)?;
    leak(&mut slow, &stranger)?;
    run.go_on()?;
    run.hear("a second later")?;
    slow.tell("close c")?;
    let ended = run.end()?;
    ensure!(ended.must_be(0)?.findings()?.is_empty(), "{ended:?}");
    Ok(())
}

fn clean() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut tidy = Remote::new("tidy")?;
    let mut run = in_background(&netns, JSON, &tidy)?;
    leak(&mut tidy, &stranger)?;
    tidy.tell("close c")?;
    // The other way round, which leaves a TIME_WAIT.
    tidy.tell("connect d 127.0.0.1:7000")?;
    stranger.tell("accept t l")?;
    tidy.tell("shutdown d")?;
    stranger.tell("eof t")?;
    stranger.tell("close t")?;
    tidy.tell("eof d")?;
    tidy.tell("close d")?;
    stranger.leak()?;
    run.go_on()?;
    let ended = run.end()?;
    ensure!(ended.must_be(0)?.findings()?.is_empty(), "{ended:?}");
    ensure!(ended.stderr.iter().any(|line| line.contains("nothing is stuck")), "{ended:?}");
    let transitions = ended.summary()?["transitions"].as_u64();
    ensure!(transitions.is_some_and(|count| count > 10), "{ended:?}");
    Ok(())
}

fn resolved() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut slow = Remote::new("slow")?;
    // How long it stays in the state is what is tested.
    let script = format!("{} & read line; sleep 5; echo slept; read line", slow.words());
    let mut run = Run::of_script(&netns, &["--json", "--for", "1s"], &script)?;
    let held = leak(&mut slow, &stranger)?;
    run.go_on()?;
    // Nothing may come before: stdout is the command's until its end.
    run.hear("slept")?;
    slow.tell("close c")?;
    run.go_on()?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.findings()?.first().cloned().context("a finding")?;
    names(&finding, "close_wait_not_closed", "slow", held)?;
    ensure!(finding["limit_ns"] == 1_000_000_000, "{finding}");
    let resolved = ended.of_type("resolved")?;
    ensure!(resolved.len() == 1 && resolved[0]["conn"] == finding["conn"], "{ended:?}");
    ensure!(resolved[0]["now"] == "LAST_ACK" && resolved[0]["pid"] == held.0, "{ended:?}");
    Ok(())
}

fn other_kind() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    let options = [JSON, &["--kind", "fin_wait2_orphan,closed_fd_leaked"]].concat();
    let mut run = in_background(&netns, &options, &leaky)?;
    leak(&mut leaky, &stranger)?;
    run.go_on()?;
    let ended = run.end()?;
    ensure!(ended.must_be(0)?.findings()?.is_empty(), "{ended:?}");
    Ok(())
}

fn no_settling() -> Result<()> {
    let netns = Namespace::new()?;
    let stranger = Stranger::listening(&netns)?;
    let mut leaky = Remote::new("leaky")?;
    // What is only on its way out does not count, however short the settling.
    let script = format!("{} & read line; sleep 0.5", leaky.words());
    let mut run = Run::of_script(&netns, &["--json", "--settle", "0s"], &script)?;
    let begun = sys::boot_ns();
    let held = leak(&mut leaky, &stranger)?;
    run.go_on()?;
    let ended = run.end()?;
    let finding = ended.must_be(1)?.finding()?;
    names(&finding, "close_wait_not_closed", "leaky", held)?;
    let age = finding["age_ns"].as_u64().context("an age")?;
    ensure!(age <= sys::boot_ns() - begun, "{finding}");
    Ok(())
}
