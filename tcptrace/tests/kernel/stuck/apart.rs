//! Tests of findings that are no rows: exit statuses, formats, ports that run out, and what very many
//! connections do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{PATIENCE, among_few, among_many, live, look};
use crate::{
    cast::Actor,
    namespace::{Namespace, words},
    needing_root, script,
    stage::Stage,
    surroundings::Run,
};

const CONNECTIONS: u32 = 100_000;
/// Each keeps its local port for a minute; of the 28,232 there are for one server less than a quarter
/// may be used up, or it is a finding.
const SERVERS: u8 = 20;
/// Connections that each of two processes piles up.
const PILE: usize = 5_000;
/// How long the actors may take for very many connections on a busy machine.
const LONG: Duration = Duration::from_secs(120);

pub(super) fn trials() -> Vec<Trial> {
    let few = |name: &str, test: fn() -> Result<()>| {
        Trial::test(format!("stuck: {name}"), needing_root(move || among_few(test)))
    };
    let many = |name: &str, test: fn() -> Result<()>| {
        Trial::test(format!("stuck: {name}"), needing_root(move || among_many(test)))
    };
    vec![
        few("ports that run out for one destination", ports_run_out),
        few("exit statuses", exit_statuses),
        few("formats, with hostile names", formats),
        many("nothing among 100,000 healthy connections", healthy),
        many("all of 20,000 stuck sockets", pile),
    ]
}

/// In one namespace a client uses up its ports. In the others it looks alike: there ports are taken
/// again, or it is the server that keeps them.
fn ports_run_out() -> Result<()> {
    const COUNT: u64 = 90;
    let live = live::shared()?;
    let mut actors = Vec::new();
    let mut namespaces = Vec::new();
    for (reuse, first) in [("0", "client"), ("1", "client"), ("0", "server")] {
        let netns = Namespace::new()?;
        netns.set_sysctl("net.ipv4.ip_local_port_range", "30000 30099")?;
        netns.set_sysctl("net.ipv4.tcp_tw_reuse", reuse)?;
        let actor = Actor::spawn("shop", &netns)?;
        actor.tell(&format!("churn {COUNT} 1 {first}"), LONG)?.done()?;
        actors.push(actor);
        namespaces.push(netns);
    }
    let netns = &namespaces[0];
    let inodes: Vec<u64> = namespaces.iter().map(Namespace::inode).collect();
    let is =
        |line: &Value, what: &str| line["type"] == what && line["kind"] == "time_wait_pressure";
    let told =
        live.wait(PATIENCE, |lines| lines.of(&inodes[..1]).iter().any(|line| is(line, "stuck")))?;
    ensure!(told, "it is not told");
    let look = look::look()?;
    let shown = netns.run(&words("ss -H -O -t -n state time-wait"))?;
    ensure!(shown.lines().count() as u64 == COUNT, "ss shows {shown}");
    let at_once: Vec<&Value> = look.of(&inodes).collect();
    let [at_once] = at_once.as_slice() else {
        anyhow::bail!("a look finds {at_once:?}");
    };
    for (key, value) in [
        ("kind", json!("time_wait_pressure")),
        ("state", json!("TIME_WAIT")),
        ("netns", json!(netns.inode())),
        ("conn", Value::Null),
        ("laddr", json!("127.0.0.1")),
        ("lport", Value::Null),
        ("raddr", json!("127.0.0.1")),
        ("rport", json!(80)),
        ("age", json!("unknown")),
        ("age_ns", Value::Null),
        ("limit_ns", Value::Null),
        ("held_by", json!("nobody")),
        ("owners", json!([])),
        ("closed_by", Value::Null),
        ("peer", Value::Null),
        ("again", json!(false)),
    ] {
        ensure!(at_once[key] == value, "{key} is not {value}: {at_once}");
    }
    let pressure = &at_once["pressure"];
    let numbers = [("time_wait", COUNT), ("in_use", 0), ("ports", 100), ("percent", COUNT)];
    for (key, number) in numbers {
        ensure!(pressure[key] == number, "{key} is not {number}: {pressure}");
    }
    let sysctls = &at_once["sysctls"];
    ensure!(sysctls["net.ipv4.ip_local_port_range"] == "30000 30099", "{sysctls}");
    ensure!(sysctls["net.ipv4.tcp_tw_reuse"] == 0, "{sysctls}");
    ensure!(at_once["cause"].as_str().is_some_and(|cause| cause.contains("EADDRNOTAVAIL")));

    netns.run(&words("ss -K -t state time-wait"))?;
    let over = live
        .wait(PATIENCE, |lines| lines.of(&inodes[..1]).iter().any(|line| is(line, "resolved")))?;
    ensure!(over, "it is not told that it is over");
    for line in live.lines(&inodes) {
        ensure!(line["netns"] == netns.inode() && line["kind"] == "time_wait_pressure", "{line}");
        if line["type"] == "stuck" {
            let closer = json!({"pid": actors[0].pid(), "comm": "shop"});
            ensure!(line["closed_by"] == closer, "the actor closed them: {line}");
            let number = |key: &str| line["pressure"][key].as_u64().unwrap_or(u64::MAX);
            ensure!(number("time_wait") <= COUNT && number("ports") == 100, "{line}");
        }
    }
    Ok(())
}

