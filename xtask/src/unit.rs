//! The unit of the recorder for systemd: whether systemd understands it, and how much it leaves open.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::project;

/// Where the unit finds the program.
const INSTALLED: &str = "/usr/local/bin/tcptrace";
/// The most that it may leave open, in tenths of what `systemd-analyze security` calls exposure. What is
/// left is mostly what tracing takes: capabilities, the network of the host and its processes.
const EXPOSURE: u8 = 27;

/// Where the unit is.
pub(crate) fn path() -> Result<PathBuf> {
    Ok(project::root()?.join("dist/tcptrace-record.service"))
}

/// Asks systemd, where it is installed. Nothing is started.
pub(crate) fn verify() -> Result<()> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("unit: not verified, for there is no systemd-analyze");
        return Ok(());
    }
    // The program need not be installed here, but one must be there.
    let program = env::current_exe()?;
    let text = fs::read_to_string(path()?)?.replace(INSTALLED, &program.to_string_lossy());
    let copy = project::target_dir()?.join("tcptrace-record.service");
    fs::write(&copy, text).with_context(|| format!("cannot write {}", copy.display()))?;
    // A setting that it does not know is no failure to it, but it says so.
    let output = Command::new("systemd-analyze").arg("verify").arg(&copy).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let of_unit = said.lines().any(|line| line.contains("tcptrace-record"));
    ensure!(output.status.success() && !of_unit, "the unit is wrong: {said}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", &format!("--threshold={EXPOSURE}")]).arg(&copy);
    // A table of eighty lines, of interest only if there is something to mend.
    let output = security.output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the unit leaves more open than {EXPOSURE}:\n{table}");
    Ok(())
}
