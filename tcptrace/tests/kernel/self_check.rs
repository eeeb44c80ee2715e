//! Checks of the suite itself that need neither root nor a tracer: the texts parse, and the
//! comparison finds what is wrong.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use crate::{
    actor,
    compare::compare,
    expect::{self, Length, Owner},
    line::Line,
    outcome, scenarios,
    script::{self, Deed},
    stage::{Connection, Kind, Person, Record},
    stuck,
};

type Check = fn() -> Result<()>;

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let all: [(&str, Check); 9] = [
        ("programs: none that may fault has subprograms", no_subprograms),
        ("suite: every row can be read", every_row_can_be_read),
        ("suite: every row about findings can be read", stuck::check_texts),
        ("suite: steps are read", steps_are_read),
        ("suite: expected lines are read", expected_lines_are_read),
        ("suite: a mistake in a row is named", mistakes_are_named),
        ("suite: the right lines are accepted", right_lines_are_accepted),
        ("suite: each wrong line is found", wrong_lines_are_found),
        ("suite: bytes in names are read", bytes_are_read),
    ];
    all.into_iter().map(|(name, check)| Trial::test(name, move || outcome(check())))
}

/// On 5.10 a load by BTF type that faults, as loads through the pointers of a socket may, takes the
/// kernel down if its program has subprograms (seen there).
fn no_subprograms() -> Result<()> {
    static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcptrace-ebpf"));
    /// They read by the helper, or through pointers that are always good.
    const HARMLESS: [&str; 2] = ["set_state_log", "process_fork"];
    const CALL: u8 = 0x85;
    const PSEUDO_CALL: u8 = 1;
    let object = object::File::parse(OBJECT)?;
    let mut looked_at = 0;
    for program in object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let section = object.section_by_index(program.section_index().context("a section")?)?;
        if !section.name()?.starts_with("tp_btf/") || HARMLESS.contains(&program.name()?) {
            continue;
        }
        let range = section.data_range(program.address(), program.size())?;
        let mut instructions = range.context("instructions")?.chunks_exact(8);
        let calls = instructions.any(|bytes| bytes[0] == CALL && bytes[1] >> 4 == PSEUDO_CALL);
        ensure!(!calls, "{} calls a subprogram, perhaps memset", program.name()?);
        looked_at += 1;
    }
    ensure!(looked_at >= 6, "only {looked_at} programs were found");
    Ok(())
}

fn every_row_can_be_read() -> Result<()> {
    let mut names = Vec::new();
    for (name, steps, expected) in scenarios::texts() {
        let steps = script::parse(steps).with_context(|| format!("in the row `{name}`"))?;
        script::check_waits(&steps).with_context(|| format!("in the row `{name}`"))?;
        for expected in expected {
            expect::parse(expected).with_context(|| format!("in the row `{name}`"))?;
        }
        ensure!(!names.contains(&name), "two rows are called `{name}`");
        names.push(name);
    }
    Ok(())
}

fn steps_are_read() -> Result<()> {
    let steps =
        script::parse("cli connect C :81 => ECONNREFUSED\n\n wait 1.5s\n run there ip link")?;
    let deeds: Vec<Deed> = steps.into_iter().map(|step| step.deed).collect();
    let connect = Deed::Act {
        actor: "cli".to_owned(),
        verb: "connect".to_owned(),
        socket: "C".to_owned(),
        command: "connect C 127.0.0.1:81".to_owned(),
        error: Some("ECONNREFUSED".to_owned()),
    };
    let run = Deed::Run { there: true, command: vec!["ip".to_owned(), "link".to_owned()] };
    ensure!(deeds == [connect, Deed::Wait(Duration::from_millis(1500)), run], "{deeds:?}");
    Ok(())
}

fn expected_lines_are_read() -> Result<()> {
    let lines =
        expect::parse("C opened cli\n ESTABLISHED -> CLOSE srv? fd|opener reset_by_us ~300ms")?;
    ensure!(
        lines.len() == 3 && lines[0].known_by == ["task"] && lines[0].dwell == ["unknown"],
        "{lines:?}"
    );
    let last = &lines[2];
    ensure!(last.socket == "C" && last.from == "ESTABLISHED" && last.to == "CLOSE", "{last:?}");
    ensure!(
        last.owner == Owner::Perhaps("srv".to_owned()) && last.known_by == ["fd", "opener"],
        "{last:?}"
    );
    ensure!(
        last.reasons == ["reset_by_us"] && last.length == Length::Wait(Duration::from_millis(300)),
        "{last:?}"
    );
    ensure!(last.evidence == ["event"] && last.dwell == ["exact"], "{last:?}");
    Ok(())
}

fn mistakes_are_named() -> Result<()> {
    for wrong in [
        "C ESTABLISHED -> SHUT cli",
        "CLOSE -> LISTEN srv",
        "C CLOSE -> LISTEN srv tsak",
        "C came srv",
    ] {
        ensure!(expect::parse(wrong).is_err(), "`{wrong}` was read");
    }
    for wrong in ["wait 3", "cli", "link lo sideways"] {
        ensure!(script::parse(wrong).is_err(), "`{wrong}` was read");
    }
    let twice = script::parse("wait 300ms\nwait 0.3s")?;
    ensure!(script::check_waits(&twice).is_err(), "two waits of the same length");
    Ok(())
}

