//! What came of each kernel, kept so that they need not all be played in one run.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{Paths, kernels::KERNELS, matrix::Matrix};

/// In the folder of a kernel: build and release in the first line, then the verdicts.
const FILE: &str = "result";

/// Which build of tcptrace and of its tests was played: results of another count for nothing.
pub(super) fn build(paths: &Paths) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for program in [&paths.tcptrace, &paths.tests] {
        let bytes =
            fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        bytes.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Keeps the verdicts of all scenarios on a kernel.
pub(super) fn keep(
    folder: &Path,
    kernel: &str,
    build: u64,
    release: &str,
    verdicts: &str,
) -> Result<()> {
    let path = folder.join(kernel).join(FILE);
    fs::write(&path, format!("{build:016x} {release}\n{verdicts}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The matrix of all kernels by one build; the names of those that were not played with it, if any.
pub(super) fn of_all(folder: &Path, build: u64) -> Result<Result<Matrix, Vec<&'static str>>> {
    let mut matrix = Matrix::default();
    let mut missing = Vec::new();
    for kernel in KERNELS {
        let text = fs::read_to_string(folder.join(kernel.name).join(FILE)).unwrap_or_default();
        match of_build(&text, build) {
            Some((release, verdicts)) => matrix.add(release, verdicts)?,
            None => missing.push(kernel.name),
        }
    }
    Ok(if missing.is_empty() { Ok(matrix) } else { Err(missing) })
}

/// Release and verdicts, if they are of this build.
fn of_build(text: &str, build: u64) -> Option<(&str, &str)> {
    let (head, verdicts) = text.split_once('\n')?;
    let (of, release) = head.split_once(' ')?;
    (of == format!("{build:016x}")).then_some((release, verdicts))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn results_of_another_build_count_for_nothing() {
        let folder = env::temp_dir().join(format!("tcptrace-vm-results-{}", std::process::id()));
        for kernel in KERNELS {
            fs::create_dir_all(folder.join(kernel.name)).unwrap();
            keep(&folder, kernel.name, 7, "1.0", "btf\texact\tclose\t\n").unwrap();
        }
        let whole = of_all(&folder, 7).unwrap();
        let other = of_all(&folder, 8).unwrap();
        keep(&folder, "6.1", 8, "6.1.1", "btf\texact\tclose\t\n").unwrap();
        let mixed = of_all(&folder, 7).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(whole.is_ok());
        assert_eq!(other.err().map(|missing| missing.len()), Some(KERNELS.len()));
        assert_eq!(mixed.err(), Some(vec!["6.1"]));
    }
}
