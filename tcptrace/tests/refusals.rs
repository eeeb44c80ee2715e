//! Runs that cannot give an answer: one line on stderr that ends in the fix, exit status 3.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::Command,
};

/// The user `nobody`, which has no privileges anywhere.
const NOBODY: u32 = 65_534;

#[test]
fn without_privileges_every_tracing_command_says_what_is_missing() {
    let program = Copy::new("privileges");
    for args in [
        &["watch"][..],
        &["lifetimes"],
        &["list"],
        &["stuck"],
        &["stuck", "--once"],
        &["check", "--", "echo", "started"],
        &["explain", "--duration", "1s"],
        &["report", "--duration", "1s"],
    ] {
        let line = refused(program.as_nobody().args(args));
        assert_eq!(
            line,
            "tcptrace: cannot trace: privileges: you are not root and have no capabilities; \
             run it with sudo, or give it CAP_BPF and CAP_PERFMON"
        );
    }
}

#[test]
fn explanations_need_no_privileges() {
    let program = Copy::new("explain");
    for args in [&["explain"][..], &["explain", "sysctls"]] {
        let output = program.as_nobody().args(args).output().expect("tcptrace runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(output.stdout.len() > 1000, "{output:?}");
    }
}

#[test]
fn doctor_names_the_fix_and_fails_where_tracing_cannot_work() {
    let program = Copy::new("doctor");
    let output = program.as_nobody().arg("doctor").output().expect("tcptrace runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("missing  privileges"), "{text}");
    assert!(text.contains("fix: run it with sudo"), "{text}");
    let output = program.as_nobody().args(["doctor", "--json"]).output().expect("tcptrace runs");
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let diagnosis: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(diagnosis["type"], "diagnosis");
    }
}

#[test]
fn what_a_filter_names_must_exist() {
    for (args, answer) in [
        (["-p", "4194305"], "no process 4194305: `ps -e` shows which there are"),
        (["--netns", "4294967295"], "`lsns -t net` shows which there are"),
        (["--netns", "/nowhere/at/all"], "no network namespace at /nowhere/at/all"),
    ] {
        for command in ["watch", "lifetimes", "list", "stuck"] {
            let line = refused(Command::new(PROGRAM).arg(command).args(args));
            assert!(line.contains(answer), "{line}");
        }
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");

/// A copy of the program where every user may run it; the build folder may be closed to others.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tcptrace-{name}-{}", std::process::id()));
        fs::create_dir(&folder).expect("a new folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("our folder");
        // By another process: were the copy open for writing in this one, a test beside us that
        // starts a program could pass that on, and then nobody may run the copy.
        let copied = Command::new("cp").arg(PROGRAM).arg(&folder).status().expect("cp runs");
        assert!(copied.success(), "room for a copy");
        Self(folder)
    }

    /// The program as an ordinary user: as nobody if the tests run as root, else as who we are.
    fn as_nobody(&self) -> Command {
        let mut command = Command::new(self.0.join("tcptrace"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Runs a command line that cannot be answered, and returns the one line that says why.
fn refused(command: &mut Command) -> String {
    let output = command.output().expect("tcptrace runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr:?}");
    stderr.trim_end().to_owned()
}
