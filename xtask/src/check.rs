//! `cargo xtask check`: everything short of running the tests that a change must pass.

use anyhow::{Result, ensure};

use crate::{project, setup, tidy, unit};

/// One step: what it is called in the summary, and what does it.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("clippy", clippy),
    ("clippy for the kernel", clippy_bpf),
    ("rustdoc", rustdoc),
    ("tidy", || tidy::run(&[])),
    ("unit", unit::verify),
];

/// Takes all steps, also after a failed one: one run shows everything there is to mend.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::run(&[])?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        if let Err(error) = step() {
            eprintln!("{name}: {error:#}");
            failed.push(*name);
        }
    }
    ensure!(failed.is_empty(), "not passed: {}; see above", failed.join(", "));
    eprintln!("check: {} steps passed", STEPS.len());
    Ok(())
}

fn fmt() -> Result<()> {
    project::execute(&mut project::cargo(["fmt", "--all", "--", "--check"])?)
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    project::execute(&mut project::cargo(arguments)?)
}

/// The workspace run above sees only a stub of the kernel programs: they are compiled for the BPF
/// target alone.
fn clippy_bpf() -> Result<()> {
    let mut clippy = project::cargo(["clippy", "--package", "tcptrace-ebpf", "--release"])?;
    clippy.args(["--all-features", "--target", "bpfel-unknown-none", "-Z", "build-std=core"]);
    // In a directory of its own: with the variable below set, build scripts of crates shared with
    // the other builds would run again, here and there, at every change of hands.
    clippy.arg("--target-dir").arg(project::target_dir()?.join("bpf"));
    clippy.args(["--", "-D", "warnings"]);
    project::execute(clippy.env("RUSTC_BOOTSTRAP", "1"))
}

fn rustdoc() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    project::execute(project::cargo(arguments)?.env("RUSTDOCFLAGS", "-D warnings"))
}
