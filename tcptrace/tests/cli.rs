//! The command line as users meet it, as far as it needs no kernel.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use assert_cmd::Command;

/// Those whose help has examples.
const COMMANDS: [&str; 11] = [
    "watch",
    "lifetimes",
    "list",
    "stuck",
    "check",
    "record",
    "replay",
    "report",
    "export",
    "explain",
    "doctor",
];

#[test]
fn bad_input_is_one_line_and_exit_status_2() {
    for (args, answer) in BAD {
        let line = refused(&mut tcptrace(args));
        assert!(line.contains(answer), "{args:?}: {line}");
    }
}

#[test]
fn an_argument_that_is_no_text_is_refused_in_one_line() {
    for args in [&["watch", "--comm"][..], &["watch"], &[]] {
        refused(tcptrace(args).arg(OsStr::from_bytes(b"\xff")));
    }
}

#[test]
fn help_has_examples() {
    for command in COMMANDS {
        for help in [&[command, "--help"][..], &[command, "-h"], &["help", command]] {
            let text = answered(&mut tcptrace(help));
            let example = format!("Examples:\n  tcptrace {command}");
            assert!(text.contains(&example), "{help:?}: {text}");
        }
    }
    assert!(!answered(&mut tcptrace(&["list", "--help"])).contains("bcc"));
}

#[test]
fn explanations_need_no_kernel_and_no_privilege() {
    let diagram = answered(&mut tcptrace(&["explain"]));
    assert!(diagram.contains("[ESTABLISHED]") && !diagram.contains('\u{1b}'), "{diagram}");
    for (name, title) in [
        ("FIN_WAIT2", "FIN_WAIT2: "),
        ("fin-wait-2", "FIN_WAIT2: "),
        ("new_syn_recv", "SYN_RECV and NEW_SYN_RECV: "),
        ("open", "Opening a connection"),
        ("close", "Closing a connection, and the state CLOSE"),
        ("CLOSED", "Closing a connection, and the state CLOSE"),
        ("time-wait", "TIME_WAIT: "),
        ("TimeWait", "TIME_WAIT: "),
        ("keepalive", "Keepalive: "),
        ("sysctls", "The settings of the kernel "),
    ] {
        let text = answered(&mut tcptrace(&["explain", name]));
        assert!(text.starts_with(title), "{name}: {text}");
        let widest = text.lines().map(str::len).max();
        assert!(widest.is_some_and(|columns| columns <= 80), "{name}: {text}");
    }
    let painted = answered(&mut tcptrace(&["explain", "--color", "always"]));
    assert!(painted.contains("\u{1b}["), "{painted}");
}

