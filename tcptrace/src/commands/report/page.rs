//! The file that a page goes to.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::BytesMut;

use crate::live;

/// Where a page goes.
pub(super) enum Page {
    Stdout,
    File(Unwritten),
}

/// A file that was opened for a page. It goes away again if it is not written and was not there before.
pub(super) struct Unwritten {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl Page {
    /// Opens it; what a file has stays until the page is written.
    pub(super) fn open(path: &Path, force: bool) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let name = path.display();
        if path.is_dir() {
            bail!("{name} is a folder: name a file");
        }
        let create = OpenOptions::new().write(true).create_new(true).open(path);
        let (opened, is_new) = match create {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !force && path.is_file() {
                    return Err(anyhow!(
                        "{name} exists: name another file, or overwrite it with --force"
                    ));
                }
                (OpenOptions::new().write(true).open(path), false)
            }
            created => (created, true),
        };
        let file = opened.with_context(|| format!("cannot write {name}: name another file"))?;
        Ok(Self::File(Unwritten { file, path: path.to_owned(), is_new }))
    }

    /// Writes all of `out`, and empties it.
    pub(super) fn write(self, out: &mut BytesMut) -> Result<()> {
        let mut unwritten = match self {
            Self::Stdout => return live::write_out(out).map(drop),
            Self::File(unwritten) => unwritten,
        };
        let name = unwritten.path.display().to_string();
        let written = shorten(&unwritten).and_then(|()| unwritten.file.write_all(out));
        written.with_context(|| format!("cannot write {name}: name another file"))?;
        unwritten.is_new = false;
        out.clear();
        Ok(())
    }
}

/// A named pipe has no length that could be cut.
fn shorten(unwritten: &Unwritten) -> io::Result<()> {
    if unwritten.file.metadata()?.is_file() { unwritten.file.set_len(0) } else { Ok(()) }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        if self.is_new {
            // Somebody else may have removed it.
            _ = fs::remove_file(&self.path);
        }
    }
}
