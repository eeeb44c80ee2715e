//! What a run may do: what it keeps of root's capabilities after its start, and what each capability
//! gives to somebody who is not root.

mod copy;
mod held;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::{
    event::{Timespec, poll},
    process::{Signal, kill_process},
    thread::{CapabilitySet, capabilities},
};
use tempfile::TempDir;

use crate::{needing_root, recorder::PROGRAM, surroundings::Run, sys};
use copy::Copy;
use held::Held;

const UNIT: &str = include_str!("../../../dist/tcptrace-record.service");
const PATIENCE: Duration = Duration::from_secs(60);
/// How somebody who is not root gets a whole answer.
const ALL: &str = "+bpf,+perfmon,+sys_admin,+sys_ptrace,+dac_read_search";

/// What looking at sockets and holders takes.
pub(crate) const LOOKING: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::SYS_PTRACE).union(CapabilitySet::DAC_READ_SEARCH);

pub(crate) fn trials() -> Vec<Trial> {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 7] = [
        ("every thread keeps only what it needs", kept),
        ("a recorder keeps what its folder takes", folder),
        ("without one of the two that are needed it is named", needed),
        ("BPF and PERFMON show what is in this namespace", two),
        ("each further capability gives what it is for", further),
        ("/proc that hides processes is told", hidden),
        ("the unit records with what it is given", unit),
    ];
    tests.map(|(name, test)| Trial::test(format!("privileges: {name}"), needing_root(test))).into()
}

fn kept() -> Result<()> {
    let everywhere = LOOKING | CapabilitySet::SYS_ADMIN;
    for (arguments, kept, threads) in [
        (&["watch"][..], everywhere, 1),
        (&["watch", "--netns", "self"], LOOKING, 1),
        (&["stuck"], everywhere, 1),
        (&["lifetimes", "--json"], everywhere, 1),
        (&["record", "-o", "/dev/null"], everywhere, 2),
    ] {
        let mut run = Run::start(Command::new(PROGRAM).args(arguments))?;
        must_keep(run.pid(), kept, threads).with_context(|| format!("{arguments:?}"))?;
        run.stop(Signal::INT)?;
    }
    Ok(())
}

/// Only where the permissions of a folder do not let us write are they overridden, and then also for the
/// next file.
fn folder() -> Result<()> {
    let everywhere = LOOKING | CapabilitySet::SYS_ADMIN;
    for (mode, kept) in [(0o755, everywhere), (0o555, everywhere | CapabilitySet::DAC_OVERRIDE)] {
        let folder = TempDir::new()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode))?;
        let file = folder.path().join("a.arrows");
        let mut run = Run::start(Command::new(PROGRAM).args(["record", "-o"]).arg(file))?;
        must_keep(run.pid(), kept, 2).with_context(|| format!("{mode:o}"))?;
        kill_process(sys::pid_of(run.pid())?, Signal::HUP)?;
        until("the next file", || Ok(fs::read_dir(folder.path())?.count() == 2))?;
        run.stop(Signal::INT)?;
    }
    Ok(())
}

/// Waits for the end of the start, and looks at every thread.
pub(crate) fn must_keep(pid: u32, kept: CapabilitySet, threads: usize) -> Result<()> {
    // What the tests themselves lack is nobody's to keep.
    let kept = (kept & capabilities(None)?.permitted).bits();
    let tasks = format!("/proc/{pid}/task");
    let mut seen = Vec::new();
    let has_begun = || -> Result<bool> {
        seen = fs::read_dir(&tasks)?
            .map(|task| Status::read(&task?.path().join("status")))
            .collect::<Result<_>>()?;
        // Loading is over with the capability for it.
        let has_begun = |status: &Status| {
            status.no_new_privileges && status.sets[1] & CapabilitySet::PERFMON.bits() == 0
        };
        Ok(seen.len() >= threads && seen.iter().all(has_begun))
    };
    until("the end of the start", has_begun)?;
    for status in &seen {
        let expected = Status { sets: [0, kept, kept, 0], no_new_privileges: true };
        ensure!(*status == expected, "{status:x?}, not {expected:x?}");
    }
    Ok(())
}

/// What a thread may do.
#[derive(Debug, Default, PartialEq)]
struct Status {
    /// Inheritable, permitted, effective and ambient.
    sets: [u64; 4],
    no_new_privileges: bool,
}

