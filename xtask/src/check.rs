//! `cargo xtask check`: everything short of running the tests that a change must pass.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{deny, miri, project, setup, tidy, unit};

/// One step: what it is called in the summary, and what does it. What could not be looked at, and why, is
/// its result.
type Step = (&'static str, fn() -> Result<Option<String>>);

const STEPS: &[Step] = &[
    ("fmt", || fmt().map(|()| None)),
    ("clippy", || clippy().map(|()| None)),
    ("clippy for the kernel", || clippy_bpf().map(|()| None)),
    ("rustdoc", || rustdoc().map(|()| None)),
    ("tidy", || tidy::run(&[]).map(|()| None)),
    ("dependencies", || deny::dependencies().map(|()| None)),
    ("advisories", deny::advisories),
    ("miri", || miri::run(&[]).map(|()| None)),
    ("unit", || unit::verify().map(|()| None)),
];

/// Takes all steps, also after a failed one: one run shows everything there is to mend.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::run(&[])?;
    let (mut failed, mut unchecked) = (Vec::new(), Vec::new());
    for (name, step) in STEPS {
        let started = Instant::now();
        let result = step();
        eprintln!("check: {name} took {} s", started.elapsed().as_secs());
        match result {
            Ok(None) => {}
            Ok(Some(why)) => unchecked.push((name, why)),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed.push(*name);
            }
        }
    }
    for (name, why) in &unchecked {
        eprintln!("check: NOT checked: {name}: {why}");
    }
    ensure!(failed.is_empty(), "not passed: {}; see above", failed.join(", "));
    eprintln!("check: {} steps passed", STEPS.len() - unchecked.len());
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
