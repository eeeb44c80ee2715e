//! This binary as the first process of a virtual machine: `cargo xtask vm` puts it there as `/init`,
//! alone with the programs that it starts.
//!
//! It mounts what the suite and the tracer need, loads the modules of `/modules`, plays all scenarios
//! once in each [`mode`], and ends the machine. What the suite says goes to the console; the verdicts
//! ([`crate::verdict`]) go to a second serial line, which the kernel does not write to.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, WaitOptions, WaitStatus, getppid, wait},
    system::{RebootCommand, finit_module, reboot},
};

use crate::{mode, namespace};

/// The second serial line.
const VERDICTS: &str = "/dev/ttyS1";
/// Kernel modules, in the order in which they need each other.
const MODULES: &str = "/modules";
/// Arguments of the suite, one a line.
const ARGUMENTS: &str = "/arguments";

/// Where file systems of the kernel are mounted. The rest of the tree is in memory already.
const MOUNTS: [(&str, &str); 4] = [
    ("/proc", "proc"),
    ("/sys", "sysfs"),
    ("/dev", "devtmpfs"),
    ("/sys/kernel/tracing", "tracefs"),
];

/// Whether this process is the first of a machine, and not of a container.
pub(crate) fn is_first_process() -> bool {
    process::id() == 1 && is_guest()
}

/// Whether this machine was made for the suite, so that nothing else runs on it.
pub(crate) fn is_guest() -> bool {
    Path::new(ARGUMENTS).is_file() && Path::new(MODULES).is_dir()
}

/// Whether this process was started by [`main`]: the whole machine is ours.
pub(crate) fn is_ours() -> bool {
    getppid() == Some(Pid::INIT) && Path::new(ARGUMENTS).is_file()
}

/// Plays all scenarios and ends the machine; does not come back.
pub(crate) fn main() -> ! {
    if let Err(error) = play() {
        // The kernel's console; without one there is nobody to be told.
        _ = crate::report(Err(error.context("the guest cannot go on")));
    }
    // The machine ends with its restart (`-no-reboot`).
    _ = reboot(RebootCommand::Restart);
    process::exit(1);
}

fn play() -> Result<()> {
    for (place, kind) in MOUNTS {
        fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
        mount(kind, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    for path in modules()? {
        let module =
            File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        finit_module(module, c"", 0).with_context(|| format!("cannot load {}", path.display()))?;
    }
    namespace::ip_here("link set lo up")?;
    let arguments = fs::read_to_string(ARGUMENTS).context("cannot read the arguments")?;
    let arguments: Vec<String> = arguments.lines().map(str::to_owned).collect();
    mode::play_each(&arguments, Path::new(VERDICTS), run)
}

fn modules() -> Result<Vec<PathBuf>> {
    let folder = fs::read_dir(MODULES).with_context(|| format!("cannot read {MODULES}"))?;
    let mut paths = folder.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs the suite as another process, because this one must collect the orphans of all others.
fn run(suite: &mut Command) -> Result<i32> {
    let suite = suite.env("PATH", "/bin").spawn().context("cannot start the suite")?;
    loop {
        let ended = wait(WaitOptions::empty()).context("cannot wait for the suite")?;
        let (pid, status) = ended.context("somebody ended")?;
        if u32::try_from(pid.as_raw_pid()).ok() == Some(suite.id()) {
            return exit_status(status);
        }
    }
}

fn exit_status(status: WaitStatus) -> Result<i32> {
    ensure!(status.exited(), "a signal ended the suite: {status:?}");
    status.exit_status().context("what has exited has a status")
}
