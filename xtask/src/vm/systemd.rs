//! `cargo xtask systemd`: the unit of the recorder, started by systemd in a virtual machine.
//!
//! systemd is that of this machine, with no other units than it takes to start ours. Beside the recorder
//! it starts the kernel tests, which look at it (`tcptrace/tests/kernel/systemd.rs`).

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Paths,
    initramfs::Archive,
    kernels,
    machine::{self, Guest},
    packages, programs,
};
use crate::{project, setup, unit};

const KERNEL: &str = "6.12";
/// Where Debian has systemd, and had it.
const FOLDERS: [&str; 2] = ["/usr/lib/systemd", "/lib/systemd"];
/// From 254 on services are started by this one.
const EXECUTOR: &str = "systemd-executor";
/// Those of its units that all others refer to.
const UNITS: [&str; 3] = ["basic.target", "shutdown.target", "sysinit.target"];
/// The programs that the unit starts and those that ask systemd for something, where they are started.
const COMMANDS: [(&str, &str); 3] =
    [("find", "/usr/bin/find"), ("kill", "/bin/kill"), ("systemctl", "/bin/systemctl")];
/// Where units of this machine alone are.
const ETC: &str = "/etc/systemd/system";
/// What the recorder says would go to a journal.
const MESSAGES: &str = "[Service]\nStandardError=append:/run/tcptrace-record\n";
/// When it ends, whatever came of it, the machine does too.
const LOOK: &str = "\
[Unit]
Wants=tcptrace-record.service
After=tcptrace-record.service
SuccessAction=reboot-immediate
FailureAction=reboot-immediate
[Service]
Type=oneshot
ExecStart=/kernel-tests --beside-systemd
StandardOutput=file:/dev/ttyS0
StandardError=inherit
";
const ARGUMENTS: &str = "systemd.unit=look.service systemd.log_target=console \
                         systemd.log_color=no systemd.show_status=no";
/// It takes a quarter of a minute, and one more if it waits in vain.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the guest says of itself.
const ALL_IS_WELL: &str = "the unit works\n";

/// Boots the machine; an error says what was not as it should be.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "systemd takes no arguments");
    programs::ensure_installed()?;
    let systemd = of_systemd("systemd").context(
        "there is no systemd here; as root, `apt-get install systemd` (nothing starts it)",
    )?;
    let folder = project::target_dir()?.join("vm");
    let package = match kernels::select(&[KERNEL.to_owned()])?[..] {
        [kernel] if let Some(suite) = kernel.suite => packages::fetch(&folder, kernel.name, suite)?,
        _ => bail!("{KERNEL} is no kernel for a machine"),
    };
    setup::run(&[])?;
    let (tcptrace, tests) = programs::build()?;
    let paths = Paths { folder: folder.join("systemd"), tcptrace, tests };
    fs::create_dir_all(&paths.folder).context("cannot make a folder for the machine")?;
    let initramfs = paths.folder.join("initramfs.cpio");
    write(&initramfs, &paths, &systemd)?;
    let begin = Instant::now();
    let guest = Guest {
        image: &package.image,
        initramfs: &initramfs,
        arguments: ARGUMENTS,
        patience: PATIENCE,
        is_whole: |said| said == ALL_IS_WELL,
    };
    machine::play(&paths.folder, &guest)?;
    eprintln!("systemd: the unit works, {} s", begin.elapsed().as_secs());
    Ok(())
}

fn write(path: &Path, paths: &Paths, systemd: &Path) -> Result<()> {
    let mut archive = Archive::create(path)?;
    archive.add_program(Path::new("/init"), systemd)?;
    if let Some(executor) = of_systemd(EXECUTOR) {
        archive.add_program(&executor, &executor)?;
    }
    for (name, place) in COMMANDS {
        archive.add_program(Path::new(place), &programs::found(name)?)?;
    }
    archive.add_file(Path::new("/usr/local/bin/tcptrace"), &paths.tcptrace)?;
    archive.add_file(Path::new("/kernel-tests"), &paths.tests)?;
    let etc = Path::new(ETC);
    for name in UNITS {
        let unit = of_systemd(&format!("system/{name}"));
        let unit = unit.with_context(|| format!("systemd has no {name}"))?;
        archive.add_text(&etc.join(name), &fs::read_to_string(unit)?)?;
    }
    let ours = fs::read_to_string(unit::path()?).context("cannot read the unit")?;
    archive.add_text(&etc.join("tcptrace-record.service"), &ours)?;
    archive.add_text(&etc.join("tcptrace-record.service.d/messages.conf"), MESSAGES)?;
    archive.add_text(&etc.join("look.service"), LOOK)?;
    for folder in ["/dev", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/var/tmp"] {
        archive.add_folder(Path::new(folder))?;
    }
    archive.finish()
}

/// Something of systemd's, if it is here.
fn of_systemd(name: &str) -> Option<PathBuf> {
    FOLDERS.map(|folder| Path::new(folder).join(name)).into_iter().find(|path| path.exists())
}
