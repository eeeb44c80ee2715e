//! A recorder that prints nothing: it follows no connection, and yet must look when it matters.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use tcptrace::{
    event::{Event, HookKind},
    recording::Input,
};
use tcptrace_common::tcp_state::TcpState;

use crate::{
    needing_root,
    recorded::{FINDINGS, STEPS, facts, lines, live_stuck},
    recorder::{Folder, Running, read, record, until},
    script,
    stage::Stage,
};

pub(crate) fn trials() -> [Trial; 2] {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 2] = [
        ("record: what is stuck is found also where nothing is printed", findings),
        ("record: of an end that says all, nothing more is written", ends),
    ];
    tests.map(|(name, test)| Trial::test(name, needing_root(test)))
}

fn findings() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = Folder::new()?;
    let path = folder.0.join("r.arrows");
    let mut silent = Running::start(&mut record(&stage.here, &path, &["--for", "1s"]))?;
    let files = [path.clone()];
    // The first line is the names of the columns.
    until(&stage.here, || {
        let watched = if path.exists() { read(&["watch"], &files)?.stdout } else { Vec::new() };
        Ok(String::from_utf8_lossy(&watched).lines().count() > 1)
    })?;
    let mut live = live_stuck(&stage.here.path())?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    let mut told = Vec::new();
    while told.len() < FINDINGS {
        let line = live.line(|line| line.starts_with("{\"type\":\"stuck\""))?;
        told.push(serde_json::from_str(&line)?);
    }
    live.stop(Signal::INT)?;
    // What is found live so early is found by a look of half a second later, at the latest.
    until(&stage.here, || {
        Ok(lines(&read(&["stuck", "--json", "--for", "1s"], &files)?)?.len() >= FINDINGS)
    })?;
    ensure!(silent.end(Signal::INT)? == Some(0), "{}", silent.stderr()?);

    let inode = stage.here.inode().to_string();
    let recorded = lines(&read(&["stuck", "--json", "--for", "1s", "--netns", &inode], &files)?)?;
    let news = |line: &&Value| line["again"] == false;
    let told = facts(told.iter());
    let found = facts(recorded.iter().filter(news));
    ensure!(found.len() == FINDINGS && told == found, "live:\n{told:#?}\nrecorded:\n{found:#?}");
    // The limit and half a second, in event time.
    let is_late = |line: &&Value| line["age_ns"].as_u64().is_none_or(|age| age > 1_500_000_000);
    let late = recorded.iter().filter(news).find(is_late);
    ensure!(late.is_none(), "found late: {late:?}");
    Ok(())
}

fn ends() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = Folder::new()?;
    let path = folder.0.join("r.arrows");
    let mut recorder = Running::start(&mut record(&stage.here, &path, &[]))?;
    let files = [path.clone()];
    // Before its first batch is written, it is no recording.
    let has_events = || anyhow::Ok(Input::open(&files)?.next_batch()?.is_some());
    until(&stage.here, || Ok(has_events().unwrap_or(false)))?;
    // Both ends of the first are closed by their processes, those of the other by a reset.
    let steps = "
        srv listen L :80
        cli connect DONE :80
        srv accept OVER L
        cli close DONE
        srv eof OVER
        srv close OVER
        cli connect GONE :80
        srv accept RESET L
        cli linger GONE
        cli close GONE
        srv close RESET";
    for step in script::parse(steps)? {
        stage.play(&step)?;
    }
    stage.here.refuse(9)?;
    ensure!(recorder.end(Signal::INT)? == Some(0), "{}", recorder.stderr()?);

    let (mut dead, mut held, mut destroyed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut input = Input::open(&files)?;
    while let Some(events) = input.next_batch()? {
        for event in events {
            match event {
                // What came before the first step may have been while programs were being attached.
                Event::Transition(begin) if begin.to == TcpState::Listen => held.clear(),
                Event::Transition(end) if end.to == TcpState::Close => {
                    let is_dead = end.socket.is_some_and(|fields| fields.dead);
                    if is_dead { &mut dead } else { &mut held }.insert(end.cookie);
                }
                Event::Hook(hook) if hook.kind == HookKind::Destroyed => {
                    destroyed.insert(hook.cookie);
                }
                _ => {}
            }
        }
    }
    ensure!(dead.len() >= 2 && held.len() >= 2, "dead {dead:?}, held {held:?}");
    let untold: Vec<_> = held.difference(&destroyed).collect();
    ensure!(untold.is_empty(), "nothing tells when they were released: {untold:?}");
    let twice: Vec<_> = destroyed.intersection(&dead).collect();
    ensure!(twice.is_empty(), "dead {dead:?}, destroyed {destroyed:?}");
    Ok(())
}