/// A stage on which these steps were played, when what came of them has been told twice.
fn staged(steps: &str) -> Result<(Stage, String)> {
    let live = live::shared()?;
    let mut stage = Stage::new()?;
    for step in script::parse(steps)? {
        stage.play(&step)?;
    }
    let inode = stage.here.inode();
    let told =
        live.wait(PATIENCE, |lines| lines.of(&[inode]).iter().any(|line| line["again"] == true))?;
    ensure!(told, "it is not told twice: {:?}", live.lines(&[inode]));
    Ok((stage, inode.to_string()))
}

fn exit_statuses() -> Result<()> {
    let (_stage, found) = staged("srv listen L :80\n cli connect C :80\n cli close C")?;
    let idle = Stage::new()?;
    let _idler = Actor::spawn("idler", &idle.here)?;
    let nothing = idle.here.inode().to_string();
    for (netns, status) in [(&found, 1), (&nothing, 0)] {
        for how in [&["--once"][..], &["--duration", "1200ms"]] {
            let arguments = ["stuck", "--json", "--for", "1s", "--netns", netns];
            let output = Command::new(env!("CARGO_BIN_EXE_tcptrace"))
                .args(arguments)
                .args(how)
                .output()
                .context("cannot start tcptrace")?;
            let (text, said) =
                (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
            ensure!(output.status.code() == Some(status), "{how:?}: {}: {said}", output.status);
            let lines = look::findings(text.as_bytes())?;
            let count =
                lines.iter().filter(|line| line["netns"].as_u64() == netns.parse().ok()).count();
            ensure!(count == lines.len(), "{how:?}: only {netns} was asked for: {text}");
            ensure!((count > 0) == (status == 1), "{how:?}: {text}");
            ensure!(said.contains("nothing is stuck") == (status == 0), "{how:?}: {said}");
        }
    }
    Ok(())
}

/// Names and command lines are chosen by whoever runs a program, and must not reach a terminal.
fn formats() -> Result<()> {
    let (_stage, netns) = staged(
        r"s\x1b[2J\x07 listen L :80
          c\x9b31m\x0a connect A :80
          c\x9b31m\x0a connect B :80
          c\x9b31m\x0a connect C :80
          c\x9b31m\x0a connect D :80
          s\x1b[2J\x07 accept A2 L
          s\x1b[2J\x07 accept B2 L
          s\x1b[2J\x07 accept C2 L
          s\x1b[2J\x07 accept D2 L
          c\x9b31m\x0a shutdown A
          c\x9b31m\x0a shutdown B
          c\x9b31m\x0a shutdown C
          c\x9b31m\x0a shutdown D",
    )?;
    let show = |format: &[&str]| -> Result<String> {
        let arguments = [&["--for", "1s", "--netns", &netns][..], format].concat();
        let output = look::once(&arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{format:?}: {}: {said}", output.status);
        let text = String::from_utf8(output.stdout).context("output is UTF-8")?;
        let is_raw = |c: &char| c.is_control() && *c != '\n';
        ensure!(!text.chars().any(|c| is_raw(&c)), "{format:?} has a raw byte: {text:?}");
        Ok(text)
    };
    let lines = look::findings(show(&["--json"])?.as_bytes())?;
    ensure!(lines.len() == 8, "{lines:?}");
    for line in &lines {
        let owner = &line["owners"][0];
        let server = line["kind"] == "close_wait_not_closed";
        let name = if server { "s\u{1b}[2J\u{7}" } else { "c\u{fffd}31m\n" };
        ensure!(owner["comm"] == name, "{name:?} holds it: {owner}");
        let command = owner["cmdline"].as_str().context("a command line")?;
        ensure!(command.contains(name) && command.ends_with(" on stage"), "{command:?}");
    }

    let table = show(&[])?;
    let escaped = if table.contains(r"s\x1b[2J\x07(") { "" } else { "the name is not escaped" };
    ensure!(escaped.is_empty(), "{escaped}: {table}");
    for part in ["CLOSE_WAIT", "FIN_WAIT2", "Holder", "Cause", "Remedy", "No help", "Here"] {
        ensure!(table.contains(part), "no {part} in the table: {table}");
    }
    for (table, examples, more) in [(&table, 6, 2), (&show(&["--each"])?, 8, 0)] {
        let count = |part: &str| table.matches(part).count();
        ensure!(count(" -> ") == examples, "{examples} examples: {table}");
        ensure!(count("other end: ") == examples, "{examples} other ends: {table}");
        ensure!(count("and 1 more (--each lists all)") == more, "{more} times more: {table}");
        ensure!(count("4 connections") == 2, "two groups of four: {table}");
    }

    let text = show(&["--csv"])?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    ensure!(rows.len() == 8, "{text}");
    let column = |name: &str| {
        header
            .iter()
            .position(|column| column == name)
            .with_context(|| format!("no {name}: {text}"))
    };
    let (kind, owners, age) = (column("kind")?, column("owners")?, column("age_ns")?);
    for row in &rows {
        let name = if &row[kind] == "close_wait_not_closed" { r"s\x1b" } else { r"c\x9b" };
        ensure!(row[owners].starts_with(name), "{row:?}");
        ensure!(row[age].parse::<u64>()? >= 1_000_000_000, "{row:?}");
    }
    Ok(())
}

/// The one stuck connection in the namespace shows that the program looks there; its end, that it did
/// so till then.
fn healthy() -> Result<()> {
    let netns = Namespace::unwatched()?;
    netns.set_sysctl("net.ipv4.tcp_tw_reuse", "0")?;
    let leaker = Actor::spawn("leaker", &netns)?;
    for command in ["listen L 127.0.0.1:81", "connect C 127.0.0.1:81", "shutdown C"] {
        leaker.tell(command, PATIENCE)?.done()?;
    }
    let inode = netns.inode().to_string();
    let mut run = Run::start(
        Command::new(env!("CARGO_BIN_EXE_tcptrace"))
            .args(["stuck", "--json", "--for", "2s", "--netns", &inode]),
    )?;
    let seen = RefCell::new(Vec::new());
    let until = |run: &mut Run, part: &str, kind: &str| {
        run.line(|line| {
            seen.borrow_mut().push(line.to_owned());
            line.contains(part) && line.contains(kind)
        })
    };
    until(&mut run, "\"type\":\"stuck\"", "close_wait_not_accepted")?;
    let churner = Actor::spawn("churner", &netns)?;
    churner.tell(&format!("churn {CONNECTIONS} {SERVERS} client"), LONG)?.done()?;
    leaker.tell("accept S L", PATIENCE)?.done()?;
    leaker.tell("close S", PATIENCE)?.done()?;
    until(&mut run, "\"type\":\"resolved\"", "close_wait_not_accepted")?;
    seen.borrow_mut().extend(run.stop(Signal::INT)?);
    for line in seen.borrow().iter().filter(|line| line.contains("\"type\":\"stuck\"")) {
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["lport"] == 81 || line["rport"] == 81, "nothing is wrong with {line}");
    }
    // Looking at all sockets would be slow as long as these are there.
    netns.run(&words("ss -K -t state time-wait"))?;
    Ok(())
}

fn pile() -> Result<()> {
    let netns = Namespace::unwatched()?;
    let actors = [Actor::spawn("pile1", &netns)?, Actor::spawn("pile2", &netns)?];
    for (number, actor) in (1..).zip(&actors) {
        actor.tell(&format!("pile {PILE} 127.0.0.{number}:80"), LONG)?.done()?;
    }
    let inode = netns.inode().to_string();
    let arguments = ["--for", "1s", "--netns", &inode];
    // The youngest must be old enough.
    let deadline = Instant::now() + LONG;
    let lines = loop {
        let output = look::once(&[&["--json"][..], &arguments].concat())?;
        let lines = look::findings(&output.stdout)?;
        if lines.len() >= 4 * PILE || Instant::now() > deadline {
            break lines;
        }
    };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut descriptors: BTreeSet<(u64, u64)> = BTreeSet::new();
    for line in &lines {
        *kinds.entry(line["kind"].as_str().context("a kind")?).or_default() += 1;
        let [owner] = line["owners"].as_array().context("owners")?.as_slice() else {
            anyhow::bail!("one process holds it: {line}");
        };
        let pid = owner["pid"].as_u64().context("a pid")?;
        let peer = &line["peer"]["owners"][0]["pid"];
        ensure!(peer.as_u64() == Some(pid), "the same process has the other end: {line}");
        let fds = owner["fds"].as_array().context("descriptors")?;
        descriptors.extend(fds.iter().filter_map(|fd| Some((pid, fd.as_u64()?))));
    }
    let expected =
        BTreeMap::from([("close_wait_not_closed", 2 * PILE), ("fin_wait2_half_closed", 2 * PILE)]);
    ensure!(kinds == expected, "{kinds:?}");
    ensure!(descriptors.len() == 4 * PILE, "{} descriptors", descriptors.len());
    let table = String::from_utf8(look::once(&arguments)?.stdout)?;
    let groups = table.matches(&format!("{PILE} connections")).count();
    ensure!(groups == 4 && table.lines().count() < 200, "four groups: {table}");
    Ok(())
}
