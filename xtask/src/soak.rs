//! `cargo xtask soak`: tracers that run for long while everything around them comes and goes.

use anyhow::{Result, bail};

use crate::{project, runner, setup};

/// How long it lasts without `--duration`.
const USUAL: &str = "10m";

/// Builds as the current user, then soaks as root. What is not as it should be is an error.
///
/// It is the kernel tests' binary that soaks (`tcptrace/tests/kernel/soak.rs`): it has the loads, and
/// what a tracer knows beside what there is.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let option = format!("--soak={}", duration(arguments)?);
    project::ensure_root_within_reach()?;
    setup::run(&[])?;
    let mut soak = project::cargo(["test", "--package", "tcptrace", "--test", "kernel"])?;
    if !project::is_root()? {
        soak.arg("--config").arg(runner::setting()?);
    }
    project::execute(soak.env_remove(project::SKIP_EBPF).args(["--", &option]))
}

fn duration(arguments: &[String]) -> Result<&str> {
    match arguments {
        [] => Ok(USUAL),
        [option, time] if option == "--duration" => Ok(time),
        [word] if word.starts_with("--duration=") => Ok(&word["--duration=".len()..]),
        _ => bail!("soak takes nothing but a time: cargo xtask soak --duration 1h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_given_and_nothing_else() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(duration(&[]).unwrap(), USUAL);
        for text in ["--duration 2m", "--duration=2m"] {
            assert_eq!(duration(&words(text)).unwrap(), "2m");
        }
        for text in ["2m", "--duration", "--duration 2m more"] {
            assert!(duration(&words(text)).is_err());
        }
    }
}
