//! The kernels that the scenarios are played on.

use anyhow::{Result, bail};

/// A kernel: the name by which one asks for it, and the suite of Debian whose newest it is.
pub(super) struct Kernel {
    pub(super) name: &'static str,
    /// `None` for the kernel that is running.
    pub(super) suite: Option<&'static str>,
}

/// Long-term kernels of several ages, the newest there is, and the one of this machine.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel { name: "5.10", suite: Some("bullseye") },
    Kernel { name: "6.1", suite: Some("bookworm") },
    Kernel { name: "6.12", suite: Some("trixie") },
    Kernel { name: "newest", suite: Some("sid") },
    Kernel { name: "host", suite: None },
];

/// Those that are named, or all.
pub(super) fn select(names: &[String]) -> Result<Vec<&'static Kernel>> {
    if names.is_empty() {
        return Ok(KERNELS.iter().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<&'static Kernel> {
    match KERNELS.iter().find(|kernel| kernel.name == name) {
        Some(kernel) => Ok(kernel),
        None => {
            let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
            bail!("there is no kernel {name}; there are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>> {
        let arguments: Vec<String> = arguments.iter().map(|&name| name.to_owned()).collect();
        Ok(select(&arguments)?.iter().map(|kernel| kernel.name).collect())
    }

    #[test]
    fn all_are_meant_unless_some_are_named() {
        assert_eq!(names(&[]).unwrap().len(), KERNELS.len());
        assert_eq!(names(&["newest", "5.10"]).unwrap(), ["newest", "5.10"]);
    }

    #[test]
    fn an_unknown_kernel_is_answered_by_those_there_are() {
        let error = names(&["2.6"]).unwrap_err().to_string();
        assert!(error.contains("2.6") && error.contains("6.12"), "{error}");
    }
}
