//! The recorder's unit as systemd starts it: `cargo xtask systemd` makes a virtual machine whose first
//! process is systemd, with the unit installed, and in which this binary is another service.
//!
//! The unit is what is shipped, but for its messages, which go to a file ([`SAID`]).

use std::{
    env,
    fs::{self, File},
    io::Read as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::CapabilitySet;
use serde_json::Value;

use crate::privileges::{LOOKING, lacks_nothing, must_be_private, must_keep, until};

/// What asks for it.
const OPTION: &str = "--beside-systemd";
const UNIT: &str = "tcptrace-record.service";
/// Where the unit installs the program, and where it records.
const INSTALLED: &str = "/usr/local/bin/tcptrace";
const FOLDER: &str = "/var/lib/tcptrace";
/// What the recorder says, in this machine.
const SAID: &str = "/run/tcptrace-record";
/// The second serial line, and what is written to it when all is as it should be.
const VERDICT: &str = "/dev/ttyS1";
const ALL_IS_WELL: &str = "the unit works\n";
/// A recording of an earlier run, and how old it is. The unit keeps them for a week.
const EARLIER: &str = "connections-earlier.arrows";
const AGE: Duration = Duration::from_secs(9 * 24 * 3600);

/// Whether that is what this process was started for.
pub(crate) fn is_asked_for() -> bool {
    env::args().any(|word| word == OPTION)
}

/// Looks at the recorder that systemd has started, and ends it, and starts it once more.
pub(crate) fn run() -> Result<()> {
    let recorder = main_process()?;
    must_keep(recorder, LOOKING | CapabilitySet::SYS_ADMIN, 2)?;
    let user = is_shut_off(recorder)?;
    until("the first file", || Ok(files()?.len() == 1))?;
    connect(8001)?;
    systemctl(&["reload", UNIT])?;
    until("the next file", || Ok(files()?.len() == 2))?;
    connect(8002)?;
    systemctl(&["stop", UNIT])?;
    let result = property("Result")?;
    ensure!(result == "success", "it ended with {result}");
    let said = fs::read_to_string(SAID).context("what it said")?;
    ensure!(said.lines().all(lacks_nothing) && !said.is_empty(), "it said: {said}");
    for file in files()? {
        must_be_private(&file, user)?;
    }
    recorded(&[8001, 8002])?;
    clean_up()?;
    fs::write(VERDICT, ALL_IS_WELL).context("cannot tell that all is well")
}

/// Asks systemd for something.
fn systemctl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("systemctl").args(arguments).output().context("no systemctl")?;
    ensure!(output.status.success(), "systemctl {arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn property(name: &str) -> Result<String> {
    systemctl(&["show", "--value", "--property", name, UNIT])
}

/// The recorder, which is to be what the unit has become.
fn main_process() -> Result<u32> {
    let state = property("ActiveState")?;
    ensure!(state == "active", "the unit is {state}: {}", property("Result")?);
    Ok(property("MainPID")?.parse()?)
}

/// That the recorder's surroundings are those that the unit asks for; returns its user.
fn is_shut_off(recorder: u32) -> Result<u32> {
    let status = fs::read_to_string(format!("/proc/{recorder}/status"))?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.with_context(|| format!("no {name} in {status}"))
    };
    // SECCOMP_MODE_FILTER.
    ensure!(value("Seccomp")? == "2", "no system call is filtered");
    let user = value("Uid")?.split('\t').next().context("a user")?.parse()?;
    ensure!(user != 0, "it runs as root");
    let mounts = fs::read_to_string(format!("/proc/{recorder}/mountinfo"))?;
    let folder = fs::canonicalize(FOLDER)?;
    let folder = folder.to_str().context("UTF-8")?;
    for (place, wanted) in [("/", "ro"), ("/proc/sys", "ro"), (folder, "rw")] {
        // The last one is on top of all others.
        let mount = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .rfind(|words| words.get(4) == Some(&place))
            .with_context(|| format!("{place} is no mount: {mounts}"))?;
        let has = mount.get(5).is_some_and(|has| has.split(',').any(|option| option == wanted));
        ensure!(has, "{place} is not {wanted}: {mount:?}");
    }
    Ok(user)
}

fn files() -> Result<Vec<PathBuf>> {
    let folder = fs::read_dir(FOLDER).context(FOLDER)?;
    folder.map(|file| Ok(file?.path())).collect()
}

/// A connection from its beginning to its end.
fn connect(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    drop(listener.accept()?);
    // The server's FIN is here when there is nothing more to read.
    ensure!(client.read(&mut [0])? == 0, "nobody wrote anything");
    Ok(())
}

/// What is recorded has the clients of these connections whole, and knows that they were ours.
fn recorded(ports: &[u16]) -> Result<()> {
    let output = Command::new(INSTALLED).args(["lifetimes", "--json", "-i", FOLDER]).output()?;
    ensure!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout)?;
    let ours = std::process::id();
    for &port in ports {
        let is_whole = |line: &str| {
            let told: Value = serde_json::from_str(line).unwrap_or_default();
            told["rport"] == port
                && told["pid"] == ours
                && told["end"] == "last_ack"
                && told["lifetime_ns"].is_u64()
        };
        ensure!(told.lines().any(is_whole), "nothing of port {port}: {told}");
    }
    Ok(())
}

/// A start removes what is too old, and nothing else.
fn clean_up() -> Result<()> {
    let earlier = Path::new(FOLDER).join(EARLIER);
    File::create(&earlier)?.set_modified(SystemTime::now() - AGE)?;
    let before = files()?.len();
    systemctl(&["start", UNIT])?;
    must_keep(main_process()?, LOOKING | CapabilitySet::SYS_ADMIN, 2)?;
    // One is gone and one has come.
    until("the file of the second run", || Ok(files()?.len() == before && !earlier.exists()))
}
