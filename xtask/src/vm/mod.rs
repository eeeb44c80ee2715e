//! `cargo xtask vm [KERNEL…] [-- FILTER]`: the scenarios on other kernels, in virtual machines.
//!
//! A machine is a kernel of Debian's ([`packages`]), unpacked and not installed, and an archive of files
//! ([`initramfs`]) in which the kernel tests themselves are the first process. They play each scenario
//! by the BTF tracepoint and, with BTF hidden, by the classic one; their verdicts make the [`matrix`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{project, setup};
use kernels::Kernel;
use matrix::Matrix;

mod host;
mod initramfs;
mod kernels;
mod machine;
mod matrix;
mod packages;
mod programs;

/// The table of the last run, for the README.
const TABLE: &str = "table.md";

/// What this task works with.
struct Paths {
    /// The folder of this task: packages, machines, results.
    folder: PathBuf,
    tcptrace: PathBuf,
    /// The kernel tests.
    tests: PathBuf,
}

/// Plays the scenarios on the kernels named, or on all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut parts = arguments.splitn(2, |argument| argument == "--");
    let kernels = kernels::select(parts.next().unwrap_or_default())?;
    let filter = parts.next().unwrap_or_default();
    let needs_machine = kernels.iter().any(|kernel| kernel.suite.is_some());
    if needs_machine {
        programs::ensure_installed()?;
    }
    setup::run(&[])?;
    let folder = project::target_dir()?.join("vm");
    let (tcptrace, tests) = programs::build()?;
    let paths = Paths { folder, tcptrace, tests };
    let mut matrix = Matrix::default();
    let mut failed = Vec::new();
    for kernel in kernels {
        eprintln!("vm: {}", kernel.name);
        match play(kernel, &paths, filter) {
            Ok((release, verdicts)) => matrix.add(&release, &verdicts)?,
            Err(error) => {
                eprintln!("vm: {}: {error:#}", kernel.name);
                failed.push(kernel.name);
            }
        }
    }
    eprint!("{}", matrix.by_scenario());
    for line in matrix.failures() {
        eprintln!("{line}");
    }
    let table = paths.folder.join(TABLE);
    fs::write(&table, matrix.table())
        .with_context(|| format!("cannot write {}", table.display()))?;
    eprint!("\n{}\nvm: the table is in {}\n", matrix.table(), table.display());
    ensure!(failed.is_empty(), "not played to the end: {}; see above", failed.join(", "));
    ensure!(matrix.failures().is_empty(), "what tcptrace told was wrong; see above");
    Ok(())
}

/// Returns the kernel's release and the verdicts as they were written.
fn play(kernel: &Kernel, paths: &Paths, filter: &[String]) -> Result<(String, String)> {
    let Some(suite) = kernel.suite else { return host::play(paths, filter) };
    let folder = paths.folder.join(kernel.name);
    let package = packages::fetch(&paths.folder, kernel.name, suite)?;
    let initramfs = folder.join("initramfs.cpio");
    initramfs::write(&initramfs, paths, &package, filter)?;
    let verdicts = machine::play(&folder, &package.image, &initramfs)?;
    Ok((package.release, verdicts))
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