/// A connect, a wait of 300 ms, and a close, as the stage would have noted them.
fn record() -> Result<Record> {
    let steps = script::parse("cli connect C :80\nwait 300ms\ncli close C")?;
    let connection = Connection {
        name: "C".to_owned(),
        kind: Kind::Connected,
        step: 0,
        local: (Some([127, 0, 0, 1].into()), Some(40_000)),
        remote: (Some([127, 0, 0, 1].into()), Some(80)),
    };
    let person = Person { pid: 7, comms: vec!["cli".to_owned()] };
    Ok(Record {
        steps,
        windows: vec![(0, 10_000_000), (10_000_000, 310_000_000), (310_000_000, 320_000_000)],
        people: [("cli".to_owned(), person)].into(),
        connections: vec![connection],
        ..Record::default()
    })
}

const EXPECTED: &str = "
    C opened cli
      ESTABLISHED -> FIN_WAIT1 cli task ~300ms";

const RIGHT: [&str; 3] = [
    r#"{"type":"transition","time":"t","boot_ns":1000000,"conn":"a","family":"ipv4","laddr":"127.0.0.1","lport":null,"raddr":"127.0.0.1","rport":80,"from":"CLOSE","to":"SYN_SENT","dwell_ns":null,"dwell":"unknown","evidence":"event","reason":null,"pid":7,"comm":"cli","owner":"task","netns":1,"cookie":1,"skaddr":"ff"}"#,
    r#"{"type":"transition","time":"t","boot_ns":2000000,"conn":"a","family":"ipv4","laddr":"127.0.0.1","lport":40000,"raddr":"127.0.0.1","rport":80,"from":"SYN_SENT","to":"ESTABLISHED","dwell_ns":1000000,"dwell":"exact","evidence":"event","reason":null,"pid":7,"comm":"cli","owner":"opener","netns":1,"cookie":1,"skaddr":"ff"}"#,
    r#"{"type":"transition","time":"t","boot_ns":311000000,"conn":"a","family":"ipv4","laddr":"127.0.0.1","lport":40000,"raddr":"127.0.0.1","rport":80,"from":"ESTABLISHED","to":"FIN_WAIT1","dwell_ns":309000000,"dwell":"exact","evidence":"event","reason":null,"pid":7,"comm":"cli","owner":"task","netns":1,"cookie":1,"skaddr":"ff"}"#,
];

fn verdict(lines: &[String]) -> Result<Option<String>> {
    let lines: Vec<Line> = lines.iter().map(|line| Line::parse(line)).collect::<Result<_>>()?;
    Ok(compare(&expect::parse(EXPECTED)?, &lines, &record()?, 0))
}

fn right_lines_are_accepted() -> Result<()> {
    let verdict = verdict(&RIGHT.map(str::to_owned))?;
    ensure!(verdict.is_none(), "{verdict:?}");
    Ok(())
}

fn wrong_lines_are_found() -> Result<()> {
    // Each changes one thing in one line; the comparison, or the parser, must see it.
    let changes = [
        (0, r#""lport":null"#, r#""lport":0"#),
        (0, r#""lport":null"#, r#""lport":40001"#),
        (0, r#""boot_ns":1000000"#, r#""boot_ns":20000000"#),
        (1, r#""lport":40000"#, r#""lport":null"#),
        (1, r#""pid":7"#, r#""pid":8"#),
        (1, r#""comm":"cli""#, r#""comm":"srv""#),
        (1, r#""comm":"cli""#, r#""comm":"""#),
        (1, r#""conn":"a""#, r#""conn":"b""#),
        (1, r#""evidence":"event""#, r#""evidence":"derived""#),
        (1, r#""dwell_ns":1000000"#, r#""dwell_ns":1000001"#),
        (1, r#""family":"ipv4""#, r#""family":"ipv6""#),
        (1, r#""family":"ipv4""#, r#""family":null"#),
        (1, r#""netns":1"#, r#""v4mapped":true,"netns":1"#),
        (2, r#""boot_ns":311000000"#, r#""boot_ns":305000000"#),
        (2, r#""to":"FIN_WAIT1""#, r#""to":"CLOSE_WAIT""#),
        (2, r#""reason":null"#, r#""reason":"timeout""#),
        (2, r#""reason":null,"#, ""),
        (2, r#""owner":"task""#, r#""owner":"opener""#),
        (2, r#""cookie":1"#, r#""cookie":2"#),
    ];
    for (number, from, to) in changes {
        let mut lines = RIGHT.map(str::to_owned);
        ensure!(lines[number].contains(from), "no `{from}` to change");
        lines[number] = lines[number].replace(from, to);
        let seen = !matches!(verdict(&lines), Ok(None));
        ensure!(seen, "`{from}` became `{to}` in line {number}, and nobody noticed");
    }
    let mut lines = RIGHT.map(str::to_owned).to_vec();
    lines.push(RIGHT[2].replace("FIN_WAIT1", "FIN_WAIT2").replace("ESTABLISHED", "FIN_WAIT1"));
    ensure!(verdict(&lines)?.is_some(), "a line too much");
    lines.truncate(2);
    ensure!(verdict(&lines)?.is_some(), "a line too few");
    Ok(())
}

fn bytes_are_read() -> Result<()> {
    let bytes = actor::unescape(r#"a\x1b"\xff"#)?;
    ensure!(bytes == [b'a', 0x1b, b'"', 0xff], "{bytes:?}");
    ensure!(actor::unescape(r"\xg").is_err(), "half a byte");
    Ok(())
}
