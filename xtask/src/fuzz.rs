//! `cargo xtask fuzz [--seconds N]`: arbitrary bytes for whatever reads bytes of others, for a bounded time.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    project,
    setup::{self, Tool},
};

const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    settings: &[],
    needs: "the network and a C++ compiler (`c++`)",
};

/// A file of `fuzz/targets`, which has seeds in `fuzz/seeds`, one folder each.
struct Target {
    name: &'static str,
    /// The largest block of memory that may be asked for at once, in MB.
    block: u32,
}

/// Decoders of records and of BTF have nothing to ask for much memory for.
const LITTLE: u32 = 4;

const TARGETS: &[Target] = &[
    Target { name: "btf", block: LITTLE },
    Target { name: "command_line", block: LITTLE },
    Target { name: "kernel_texts", block: LITTLE },
    Target { name: "netlink", block: LITTLE },
    Target { name: "queues", block: LITTLE },
    // What a batch may unpack to.
    Target { name: "recording", block: 130 },
    Target { name: "records", block: LITTLE },
    Target { name: "told", block: LITTLE },
    Target { name: "values", block: LITTLE },
];

/// For how long all of them together run unless told otherwise, in seconds.
const SECONDS: u32 = 60;

/// No input is longer, in bytes; whatever breaks a reader does so in less.
const LONGEST: u32 = 64 << 10;
/// No input takes longer, in seconds; the slowest take a fiftieth of that.
const SLOWEST: u32 = 10;
/// All memory together, with what the address sanitizer takes, in MB.
const MEMORY: u32 = 2048;

/// Fuzzes the targets; what that finds lies in `target/fuzz/found`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (seconds, targets) = wanted(arguments)?;
    setup::tool(&CARGO_FUZZ)?;
    project::execute(&mut cargo_fuzz("build")?)?;
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let share = share(seconds, lanes, targets.len());
    eprintln!("fuzz: {} targets, {lanes} at a time, {share} s each", targets.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut broken = Vec::new();
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = fuzz(target, share) {
                eprintln!("fuzz: {}: {error:#}", target.name);
                broken.push(target.name);
            }
        }
        broken
    };
    let broken: Vec<&str> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(work)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap_or_default()).collect()
    });
    ensure!(broken.is_empty(), "broken: {}; see above", broken.join(", "));
    Ok(())
}

/// For how many seconds which targets are to run: all of them where none is named.
fn wanted(arguments: &[String]) -> Result<(u32, Vec<&'static Target>)> {
    let (mut seconds, mut targets) = (SECONDS, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let given = arguments.next().context("--seconds needs a number, like 300")?;
            seconds = given.parse().with_context(|| format!("{given} is no number of seconds"))?;
        } else if let Some(target) = TARGETS.iter().find(|target| target.name == argument) {
            targets.push(target);
        } else {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            bail!("{argument} is no target: use {} or --seconds 300", names.join(", "));
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    Ok((seconds, targets))
}

/// Seconds of each of so many targets, so that all are done within `seconds`.
fn share(seconds: u32, lanes: usize, targets: usize) -> u32 {
    let rounds = u32::try_from(targets.div_ceil(lanes)).unwrap_or(u32::MAX);
    (seconds / rounds).max(1)
}

fn fuzz(target: &Target, seconds: u32) -> Result<()> {
    let name = target.name;
    let (corpus, found) = (folder("corpus")?.join(name), folder("found")?);
    let log = folder("logs")?.join(format!("{name}.log"));
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    let mut fuzz = cargo_fuzz("run")?;
    // What is new goes into the first folder of inputs.
    fuzz.arg(name).arg(&corpus).arg(project::root()?.join("fuzz/seeds").join(name));
    fuzz.arg("--").arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOWEST}"));
    // To name the functions that an input reaches takes longer than to run it.
    fuzz.arg("-print_funcs=0");
    fuzz.arg(format!("-max_len={LONGEST}")).arg(format!("-malloc_limit_mb={}", target.block));
    fuzz.arg(format!("-rss_limit_mb={MEMORY}"));
    fuzz.arg(format!("-artifact_prefix={}/{name}-", found.display()));
    let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    fuzz.stdout(output.try_clone()?).stderr(output);
    let status = fuzz.status().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        // The reason stands before what cargo-fuzz says of it.
        eprintln!("{said}");
        bail!("an input in {} breaks it; {} has all it said", found.display(), log.display());
    }
    let done = said.lines().rev().find(|line| line.starts_with("Done "));
    eprintln!("fuzz: {name}: {}", done.with_context(|| format!("see {}", log.display()))?);
    Ok(())
}

/// A folder of what fuzzing needs and leaves behind.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = project::target_dir()?.join("fuzz").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn cargo_fuzz(command: &str) -> Result<Command> {
    let mut fuzz = project::cargo(["fuzz", command, "--target-dir"])?;
    fuzz.arg(folder("build")?);
    // Behind the flags of cargo-fuzz, of which one keeps all but one processor waiting.
    fuzz.env("RUSTFLAGS", "-Ccodegen-units=8");
    // The sanitizer is there, but only for those who ask like this.
    fuzz.env("RUSTC_BOOTSTRAP", "1").env(project::SKIP_EBPF, "1");
    Ok(fuzz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_file_and_seeds_and_every_file_is_a_target() {
        let root = project::root().unwrap().join("fuzz");
        for Target { name, .. } in TARGETS {
            assert!(root.join("targets").join(format!("{name}.rs")).is_file(), "{name}");
            let seeds = root.join("seeds").join(name).read_dir();
            assert!(seeds.is_ok_and(|seeds| seeds.count() > 0), "{name} has no seeds");
        }
        assert_eq!(root.join("targets").read_dir().unwrap().count(), TARGETS.len());
    }

    #[test]
    fn only_targets_and_a_number_of_seconds_are_taken() {
        let wanted = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let (seconds, targets) = wanted(&arguments).ok()?;
            Some((seconds, targets.iter().map(|target| target.name).collect::<Vec<_>>()))
        };
        assert_eq!(wanted("").map(|(seconds, all)| (seconds, all.len())), Some((60, 9)));
        assert_eq!(wanted("btf --seconds 5 told"), Some((5, vec!["btf", "told"])));
        for line in ["--seconds long", "--second 1", "--seconds", "bft"] {
            assert_eq!(wanted(line), None, "{line}");
        }
    }

    #[test]
    fn the_seconds_are_those_of_all_targets_together() {
        assert_eq!(share(60, 2, 9), 12);
        assert_eq!(share(60, 9, 9), 60);
        assert_eq!(share(3, 1, 9), 1);
    }
}
