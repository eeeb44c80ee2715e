//! `cargo xtask vm [KERNEL…] [-- FILTER]`: the scenarios on other kernels, in virtual machines.
//!
//! A machine is a kernel of Debian's ([`packages`]), unpacked and not installed, and an archive of files
//! ([`initramfs`]) in which the kernel tests themselves are the first process. They play each scenario
//! in each mode: by the BTF tracepoint, without and with helpers on functions of the kernel, and, with BTF
//! hidden, by the classic one; their verdicts make the [`matrix`], and when all kernels have been played,
//! the table of the [`readme`].

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, bail, ensure};

use crate::{project, setup};
use kernels::Kernel;
use machine::Guest;
use matrix::Matrix;
use packages::Package;

mod host;
mod initramfs;
mod kernels;
mod machine;
mod matrix;
mod packages;
mod programs;
mod readme;
mod results;
pub(crate) mod systemd;

/// In the folder of this task: what became of each scenario in the last run, and its table.
const MATRIX: &str = "matrix.txt";
const TABLE: &str = "table.txt";
/// No machine lives longer. Most of it are the waits of the scenarios, in each way of tracing.
const PATIENCE: Duration = Duration::from_secs(1500);

/// What this task works with.
struct Paths {
    /// The folder of this task: packages, machines, results.
    folder: PathBuf,
    tcptrace: PathBuf,
    /// The kernel tests.
    tests: PathBuf,
}

/// A kernel that can be played: its package, if it needs a machine.
type Ready = (&'static Kernel, Option<Package>);
/// A kernel's release and the verdicts as they were written.
type Played = Result<(String, String)>;

/// Plays the scenarios on the kernels named, or on all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut parts = arguments.splitn(2, |argument| argument == "--");
    let kernels = kernels::select(parts.next().unwrap_or_default())?;
    let filter = parts.next().unwrap_or_default();
    if kernels.iter().any(|kernel| kernel.suite.is_some()) {
        programs::ensure_installed()?;
    }
    let folder = project::target_dir()?.join("vm");
    let mut failed = Vec::new();
    // Before all that takes long: the network may be missing.
    let mut ready: Vec<Ready> = Vec::new();
    for kernel in kernels {
        match kernel.suite.map(|suite| packages::fetch(&folder, kernel.name, suite)).transpose() {
            Ok(package) => ready.push((kernel, package)),
            Err(error) => note_failed(kernel, &error, &mut failed),
        }
    }
    ensure!(!ready.is_empty(), "there is no kernel to play on; see above");
    setup::run(&[])?;
    let (tcptrace, tests) = programs::build()?;
    let paths = Paths { folder, tcptrace, tests };
    let build = results::build(&paths)?;
    let mut matrix = Matrix::default();
    for (kernel, played) in play_all(&ready, &paths, filter) {
        match played {
            Ok((release, verdicts)) => {
                matrix.add(&release, &verdicts)?;
                if filter.is_empty() {
                    results::keep(&paths.folder, kernel.name, build, &release, &verdicts)?;
                }
            }
            Err(error) => note_failed(kernel, &error, &mut failed),
        }
    }
    eprint!("{}", matrix.by_scenario());
    for line in matrix.failures() {
        eprintln!("{line}");
    }
    write(&paths.folder.join(MATRIX), &matrix.by_scenario())?;
    write(&paths.folder.join(TABLE), &matrix.table())?;
    eprint!("\n{}\n", matrix.table());
    write_readme(&paths, build)?;
    ensure!(failed.is_empty(), "not played to the end: {}; see above", failed.join(", "));
    ensure!(matrix.failures().is_empty(), "what tcptrace told was wrong; see above");
    Ok(())
}

fn note_failed(kernel: &Kernel, error: &Error, failed: &mut Vec<&'static str>) {
    eprintln!("vm: {}: {error:#}", kernel.name);
    failed.push(kernel.name);
}

/// Plays in as many machines at once as this one has processors, and then on the host: machines mostly
/// wait, but there times are compared that a busy processor makes longer.
fn play_all<'a>(ready: &'a [Ready], paths: &Paths, filter: &[String]) -> Vec<(&'a Kernel, Played)> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let machines = ready.iter().filter_map(|(kernel, package)| Some((*kernel, package.as_ref()?)));
    let waiting = Mutex::new(machines);
    let played = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while let Some((kernel, package)) = next() {
                    let result = play(kernel, package, paths, filter);
                    let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
                    played.push((kernel, result));
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((kernel, _)) = ready.iter().find(|(_, package)| package.is_none()) {
        played.push((kernel, whole(host::play(paths, filter))));
    }
    let place = |kernel: &Kernel| ready.iter().position(|(known, _)| known.name == kernel.name);
    played.sort_by_key(|(kernel, _)| place(kernel));
    played
}

fn whole(played: Played) -> Played {
    let (release, verdicts) = played?;
    ensure!(matrix::is_whole(&verdicts), "the tests ended before the last scenario");
    Ok((release, verdicts))
}

fn play(kernel: &Kernel, package: &Package, paths: &Paths, filter: &[String]) -> Played {
    let folder = paths.folder.join(kernel.name);
    let initramfs = folder.join("initramfs.cpio");
    initramfs::write(&initramfs, paths, package, filter)?;
    let begin = Instant::now();
    let guest = Guest {
        image: &package.image,
        initramfs: &initramfs,
        arguments: "",
        patience: PATIENCE,
        is_whole: matrix::is_whole,
    };
    let verdicts = machine::play(&folder, &guest)?;
    eprintln!("vm: {} took {} s", kernel.name, begin.elapsed().as_secs());
    Ok((package.release.clone(), verdicts))
}

/// Writes the table into the README if all kernels have been played with this build, and nothing was wrong.
fn write_readme(paths: &Paths, build: u64) -> Result<()> {
    let matrix = match results::of_all(&paths.folder, build)? {
        Ok(matrix) => matrix,
        Err(missing) => {
            let missing = missing.join(", ");
            eprintln!(
                "vm: the README keeps its table: this build has not been played on {missing}"
            );
            return Ok(());
        }
    };
    if !matrix.failures().is_empty() {
        eprintln!("vm: the README keeps its table: what was told was wrong");
        return Ok(());
    }
    let path = project::root()?.join("README.md");
    let readme = fs::read_to_string(&path).context("cannot read README.md")?;
    write(&path, &readme::with_table(&readme, &matrix.table())?)?;
    eprintln!("vm: the table is in README.md");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The only file in `folder` whose name begins so.
fn only_file(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = names
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    match (found.pop(), found.pop()) {
        (Some(path), None) => Ok(path),
        (None, _) => bail!("no {prefix}* in {}; remove the folder and try again", folder.display()),
        _ => bail!("several {prefix}* in {}; remove the folder and try again", folder.display()),
    }
}
