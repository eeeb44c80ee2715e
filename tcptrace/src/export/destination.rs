//! Where an export goes. A file gets its name when it is whole, and not before.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Stdout, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tempfile::{Builder, NamedTempFile, TempPath};

/// Where an export goes.
#[derive(Debug)]
pub enum Destination {
    /// Standard output.
    Stdout(Stdout),
    /// A named pipe, or what else is there and is no file.
    Pipe(File, PathBuf),
    /// A new file.
    File(NewFile),
}

impl Destination {
    /// Opens it; `-` is standard output. `force` is whether a file may be replaced.
    ///
    /// # Errors
    /// If it cannot be written, or a file is there that may not be replaced.
    pub fn open(path: &Path, force: bool) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout(io::stdout()));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("{} is a folder: name a file", path.display()),
            Ok(found) if !found.is_file() => {
                let pipe = OpenOptions::new().write(true).open(path);
                Ok(Self::Pipe(pipe.with_context(|| cannot_write(path))?, path.to_owned()))
            }
            _ => {
                let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                Ok(Self::File(NewFile::begin(folder, path.to_owned(), force)?))
            }
        }
    }

    /// All was written.
    ///
    /// # Errors
    /// If the file cannot be kept.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self {
            Self::Stdout(_) | Self::Pipe(..) => Ok(()),
            Self::File(file) => file.finish()?.keep(),
        }
    }

    /// What may stay of it if it is not finished: what was written of a stream cannot be taken back.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// What to say if it cannot be written to its end.
    #[must_use]
    pub fn not_written(&self) -> String {
        match self {
            Self::Stdout(_) => "cannot write to stdout, what is there is not all".to_owned(),
            Self::Pipe(_, path) => format!("{}, what is there is not all", cannot_write(path)),
            Self::File(file) => nothing_kept(&file.path),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Pipe(pipe, _) => pipe.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Pipe(pipe, _) => pipe.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// A file that has a temporary name, and is gone if it is dropped.
#[derive(Debug)]
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    force: bool,
}

impl NewFile {
    /// Begins the file that will be `path`, in `folder` of the same file system.
    ///
    /// # Errors
    /// If `path` is there and may not be replaced, or `folder` cannot be written.
    pub(super) fn begin(folder: &Path, path: PathBuf, force: bool) -> Result<Self> {
        refuse_existing(&path, force)?;
        if !folder.is_dir() {
            bail!("{}: {} is no folder: make it", cannot_write(&path), folder.display());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A name may be as long as the file system allows, and this one is longer.
        let name: String = name.chars().take(40).collect();
        let file = Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".partial")
            // As any new file: less what the umask takes away.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .with_context(|| cannot_write(&path))?;
        Ok(Self { file, path, force })
    }

    /// All of it was written.
    ///
    /// # Errors
    /// If the disk did not take it.
    pub(super) fn finish(self) -> Result<WholeFile> {
        let Self { file, path, force } = self;
        file.as_file().sync_all()?;
        Ok(WholeFile { file: file.into_temp_path(), path, force })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// A file that only lacks its name.
#[derive(Debug)]
pub(super) struct WholeFile {
    file: TempPath,
    pub(super) path: PathBuf,
    force: bool,
}

impl WholeFile {
    /// Refuses if a file of its name is there that may not be replaced.
    pub(super) fn refuse_existing(&self) -> Result<()> {
        refuse_existing(&self.path, self.force)
    }

    /// Gives it its name.
    pub(super) fn keep(self) -> Result<()> {
        let kept = if self.force {
            self.file.persist(&self.path)
        } else {
            self.file.persist_noclobber(&self.path)
        };
        kept.map_err(|error| error.error).with_context(|| cannot_write(&self.path))
    }
}

fn refuse_existing(path: &Path, force: bool) -> Result<()> {
    if !force && path.symlink_metadata().is_ok() {
        bail!("{} exists: name another file, or overwrite it with --force", path.display());
    }
    Ok(())
}

pub(super) fn nothing_kept(path: &Path) -> String {
    format!(
        "nothing is kept of an export to {}: make room there, or name another place",
        path.display()
    )
}

pub(super) fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
