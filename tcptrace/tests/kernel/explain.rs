//! `tcptrace explain`: counting on the arrows, and telling where nothing can be read.

use std::{collections::BTreeMap, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use tcptrace_common::tcp_state::TcpState;

use crate::{needing_root, script, stage::Stage, surroundings::Run, tracer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");
/// How long the last transition may take to be told, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A close by the client, one by the server, a refusal and a reset.
const STEPS: &str = "
    srv listen L :80
    cli connect C :80
    srv accept S L
    cli close C
    srv eof S
    wait 300ms
    srv close S
    cli connect D :80
    srv accept T L
    srv close T
    cli eof D
    cli close D
    cli connect E :81 => ECONNREFUSED
    cli connect F :80
    srv accept U L
    cli linger F
    cli close F";

/// The arrows on which these steps leave a trace; all others must have none.
const COUNTS: [(&str, &str, u64); 13] = [
    ("CLOSE", "LISTEN", 1),
    ("CLOSE", "SYN_SENT", 4),
    ("SYN_SENT", "ESTABLISHED", 3),
    ("LISTEN", "SYN_RECV", 3),
    ("SYN_RECV", "ESTABLISHED", 3),
    ("ESTABLISHED", "FIN_WAIT1", 2),
    ("FIN_WAIT1", "FIN_WAIT2", 2),
    ("FIN_WAIT2", "TIME_WAIT", 2),
    ("ESTABLISHED", "CLOSE_WAIT", 2),
    ("CLOSE_WAIT", "LAST_ACK", 2),
    ("LAST_ACK", "CLOSE", 2),
    ("SYN_SENT", "CLOSE", 1),
    ("ESTABLISHED", "CLOSE", 2),
];

pub(crate) fn trials() -> [Trial; 2] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 2] = [
        ("explain: every transition is counted on its arrow", counted),
        ("explain: what cannot be read is not guessed", without_proc),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

fn counted() -> Result<()> {
    // It prints what happens, so it tells when all has.
    let shared = tracer::shared()?;
    let mut stage = Stage::new()?;
    let mut run = Run::start(Command::new(PROGRAM).args([
        "explain",
        "-v",
        "--duration",
        "1h",
        "--netns",
        &stage.here.path(),
    ]))?;
    run.line(|line| line == "tcptrace: tracing for 1h")?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    let netns = stage.here.inode();
    let expected = COUNTS.iter().map(|&(from, to, count)| ((from, to), count));
    let expected: BTreeMap<_, _> = expected.collect();
    let total = usize::try_from(expected.values().sum::<u64>())?;
    let all = shared.wait(PATIENCE, |lines| lines.count(netns) >= total)?;
    ensure!(all, "the steps must make {total} transitions: {:?}", shared.lines(&[netns], 0)?);
    let told = run.stop(Signal::INT)?;
    let mut seen = 0;
    for line in &told {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [from, to, count, median, ..] = words.as_slice() else { continue };
        if ![from, to].iter().all(|name| TcpState::ALL.iter().any(|s| s.name() == **name)) {
            continue;
        }
        seen += 1;
        let wanted = expected.get(&(*from, *to)).copied().unwrap_or_default();
        ensure!(count.parse() == Ok(wanted), "there should be {wanted}: {line}");
        if (*from, *to) == ("CLOSE_WAIT", "LAST_ACK") {
            ensure!(*median != "-", "both dwells are exact: {line}");
        }
    }
    ensure!(seen > expected.len(), "the list of all arrows is missing: {told:#?}");
    for (drawn, what) in [("| 4", "connect()"), ("| 3, after ", "the handshake")] {
        ensure!(told.iter().any(|line| line.contains(drawn)), "no {what} is drawn: {told:#?}");
    }
    ensure!(told.iter().any(|line| line == "No transition was against the diagram."), "{told:#?}");
    Ok(())
}

fn without_proc() -> Result<()> {
    let script = "mount -t tmpfs none /proc && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, PROGRAM, "explain", "sysctls"])
        .output()
        .context("cannot run unshare")?;
    let text = String::from_utf8(output.stdout).context("the text is UTF-8")?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{:?}: {text}", output.status);
    let values: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("  net."))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    ensure!(values.len() > 10 && values.iter().all(|value| *value == "-"), "{text}");
    Ok(())
}
