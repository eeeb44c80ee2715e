//! The kernel that is running, which needs no machine.

use std::fs;

use anyhow::{Context as _, Result};

use super::Paths;
use crate::project;

/// The classic tracepoint needs tracefs, which not every machine has mounted: it is, where only the suite
/// sees it.
const WITH_TRACEFS: &str = "test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; \
    exec \"$@\"";

/// Plays the scenarios in every mode.
pub(super) fn play(paths: &Paths, filter: &[String]) -> Result<(String, String)> {
    let folder = paths.folder.join("host");
    fs::create_dir_all(&folder).context("cannot make a folder for the verdicts")?;
    let verdicts = folder.join("verdicts");
    if verdicts.is_file() {
        fs::remove_file(&verdicts).context("cannot remove the verdicts of an earlier run")?;
    }
    let mut suite = project::as_root("unshare".as_ref())?;
    suite.args(["--mount", "sh", "-c", WITH_TRACEFS, "sh", "env", "TCPTRACE_TEST_MODE=each"]);
    suite.arg(format!("TCPTRACE_TEST_VERDICTS={}", verdicts.display()));
    suite.arg(&paths.tests).args(filter);
    // What failed is in the verdicts.
    let shown = project::show(&suite);
    suite.status().with_context(|| format!("cannot start `{shown}`"))?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("no release")?;
    let verdicts = fs::read_to_string(&verdicts).context("there are no verdicts")?;
    Ok((format!("{} (not in a machine)", version(&release)), verdicts))
}

/// The version alone: what a vendor calls the kernel tells whose machine this is.
fn version(release: &str) -> &str {
    let end = release.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(release.len());
    &release[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_name_is_left_out() {
        assert_eq!(version("6.18.44-cloud-v1\n"), "6.18.44");
        assert_eq!(version("7.0.1"), "7.0.1");
    }
}