#[test]
fn without_arguments_there_is_help() {
    let text = answered(&mut tcptrace(&[]));
    assert_eq!(text, answered(&mut tcptrace(&["--help"])));
    let first = text.split("\n\n").next().expect("a first sentence");
    let first = first.replace('\n', " ");
    assert!(first.contains("not the old analyser of packet captures"), "{first}");
    assert!(text.contains("\nExamples:\n  tcptrace watch"), "{text}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = format!("tcptrace {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(answered(&mut tcptrace(&["--version"])), expected);
}

#[test]
fn a_narrow_terminal_is_no_problem() {
    for columns in ["20", "1", "0", "wide"] {
        for args in [&["--help"][..], &["watch", "--help"], &["list", "-h"]] {
            answered(tcptrace(args).env("COLUMNS", columns));
        }
        for (args, _) in BAD {
            refused(tcptrace(args).env("COLUMNS", columns));
        }
    }
}

const BAD: &[(&[&str], &str)] = &[
    (&["watch", "-L", "0"], "0 is no port: use numbers from 1 to 65535, like 80,443"),
    (&["watch", "-L", "65536"], "65536 is no port: use numbers from 1 to 65535, like 80,443"),
    (&["lifetimes", "-D", "-1"], "-1 is no port: use numbers from 1 to 65535, like 80,443"),
    (&["watch", "-L", "80,,443"], "80,,443 has an empty entry: write it like 80,443"),
    (&["watch", "-D", "http"], "http is no port: use numbers from 1 to 65535, like 80,443"),
    (&["watch", "-4", "-6"], "--ipv4 and --ipv6 exclude each other: give only one"),
    (&["list", "-p", "nginx"], "nginx is no process id: use numbers, like 812,4711"),
    (&["watch", "--state", "CLOSE_WAT"], "did you mean CLOSE_WAIT?"),
    (
        &["list", "--state", "estab,fin-wait-3"],
        "fin-wait-3 is no TCP state: did you mean FIN_WAIT1?",
    ),
    (&["watch", "--state", "bogus"], "bogus is no TCP state: use ESTABLISHED, SYN_SENT,"),
    (
        &["watch", "--addr", "10.0.0.0/33"],
        "10.0.0.0/33 is no network: write it like 10.0.0.0/8, 10.0.0.9 or 2001:db8::/32",
    ),
    (&["watch", "--addr", "10.0.0"], "10.0.0 is no network: write it like 10.0.0.0/8,"),
    (&["watch", "--netns", "blue"], "use its inode number, a path like /run/netns/blue, or self"),
    (&["watch", "--format", "xml"], "xml is not possible: use table, bcc, csv or json"),
    (&["list", "--format", "bcc"], "bcc is not possible: use table, csv or json"),
    (&["watch", "--json", "-s"], "--json and --csv exclude each other: give only one"),
    (&["watch", "-s", "--format", "table"], "--csv and --format table exclude each other"),
    (&["watch", "--color", "blue"], "blue is not possible: use auto, always or never"),
    (&["watch", "--duration", "-1"], "-1 is no time: write it like 30s, 5m or 2h"),
    (&["watch", "--duration", "0s"], "0s leaves no time to trace: write it like 30s, 5m or 2h"),
    (&["watch", "--duration", "30"], "30 has no unit: write it like 30s, 5m or 2h"),
    (&["list", "--duration", "30s"], "no option --duration: see --help"),
    (&["doctor", "-L", "80"], "no option -L: see --help"),
    (&["replay"], "--input"),
    (&["replay", "-i", "x.arrows", "--speed", "0"], "0 is no speed: use a number from"),
    (&["replay", "-i", "x.arrows", "--speed", "-1"], "-1 is no speed"),
    (&["replay", "-i", "x.arrows", "--speed", "fast"], "fast is no speed"),
    (&["watch", "--duration"], "--duration needs a value: see --help"),
    (&["record"], "no file to write to: name one, like --output incident.arrows"),
    (&["record", "-o", "-", "--print"], "--print and --output - both write to stdout: name a file"),
    (&["record", "-o", "x", "--min-count", "3"], "no option --min-count"),
    (&["record", "-o", "x", "--compress", "gzip"], "--compress: gzip is not possible: use"),
    (&["export"], "no recording to read: name one, like --input incident.arrows"),
    (&["export", "-i", "x", "-o", "y"], "no format to export to: name one, like --to parquet"),
    (&["export", "-i", "x", "--to", "csv"], "no file to write to: name one, like --output"),
    (&["export", "-i", "x", "-o", "y", "--to", "orc"], "orc is not possible: use parquet, csv or"),
    (
        &["export", "-i", "x", "-o", "y", "--to", "csv", "--partition", "host"],
        "--partition is for --to parquet: leave one of the two out",
    ),
    (
        &["export", "-i", "x", "-o", "-", "--to", "parquet", "--partition", "host"],
        "--partition makes folders, and --output - is none: name a folder",
    ),
    (
        &["export", "-i", "x", "-o", "y", "--to", "parquet", "--partition", "hour,hour"],
        "--partition names the same twice: use host, hour or host,hour",
    ),
    (
        &["record", "-o", "-", "--rotate", "1h"],
        "--rotate needs files, and --output - is standard output: name a file",
    ),
    (&["record", "-o", "x", "--rotate", "100"], "100 has no unit: write it like 30s, 5m or 2h"),
    (
        &["record", "-o", "x", "--rotate", "1XB"],
        "1XB is no size: write it like 500kB, 100MB or 2GB",
    ),
    (&["record", "-o", "x", "--rotate", "0MB"], "0MB has no room for anything: write it like"),
    (&["record", "-o", "x", "--rotate", "0s"], "0s is no time to record: write it like 30s"),
    (
        &["record", "-o", "x", "--rotate", "1h,2h"],
        "1h,2h has two of a kind: write it like 100MB,1h",
    ),
    (
        &["record", "-o", "x", "--rotate", "1h", "--keep", "0"],
        "0 is no count: use a number from 1 on",
    ),
    (&["record", "-o", "x", "--keep", "3"], "--rotate"),
    (&["report"], "nothing to report on: name a recording, like --input incident.arrows, or trace"),
    (&["report", "--json"], "nothing to report on: name a recording"),
    (&["report", "-i", "x", "--format", "csv"], "--format: csv is not possible: use table or json"),
    (&["report", "-i", "x", "-s"], "no option -s: see --help"),
    (
        &["report", "-i", "x", "--json", "--format", "json"],
        "--json and --format exclude each other",
    ),
    (&["report", "-i", "x", "--json", "--html", "-"], "--json and --html - both write to stdout"),
    (&["report", "-i", "x", "--force"], "--html is missing, which another option needs: add it"),
    (&["report", "-i", "x", "--duration", "5s"], "--input and --duration exclude each other"),
    (&["report", "-i", "x", "--limit", "LISTEN=5s"], "LISTEN can have no limit: use SYN_SENT,"),
    (&["watch", "-i", "x", "--duration", "5s"], "--input and --duration exclude each other"),
    (&["stuck", "--once", "-i", "x"], "--once and --input exclude each other: give only one"),
    (&["wach"], "no command wach: did you mean watch?"),
    (
        &["frobnicate"],
        "no command frobnicate: use watch, lifetimes, list, stuck, check, record, replay, report, export, explain or doctor",
    ),
    (
        &["-q"],
        "no command given: use watch, lifetimes, list, stuck, check, record, replay, report, export, explain or doctor",
    ),
    (&["explain", "FIN_WAIT3"], "FIN_WAIT3 is no state or topic: did you mean FIN_WAIT1?"),
    (&["explain", "keepalives"], "keepalives is no state or topic: did you mean keepalive?"),
    (&["explain", "weather"], "use a state like FIN_WAIT2, or open, close, time-wait, keepalive"),
    (&["explain", ""], "an empty name is no state or topic: use a state like FIN_WAIT2, or open,"),
    (&["explain", "open", "close"], "close is one argument too many: see --help"),
    (&["explain", "open", "--duration", "1s"], "leave one of the two out"),
    (&["explain", "--duration", "0s"], "0s leaves no time to trace: write it like 30s, 5m or 2h"),
    (&["explain", "-L", "80"], "--duration is missing, which another option needs: add it"),
    (&["explain", "open", "--state", "LISTEN"], "--duration is missing, which another option"),
    (&["explain", "--json"], "no option --json: see --help"),
    (&["stuck", "--state", "CLOSE_WAT"], "CLOSE_WAT is no TCP state: did you mean CLOSE_WAIT?"),
    (&["stuck", "--limit", "CLOS_WAIT=5s"], "CLOS_WAIT is no TCP state: did you mean CLOSE_WAIT?"),
    (&["stuck", "--limit", "bogus=5s"], "bogus is no TCP state: use ESTABLISHED, SYN_SENT,"),
    (
        &["stuck", "--kind", "close_wait_not_close"],
        "close_wait_not_close is no kind of finding: did you mean close_wait_not_closed?",
    ),
    (&["check", "--kind", "orphan", "--", "true"], "did you mean fin_wait2_orphan?"),
    (
        &["stuck", "--kind", "closed_fd_leaked,bogus"],
        "bogus is no kind of finding: `tcptrace stuck --help` lists them",
    ),
    (&["stuck", "--for", "5"], "--for: 5 has no unit: write it like 30s, 5m or 2h"),
    (&["stuck", "--for", "0s"], "--for: 0s is no limit: write it like 30s, 5m or 2h"),
    (&["stuck", "--for", ""], "--for: the time is empty: write it like 30s, 5m or 2h"),
    (&["check", "--for", "-1s", "--", "true"], "-1s is no time: write it like 30s, 5m or 2h"),
    (&["stuck", "--limit", "CLOSE_WAIT=5"], "5 has no unit: write it like 30s, 5m or 2h"),
    (&["stuck", "--limit", "CLOSE_WAIT=soon"], "soon is no time: write it like 30s, 5m or 2h"),
    (
        &["stuck", "--limit", "CLOSE_WAIT"],
        "--limit: CLOSE_WAIT has no limit: write it like CLOSE_WAIT=5m,FIN_WAIT2=2m",
    ),
    (
        &["stuck", "--limit", "CLOSE_WAIT="],
        "CLOSE_WAIT= has no limit: write it like CLOSE_WAIT=5m,",
    ),
    (&["stuck", "--limit", "=5s"], "=5s has no state: write it like CLOSE_WAIT=5m,FIN_WAIT2=2m"),
    (&["stuck", "--limit", "CLOSE_WAIT=5s,"], "has an empty entry: write it like CLOSE_WAIT=5m,"),
    (&["stuck", "--limit", "ESTABLISHED=5s"], "CLOSE_WAIT, LAST_ACK or CLOSE"),
    (&["check", "--limit", "LISTEN=5s", "--", "true"], "LISTEN can have no limit: use SYN_SENT,"),
    (
        &["stuck", "--limit", "CLOSE_WAIT=1s", "--limit", "CLOSE_WAIT=2s"],
        "--limit is given twice: give it once",
    ),
    (&["stuck", "--min-count", "0"], "0 is no count: use a number from 1 on, like 10"),
    (&["stuck", "--min-count", "-3"], "-3 is no count: use a number from 1 on, like 10"),
    (&["stuck", "--min-count", "many"], "many is no count: use a number from 1 on, like 10"),
    (&["stuck", "--once", "--duration", "5s"], "--once and --duration exclude each other"),
    (&["stuck", "--once", "--once"], "--once is given twice: give it once"),
    (&["stuck", "--format", "bcc"], "bcc is not possible: use table, csv or json"),
    (&["stuck", "--raw"], "no option --raw: see --help"),
    (&["stuck", "now"], "now is one argument too many: see --help"),
    (&["check"], "no command to run: write it after --, like tcptrace check -- ./test.sh"),
    (&["check", "--"], "no command to run: write it after --, like tcptrace check -- ./test.sh"),
    (&["check", "--json", "-v"], "no command to run: write it after --, like tcptrace check --"),
    (&["check", "true"], "true is no option: write -- before the command to run"),
    (
        &["check", "--settle", "2s", "./a b", "-x"],
        "./a b is no option: write -- before the command",
    ),
    (&["check", "--settle", "2", "--", "true"], "2 has no unit: write it like 30s, 5m or 2h"),
    (&["check", "--settle", "0", "--", "true"], "0 has no unit: write it like 30s, 5m or 2h"),
    (&["check", "--settle", "-1s", "--", "true"], "-1s is no time: write it like 30s, 5m or 2h"),
    (
        &["check", "--settle", "1s", "--settle", "1s", "--", "true"],
        "--settle is given twice: give it once",
    ),
    (&["check", "--format", "bcc", "--", "true"], "bcc is not possible: use table, csv or json"),
    (&["check", "--json", "-s", "--", "true"], "--json and --csv exclude each other"),
    (&["check", "-s", "--format", "json", "--", "true"], "--csv and --format json exclude each"),
    (&["check", "--once", "--", "true"], "no option --once: see --help"),
    (&["check", "--duration", "5s", "--", "true"], "no option --duration: see --help"),
    (&["check", "-p", "1", "--", "true"], "no option -p: see --help"),
    (&["watch", "--comm", ""], "an empty name is no command name: write it like nginx"),
    (&["watch", "--addr", "a\n\u{1b}[31m"], r"a\n\u{1b}[31m is no network"),
];

fn tcptrace(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    command.args(args).env_remove("COLUMNS").env_remove("NO_COLOR");
    command
}

/// Runs a wrong command line and returns the one line that answers it.
fn refused(command: &mut Command) -> String {
    let output = command.output().expect("tcptrace runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr:?}");
    assert!(stderr.starts_with("tcptrace: ") && stderr.ends_with('\n'), "{stderr:?}");
    stderr.trim_end().to_owned()
}

/// Runs a command line that asks for text, and returns the text.
fn answered(command: &mut Command) -> String {
    let output = command.output().expect("tcptrace runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_name_of_a_recording_cannot_move_the_cursor() {
    let output = tcptrace(&["watch", "-i", "/nowhere/\u{1b}[2J"]).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(r"/nowhere/\x1b[2J") && !stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn a_page_that_exists_is_not_overwritten_unasked_and_none_is_left_of_a_report_that_fails() {
    let folder = std::env::temp_dir().join(format!("tcptrace-page-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a new folder");
    let (page, recording) = (folder.join("page.html"), folder.join("nothing.arrows"));
    std::fs::write(&recording, "no recording").expect("room for a file");
    let report = || {
        let mut command = tcptrace(&["report"]);
        command.arg("-i").arg(&recording).arg("--html").arg(&page);
        command
    };
    let failed = report().output().expect("it runs");
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    assert!(!page.exists(), "a page of nothing");
    std::fs::write(&page, "kept").expect("room for a file");
    for (output, answer) in [
        (report().output().expect("it runs"), "exists: name another file, or overwrite it"),
        (report().arg("--force").output().expect("it runs"), "nothing.arrows"),
    ] {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(answer) && stderr.matches('\n').count() == 1, "{stderr}");
        assert_eq!(std::fs::read_to_string(&page).expect("a file"), "kept");
    }
    std::fs::remove_dir_all(&folder).expect("our folder");
}
