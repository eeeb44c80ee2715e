//! Where it was measured, and what.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use procfs::{CpuInfo, Current as _, LoadAverage, Meminfo};
use rustix::system::uname;
use serde::Serialize;

/// More processes than this that want to run, for a minute, are somebody else's.
const QUIET: f32 = 0.3;

/// The machine, and the versions that were measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    processors: usize,
    memory_bytes: u64,
    kernel: String,
    tcptrace: String,
    /// Processes that wanted to run in the minute before.
    load_average: f32,
}

impl Machine {
    /// Looks at it; before anything is measured, so that the load is that of others.
    pub(crate) fn look(tcptrace: &Path, commit: Option<&str>) -> Result<Self> {
        let cpus = CpuInfo::current().context("cannot read the processors")?;
        let version = Command::new(tcptrace).arg("--version").output();
        let version = version.with_context(|| format!("cannot start {}", tcptrace.display()))?;
        let mut version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        if let Some(commit) = commit {
            version = format!("{version} ({commit})");
        }
        Ok(Self {
            cpu: cpus.model_name(0).unwrap_or("processor without a name").to_owned(),
            processors: cpus.num_cores(),
            memory_bytes: Meminfo::current().context("cannot read the memory")?.mem_total,
            kernel: uname().release().to_string_lossy().into_owned(),
            tcptrace: version,
            load_average: LoadAverage::current().context("cannot read the load")?.one,
        })
    }

    /// What makes the figures doubtful, if anything does.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.load_average > QUIET).then(|| {
            format!(
                "WARNING: the machine is not quiet (load average {:.2}, more than {QUIET}): \
                 tcptrace is better than these figures; end what runs and measure again",
                self.load_average
            )
        })
    }

    /// Some lines for people.
    pub(crate) fn heading(&self) -> String {
        let mut heading = format!(
            "{}, Linux {}\n{}, {} processors, {:.1} GiB\nload average before: {:.2}\n",
            self.tcptrace,
            self.kernel,
            self.cpu,
            self.processors,
            self.memory_bytes as f64 / f64::from(1 << 30),
            self.load_average,
        );
        if let Some(warning) = self.warning() {
            heading += &warning;
            heading.push('\n');
        }
        heading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_told_in_the_heading() {
        let mut machine = Machine {
            cpu: "CPU".to_owned(),
            processors: 2,
            memory_bytes: 3 << 29,
            kernel: "6.18".to_owned(),
            tcptrace: "tcptrace 0.1.0".to_owned(),
            load_average: 0.1,
        };
        let quiet = "tcptrace 0.1.0, Linux 6.18\nCPU, 2 processors, 1.5 GiB\n\
            load average before: 0.10\n";
        assert_eq!(machine.heading(), quiet);
        machine.load_average = 2.0;
        assert!(machine.heading().contains("WARNING: the machine is not quiet (load average 2.00"));
    }
}