impl Status {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).with_context(|| format!("no {name}"))
        };
        let mut sets = [0; 4];
        for (set, name) in sets.iter_mut().zip(["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"]) {
            *set = u64::from_str_radix(value(name)?, 16)?;
        }
        Ok(Self { sets, no_new_privileges: value("NoNewPrivs:")? == "1" })
    }
}

fn needed() -> Result<()> {
    let program = Copy::new()?;
    for (held, missing) in [
        ("+perfmon,+sys_ptrace", "CAP_BPF"),
        ("+bpf,+sys_ptrace", "CAP_PERFMON"),
        ("+sys_ptrace,+dac_read_search", "CAP_BPF and CAP_PERFMON"),
    ] {
        let first = missing.split(' ').next().unwrap_or_default();
        for arguments in [&["watch"][..], &["list"], &["stuck", "--once"], &["record", "-o", "-"]] {
            let output = program.with(held, arguments).output()?;
            let stderr = String::from_utf8(output.stderr)?;
            ensure!(output.status.code() == Some(3), "{held} {arguments:?}: {stderr}");
            let starts = format!("tcptrace: cannot trace: {first}: not held; needed to ");
            let ends = format!("run it with sudo, or give it {missing}\n");
            ensure!(stderr.starts_with(&starts) && stderr.ends_with(&ends), "{stderr}");
        }
        let doctor = program.with(held, &["doctor"]).output()?;
        let text = String::from_utf8(doctor.stdout)?;
        ensure!(doctor.status.code() == Some(3), "{text}");
        ensure!(text.contains(&format!("missing  {first}")), "{text}");
    }
    // It stands for both.
    let output = program.with("+sys_admin", &["list", "--netns", "self"]).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

fn two() -> Result<()> {
    let program = Copy::new()?;
    let here = Held::new()?;
    let list = here.look(&program, "+bpf,+perfmon", &["list"])?;
    ensure!(list.owner()?["pid"] == here.actor.pid(), "{list:?}");
    ensure!(list.status == Some(0) && list.says("may not be looked at"), "{list:?}");
    let stuck = here.look(&program, "+bpf,+perfmon", &["stuck", "--once", "--for", "1ms"])?;
    let owner = stuck.owner()?;
    ensure!(owner["pid"] == here.actor.pid() && owner["cmdline"].is_null(), "{stuck:?}");
    // Nothing is said of others where nobody asked for them.
    let list = here.look(&program, "+bpf,+perfmon", &["list", "--netns", "self"])?;
    ensure!(list.status == Some(0) && list.stderr.is_empty(), "{list:?}");
    Ok(())
}

fn further() -> Result<()> {
    let program = Copy::new()?;
    let here = Held::new()?;
    let there = Held::new()?;
    // Namespaces of others are found, and may not be entered.
    let list = there.look(&program, "+bpf,+perfmon,+sys_ptrace", &["list"])?;
    ensure!(list.found.is_some(), "{list:?}");
    let list = here.look_from(&there, &program, "+bpf,+perfmon,+sys_ptrace", &["list"])?;
    ensure!(list.status == Some(3) && list.found.is_none(), "{list:?}");
    ensure!(list.says("could not be looked into"), "{list:?}");
    let list =
        here.look_from(&there, &program, "+bpf,+perfmon,+sys_ptrace,+sys_admin", &["list"])?;
    ensure!(list.status == Some(0) && list.stderr.is_empty(), "{list:?}");
    ensure!(list.owner()?["pid"] == here.actor.pid(), "{list:?}");
    // The folder of a process may be read by nobody else.
    for (held, cmdline) in [(ALL, true), ("+bpf,+perfmon,+sys_ptrace,+sys_admin", false)] {
        let stuck = here.look(&program, held, &["stuck", "--once", "--for", "1ms"])?;
        let owner = stuck.owner()?;
        ensure!(owner["cmdline"].is_string() == cmdline, "{held}: {stuck:?}");
    }
    // Without BTF holders come from there too, and the tracepoint's description from tracefs.
    let list = here.look_without_btf(&program, ALL)?;
    ensure!(list.owner()?["pid"] == here.actor.pid(), "{list:?}");
    let list = here.look_without_btf(&program, "+bpf,+perfmon,+sys_admin,+sys_ptrace")?;
    ensure!(list.status == Some(3) && list.says("tracefs: not readable"), "{list:?}");
    ensure!(list.says("give it CAP_DAC_READ_SEARCH"), "{list:?}");
    Ok(())
}

fn hidden() -> Result<()> {
    let program = Copy::new()?;
    let here = Held::new()?;
    let held = "+bpf,+perfmon";
    let mut hidepid = Command::new("unshare");
    let script = "mount -t proc -o hidepid=2 proc /proc && exec \"$0\" \"$@\"";
    hidepid.args(["--mount", "sh", "-c", script]);
    let list = here.of(hidepid, &program.with(held, &["list", "--json"]))?;
    ensure!(list.status == Some(0) && list.says("(hidepid)"), "{list:?}");
    // Root in a container may see nobody else, and nothing is wrong with that.
    let mut apart = Command::new("unshare");
    apart.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    let mut plain = Command::new(PROGRAM);
    let list = here.of(apart, plain.args(["list", "--json"]))?;
    ensure!(list.status == Some(0) && list.stderr.is_empty() && list.found.is_some(), "{list:?}");
    let mut apart = Command::new("unshare");
    apart.args(["--pid", "--fork", "--kill-child", "--mount-proc", PROGRAM, "doctor"]);
    let text = String::from_utf8(apart.output()?.stdout)?;
    ensure!(text.contains("those of this pid namespace alone"), "{text}");
    Ok(())
}

/// What the unit for systemd asks for, as far as that can be had without systemd: capabilities, no new
/// privileges, a user of its own, settings of the kernel that cannot be written, and its command line.
fn unit() -> Result<()> {
    let settings = |name: &str| -> Result<Vec<&str>> {
        let line = UNIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        Ok(line.with_context(|| format!("no {name}"))?.split_whitespace().collect())
    };
    let program = Copy::new()?;
    let user: u32 = program.user.parse()?;
    let state = TempDir::new()?;
    chown(state.path(), Some(user), Some(user))?;
    let place = state.path().to_str().context("UTF-8")?;
    let held = settings("AmbientCapabilities")?.join(",+").to_lowercase().replace("cap_", "");
    let command_line = settings("ExecStart")?;
    let arguments: Vec<String> =
        command_line[1..].iter().map(|word| word.replace("${STATE_DIRECTORY}", place)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let inner = program.with(&format!("+{held}"), &arguments);
    let script = "umask 0077 && mount -o remount,bind,ro /sys && mount --bind -o ro /proc/sys \
                  /proc/sys && exec setpriv --no-new-privs \"$0\" \"$@\"";
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "sh", "-c", script]).arg(inner.get_program()).args(inner.get_args());
    let mut run = Run::start(&mut outer)?;
    let files = || -> Result<Vec<PathBuf>> {
        fs::read_dir(state.path())?.map(|file| Ok(file?.path())).collect()
    };
    until("the first file", || Ok(files()?.len() == 1))?;
    must_keep(run.pid(), LOOKING | CapabilitySet::SYS_ADMIN, 2)?;
    kill_process(sys::pid_of(run.pid())?, Signal::HUP)?;
    until("the next file", || Ok(files()?.len() == 2))?;
    let said = run.stop(Signal::INT)?;
    ensure!(said.iter().all(|line| lacks_nothing(line)), "{said:?}");
    for file in files()? {
        must_be_private(&file, user)?;
        let report = Command::new(PROGRAM).args(["report", "-i"]).arg(&file).output()?;
        ensure!(report.status.success(), "{report:?}");
    }
    Ok(())
}

/// Whether a recorder that says this complains of nothing.
pub(crate) fn lacks_nothing(said: &str) -> bool {
    !said.contains("not") || said.contains("nothing")
}

/// Nobody else may read what was recorded.
pub(crate) fn must_be_private(recording: &Path, user: u32) -> Result<()> {
    let metadata = fs::metadata(recording)?;
    ensure!(metadata.mode() & 0o7777 == 0o600 && metadata.uid() == user, "{metadata:?}");
    Ok(())
}

/// Waits for what nothing announces.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "waited in vain: {what}");
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 }))?;
    }
    Ok(())
}
