//! The program as somebody who is not root runs it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::recorder::PROGRAM;

/// Users that have nothing but what they are given: another one for each trial, so that none sees processes
/// of another.
static NEXT_USER: AtomicU32 = AtomicU32::new(61_184);

/// A copy of the program where every user may run it; the build folder may be closed to others.
pub(super) struct Copy {
    folder: TempDir,
    pub(super) user: String,
}

impl Copy {
    pub(super) fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        // By another process: were it open for writing in this one, a program that another trial starts
        // could inherit that, and nobody may run the copy then.
        let copied = Command::new("cp").arg(PROGRAM).arg(folder.path()).status()?;
        ensure!(copied.success(), "room for a copy");
        Ok(Self { folder, user: NEXT_USER.fetch_add(1, Ordering::Relaxed).to_string() })
    }

    /// A run by its user, with these capabilities.
    pub(super) fn with(&self, held: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &self.user, "--regid", &self.user, "--clear-groups"]);
        command.args(["--inh-caps", held, "--ambient-caps", held]);
        command.arg(self.path()).args(arguments);
        command
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tcptrace")
    }
}
