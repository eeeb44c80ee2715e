//! `cargo xtask fuzz [--seconds N]`: arbitrary bytes for what reads files, for a bounded time.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{project, setup};

const CARGO_FUZZ: &str = "0.13.2";

/// The targets, files of `fuzz/targets`. Each has seeds in `fuzz/seeds`, one folder each.
const TARGETS: &[&str] = &["recording"];

/// For how long each target runs unless told otherwise, in seconds.
const SECONDS: u32 = 60;

/// No input is longer, in bytes; whatever breaks a reader does so in less.
const LONGEST: u32 = 64 << 10;
/// The largest block of memory that may be asked for at once: what a batch may unpack to, in MB.
const BLOCK: u32 = 130;
/// All memory together, with what the address sanitizer takes, in MB.
const MEMORY: u32 = 2048;

/// Fuzzes every target; what it finds lies in `target/fuzz/found`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let seconds = match arguments {
        [] => SECONDS,
        [option, seconds] if option == "--seconds" => {
            seconds.parse().with_context(|| format!("{seconds} is no number of seconds"))?
        }
        _ => bail!("write it as `cargo xtask fuzz --seconds 300`"),
    };
    cargo_fuzz()?;
    for target in TARGETS {
        fuzz(target, seconds)?;
    }
    Ok(())
}

fn fuzz(target: &str, seconds: u32) -> Result<()> {
    let folder = project::target_dir()?.join("fuzz");
    let (corpus, found) = (folder.join("corpus").join(target), folder.join("found"));
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut fuzz = project::cargo(["fuzz", "run", "--target-dir"])?;
    fuzz.arg(folder.join("build")).arg(target);
    // What is new goes into the first folder of inputs.
    fuzz.arg(&corpus).arg(project::root()?.join("fuzz/seeds").join(target));
    fuzz.arg("--").arg(format!("-max_total_time={seconds}"));
    fuzz.arg(format!("-max_len={LONGEST}")).arg(format!("-malloc_limit_mb={BLOCK}"));
    fuzz.arg(format!("-rss_limit_mb={MEMORY}"));
    fuzz.arg(format!("-artifact_prefix={}/{target}-", found.display()));
    // The sanitizer is there, but only for those who ask like this.
    fuzz.env("RUSTC_BOOTSTRAP", "1").env(project::SKIP_EBPF, "1");
    project::execute(&mut fuzz)
        .with_context(|| format!("an input in {} breaks {target}", found.display()))
}

fn cargo_fuzz() -> Result<()> {
    let tools = project::tools_dir()?;
    let mut version = Command::new(tools.join("bin/cargo-fuzz"));
    let installed = version.arg("--version").output().is_ok_and(|output| {
        output.status.success()
            && String::from_utf8_lossy(&output.stdout)
                .split_whitespace()
                .eq(["cargo-fuzz", CARGO_FUZZ])
    });
    if installed {
        return Ok(());
    }
    eprintln!("fuzz: building cargo-fuzz {CARGO_FUZZ}, once");
    let mut install = project::cargo(["install", "cargo-fuzz", "--locked", "--force"])?;
    install.args(["--version", CARGO_FUZZ, "--root"]).arg(&tools);
    setup::without_settings(&mut install);
    project::execute(&mut install)
        .context("cannot install cargo-fuzz; it needs the network and a C++ compiler (`c++`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_file_and_seeds() {
        let root = project::root().unwrap().join("fuzz");
        for target in TARGETS {
            assert!(root.join("targets").join(format!("{target}.rs")).is_file());
            assert!(root.join("seeds").join(target).read_dir().unwrap().count() > 0);
        }
    }

    #[test]
    fn only_a_number_of_seconds_is_taken() {
        assert!(run(&["--seconds".to_owned(), "long".to_owned()]).is_err());
        assert!(run(&["--second".to_owned(), "1".to_owned()]).is_err());
    }
}
