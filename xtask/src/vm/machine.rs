//! A virtual machine: QEMU without the help of this machine's processor, which not every one has.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::project;

/// How often it is looked whether the machine has ended.
const LOOK: Duration = Duration::from_millis(200);
/// The end of the console is shown when something went wrong: this many lines.
const LINES: usize = 60;
/// With `cmpxchg16b`, which its allocator uses, 6.12 has crashed at boot under emulation.
const CPU: &str = "max,-cx16";
const MEMORY: &str = "2G";
/// The console is the first serial line. A kernel that panics restarts at once, which ends QEMU.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1";

/// What a machine is made of.
pub(super) struct Guest<'a> {
    /// The kernel.
    pub(super) image: &'a Path,
    pub(super) initramfs: &'a Path,
    /// Arguments of the kernel, beside those of every machine.
    pub(super) arguments: &'a str,
    /// It lives no longer.
    pub(super) patience: Duration,
    /// Whether this is all that it was to write to its second serial line.
    pub(super) is_whole: fn(&str) -> bool,
}

/// Boots the guest, and returns the verdicts that it wrote to its second serial line. Its files go into
/// the folder.
pub(super) fn play(folder: &Path, guest: &Guest<'_>) -> Result<String> {
    let (console, verdicts) = (folder.join("console.log"), folder.join("verdicts"));
    let log =
        File::create(&console).with_context(|| format!("cannot write {}", console.display()))?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg", "-cpu", CPU, "-smp", "2", "-m", MEMORY]);
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    qemu.args(["-serial", "stdio", "-serial"]).arg(file_of(&verdicts)?);
    qemu.arg("-kernel").arg(guest.image).arg("-initrd").arg(guest.initramfs);
    qemu.arg("-append").arg(format!("{KERNEL_ARGUMENTS} {}", guest.arguments));
    qemu.stdin(Stdio::null()).stdout(log);
    eprintln!("$ {}", project::show(&qemu));
    let machine = qemu.spawn().context("cannot start QEMU; install qemu-system-x86")?;
    let ended = wait(machine, guest.patience);
    let said = fs::read(&verdicts).unwrap_or_default();
    let verdict = ended.and_then(|status| {
        ensure!(status.success(), "QEMU failed ({status})");
        let said = String::from_utf8(said).context("the verdicts are no UTF-8")?.replace('\r', "");
        ensure!((guest.is_whole)(&said), "the machine ended before its last verdict");
        Ok(said)
    });
    if verdict.is_err() {
        let said = fs::read(&console).unwrap_or_default();
        eprintln!(
            "{}\nvm: all of it is in {}",
            tail(&String::from_utf8_lossy(&said)),
            console.display()
        );
    }
    verdict
}

/// Waits for the end, and brings it about when it does not come.
fn wait(mut machine: Child, patience: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = machine.try_wait().context("cannot wait for QEMU")? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            machine.kill().and_then(|()| machine.wait()).context("cannot end QEMU")?;
            bail!("the machine did not end in {} s", patience.as_secs());
        }
        thread::sleep(LOOK);
    }
}

/// A serial line that goes to a file, in QEMU's words.
fn file_of(path: &Path) -> Result<String> {
    let path = path.to_str().context("the path of the target directory is no UTF-8; move it")?;
    Ok(format!("file:{path}"))
}

/// The last lines of a console, without what would move a terminal's cursor.
fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.join("\n").replace(|c: char| c.is_control() && c != '\n', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_console_is_shown_without_control_characters() {
        let console: String = (0..100).map(|number| format!("\x1b[2Jline {number}\r\n")).collect();
        let shown = tail(&console);
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.ends_with("line 99") && !shown.contains('\x1b'), "{shown:?}");
    }

    #[test]
    fn a_machine_that_hangs_is_ended() {
        let hangs = Command::new("sleep").arg("600").spawn().unwrap();
        let error = wait(hangs, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
