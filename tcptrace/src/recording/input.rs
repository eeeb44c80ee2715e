//! Recordings as input: files, folders, standard input.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
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
        waiting.reverse();
        let path = waiting.pop().context("no recording was named")?;
        let recording = open(&path)?;
        let first = recording.metadata().clone();
        Ok(Self { waiting, current: (path, recording), first, tails: Vec::new() })
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
            let recording = open(&next)?;
            if recording.metadata().boot_id != self.first.boot_id {
                bail!(
                    "{} is of another boot of the machine than the first: read them one by one",
                    next.display()
                );
            }
            self.current = (next, recording);
        }
    }

    /// What was wrong with the ends of those that were read.
    #[must_use]
    pub fn tails(&self) -> &[(PathBuf, Tail)] {
        &self.tails
    }
}

fn open(path: &Path) -> Result<Recording<Box<dyn Read>>> {
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path)
            .with_context(|| format!("cannot read {}: name a recording", path.display()))?;
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
