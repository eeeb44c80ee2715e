//! Recordings as input: files, folders, standard input.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};

use super::{Metadata, Recording, Tail};
use crate::event::Event;

/// How recordings are named in a folder.
pub const EXTENSION: &str = "arrows";

/// The recordings that were given, one after the other.
#[derive(Debug)]
pub struct Input {
    /// Those still to come, the next last.
    waiting: Vec<PathBuf>,
    current: (PathBuf, Recording<Box<dyn Read>>),
    first: Metadata,
    /// What was wrong with the ends of those that are done.
    tails: Vec<(PathBuf, Tail)>,
    /// Bytes of all of them, if they are files.
    size: Option<u64>,
    /// Bytes read so far.
    read: Arc<AtomicU64>,
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Input {
    /// Opens the first of these; a folder means the recordings in it, by name, `-` standard input.
    ///
    /// # Errors
    /// If there is none, or the first is no recording.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut waiting = Vec::new();
        for path in paths {
            if path.is_dir() {
                waiting.extend(recordings_in(path)?);
            } else {
                waiting.push(path.clone());
            }
        }
        let size = waiting.iter().map(|path| size(path)).sum();
        waiting.reverse();
        let path = waiting.pop().context("no recording was named")?;
        let read = Arc::default();
        let recording = open(&path, &read)?;
        let first = recording.metadata().clone();
        Ok(Self { waiting, current: (path, recording), first, tails: Vec::new(), size, read })
    }

    /// What describes the first of them.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.first
    }

    /// The next events; `None` at the end of the last.
    ///
    /// # Errors
    /// If one of them is no recording, or is of another boot of the machine.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Event>>> {
        loop {
            let (path, recording) = &mut self.current;
            let batch = recording.next_batch();
            if let Some(events) = batch.with_context(|| path.display().to_string())? {
                return Ok(Some(events));
            }
            if !recording.tail().is_whole() {
                self.tails.push((path.clone(), recording.tail().clone()));
            }
            let Some(next) = self.waiting.pop() else {
                return Ok(None);
            };
            let recording = open(&next, &self.read)?;
            if recording.metadata().boot_id != self.first.boot_id {
                bail!(
                    "{} is of another boot of the machine than the first: read them one by one",
                    next.display()
                );
            }
            self.current = (next, recording);
        }
    }

    /// The share of their bytes that was read, from 0 to 1; `None` if it is not known how many they are.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people need not be exact")]
    pub fn share(&self) -> Option<f64> {
        let size = self.size.filter(|size| *size > 0)?;
        Some((self.read.load(Ordering::Relaxed) as f64 / size as f64).min(1.0))
    }

    /// What was wrong with the ends of those that were read.
    #[must_use]
    pub fn tails(&self) -> &[(PathBuf, Tail)] {
        &self.tails
    }
}

/// Bytes of a file; of nothing else can they be known.
fn size(path: &Path) -> Option<u64> {
    let metadata = path.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Recording<Box<dyn Read>>> {
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path)
            .with_context(|| format!("cannot read {}: name a recording", path.display()))?;
        let file = Counted { source: file, read: Arc::clone(read) };
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    Recording::open(source).with_context(|| path.display().to_string())
}

fn recordings_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot look into {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    if found.is_empty() {
        bail!("{} has no recordings (*.{EXTENSION}): name another folder", folder.display());
    }
    found.sort();
    Ok(found)
}
