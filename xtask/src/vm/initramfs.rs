//! The files of a guest, as an archive that the kernel unpacks into its memory.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use cpio::newc::{self, Builder};

use super::{Paths, packages::Package, programs};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TEXT: u32 = 0o100_644;
/// Programs of this machine that scenarios run.
const PROGRAMS: [&str; 2] = ["ip", "ss"];
/// Modules in the order in which they need each other; what is not there is built into the kernel.
const MODULES: [&str; 3] = ["net/ipv4/inet_diag.ko", "net/ipv4/tcp_diag.ko", "drivers/net/veth.ko"];

/// Writes the archive: the kernel tests as the first process, and what they start.
pub(super) fn write(
    path: &Path,
    paths: &Paths,
    package: &Package,
    arguments: &[String],
) -> Result<()> {
    let mut archive = Archive::create(path)?;
    archive.add_file(Path::new("/init"), &paths.tests)?;
    archive.add_file(&paths.tcptrace, &paths.tcptrace)?;
    for name in PROGRAMS {
        archive.add_program(&Path::new("/bin").join(name), &programs::found(name)?)?;
    }
    archive.add_folder(Path::new("/modules"))?;
    for (number, module) in MODULES.iter().enumerate() {
        if let Some(bytes) = module_bytes(&package.modules.join(module))? {
            archive.add(&Path::new("/modules").join(number.to_string()), PROGRAM, &bytes)?;
        }
    }
    let lines: String = arguments.iter().map(|argument| format!("{argument}\n")).collect();
    archive.add_text(Path::new("/arguments"), &lines)?;
    archive.finish()
}

/// An archive that is being written.
pub(super) struct Archive<W> {
    out: W,
    folders: BTreeSet<String>,
    /// Libraries that programs share.
    libraries: BTreeSet<PathBuf>,
}

impl Archive<BufWriter<File>> {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::new(BufWriter::new(file)))
    }
}

impl<W: Write> Archive<W> {
    fn new(out: W) -> Self {
        Self { out, folders: BTreeSet::new(), libraries: BTreeSet::new() }
    }

    /// Adds a program of this machine, and what it is linked with at start.
    pub(super) fn add_program(&mut self, place: &Path, source: &Path) -> Result<()> {
        for library in programs::libraries(source)? {
            if self.libraries.insert(library.clone()) {
                self.add_file(&library, &library)?;
            }
        }
        self.add_file(place, source)
    }

    pub(super) fn add_file(&mut self, place: &Path, source: &Path) -> Result<()> {
        let bytes =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.add(place, PROGRAM, &bytes)
    }

    /// Adds a file that is not to be run.
    pub(super) fn add_text(&mut self, place: &Path, text: &str) -> Result<()> {
        self.add(place, TEXT, text.as_bytes())
    }

    fn add(&mut self, place: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        if let Some(folder) = place.parent() {
            self.add_folder(folder)?;
        }
        self.entry(&name(place)?, mode, bytes)
    }

    /// Writes its end.
    pub(super) fn finish(self) -> Result<()> {
        newc::trailer(self.out)
            .and_then(|mut out| out.flush())
            .context("cannot write the end of the archive")
    }

    /// Adds a folder after those that it lies in.
    pub(super) fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let ancestors: Vec<&Path> = folder.ancestors().collect();
        for folder in ancestors.into_iter().rev() {
            let name = name(folder)?;
            if !name.is_empty() && self.folders.insert(name.clone()) {
                self.entry(&name, FOLDER, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let size = u32::try_from(bytes.len())
            .with_context(|| format!("{name} is too large for an archive"))?;
        let mut writer = Builder::new(name).mode(mode).write(&mut self.out, size);
        writer
            .write_all(bytes)
            .and_then(|()| writer.finish().map(drop))
            .with_context(|| format!("cannot add {name} to the archive"))
    }
}

/// Names in an archive have no slash in front.
fn name(place: &Path) -> Result<String> {
    let place = place.to_str().with_context(|| format!("{} is no UTF-8", place.display()))?;
    Ok(place.trim_start_matches('/').to_owned())
}

/// A kernel module, whether or not it is compressed; `None` if there is no such file.
fn module_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.is_file() {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Some(bytes));
    }
    let compressed = path.with_added_extension("xz");
    if compressed.is_file() {
        let mut xz = Command::new("xz");
        let output = xz.args(["--decompress", "--stdout"]).arg(&compressed).output();
        let output = output.context("cannot start xz")?;
        ensure!(output.status.success(), "xz cannot read {}", compressed.display());
        return Ok(Some(output.stdout));
    }
    if path.with_added_extension("zst").is_file() {
        bail!("{}.zst is compressed in a way that is not known here", path.display());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and sizes in an archive.
    fn listed(archive: &[u8]) -> Vec<(String, u32, u32)> {
        let mut rest = archive;
        let mut entries = Vec::new();
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                return entries;
            }
            entries.push((entry.name().to_owned(), entry.mode(), entry.file_size()));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn folders_come_once_and_before_what_lies_in_them() {
        let mut archive = Archive::new(Vec::new());
        archive.add(Path::new("/init"), PROGRAM, b"first").unwrap();
        archive.add(Path::new("/usr/lib/a"), PROGRAM, b"a").unwrap();
        archive.add(Path::new("/usr/lib/b"), PROGRAM, b"").unwrap();
        let bytes = newc::trailer(archive.out).unwrap();
        let listed = listed(&bytes);
        let listed: Vec<_> =
            listed.iter().map(|(name, mode, size)| (name.as_str(), *mode, *size)).collect();
        assert_eq!(
            listed,
            [
                ("init", PROGRAM, 5),
                ("usr", FOLDER, 0),
                ("usr/lib", FOLDER, 0),
                ("usr/lib/a", PROGRAM, 1),
                ("usr/lib/b", PROGRAM, 0),
            ]
        );
    }

    #[test]
    fn a_module_that_is_not_there_is_built_in() {
        assert_eq!(module_bytes(Path::new("/nowhere/veth.ko")).unwrap(), None);
    }
}
