//! Where the bytes of a recording go.

use std::{
    fmt,
    fs::File,
    io::{self, ErrorKind, Write},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Error, Result, bail};

/// A file that is written, or what stands for one.
pub struct Output {
    name: String,
    bytes: Box<dyn Write + Send>,
    /// The same, if it is a file.
    file: Option<File>,
    /// Each batch must be on the disk before the next is written.
    sync: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.name).finish()
    }
}

impl Output {
    /// What messages call `name`.
    pub fn new(name: impl Into<String>, bytes: impl Write + Send + 'static) -> Self {
        Self { name: name.into(), bytes: Box::new(bytes), file: None, sync: false }
    }

    /// An open file, of which each batch is on the disk before the next is written if `sync`.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn file(path: &Path, file: File, sync: bool) -> io::Result<Self> {
        // What is written to a pipe is on no disk, and has no name to lose.
        let is_file = file.metadata()?.is_file();
        let same = is_file.then(|| file.try_clone()).transpose()?;
        Ok(Self { file: same, sync, ..Self::new(path.display().to_string(), file) })
    }

    /// Writes a batch in one go, so that a reader sees whole ones.
    ///
    /// # Errors
    /// If it cannot be written, or nobody could read it any more; the message names the file and the fix.
    pub(super) fn write(&mut self, batch: &[u8]) -> Result<()> {
        let written = self.bytes.write_all(batch).and_then(|()| self.bytes.flush());
        let synced = written.and_then(|()| match &self.file {
            Some(file) if self.sync => file.sync_data(),
            _ => Ok(()),
        });
        let is_deleted = || -> io::Result<bool> {
            Ok(self.file.as_ref().map(File::metadata).transpose()?.is_some_and(|m| m.nlink() == 0))
        };
        match synced.and_then(|()| is_deleted()) {
            Ok(false) => Ok(()),
            Ok(true) => bail!(
                "{} was deleted while it was written, and nothing of it is left: record again, \
                 where nobody deletes it",
                self.name
            ),
            Err(error) => {
                let fix = fix(error.kind());
                Err(Error::new(error).context(format!("cannot write {}, {fix}", self.name)))
            }
        }
    }
}

fn fix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull => {
            "which is readable up to here: make room, or record to another disk"
        }
        ErrorKind::QuotaExceeded => {
            "which is readable up to here: raise the quota, or record elsewhere"
        }
        ErrorKind::BrokenPipe => "whose reader left: keep it reading, or record to a file",
        _ => "which is readable up to here: record elsewhere",
    }
}
