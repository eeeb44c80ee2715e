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

use super::{Metadata, NothingWritten, Recording, Tail};
use crate::{event::Event, time::Timestamp};

/// How recordings are named in a folder.
pub const EXTENSION: &str = "arrows";

/// The recordings that were given, one after the other.
#[derive(Debug)]
pub struct Input {
    /// Those still to come, the next last.
    waiting: Vec<PathBuf>,
    /// How far the one before told everything.
    upto: Timestamp,
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
    /// Opens the first of these; a folder means the recordings in it, `-` standard input. Files are read
    /// in the order in which they were begun, whatever their names.
    ///
    /// # Errors
    /// If there is none, the first or a file is no recording, or nothing was recorded in any.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut waiting = Vec::new();
        for path in paths {
            if path.is_dir() {
                waiting.extend(recordings_in(path)?);
            } else {
                waiting.push(path.clone());
            }
        }
        let mut tails = Vec::new();
        if waiting.len() > 1 && waiting.iter().all(|path| path.is_file()) {
            let (ordered, empty) = in_order(waiting)?;
            waiting = ordered;
            let broken = || Some(NothingWritten.to_string());
            tails.extend(
                empty.into_iter().map(|path| (path, Tail { broken: broken(), ..Tail::default() })),
            );
        }
        let size = waiting.iter().map(|path| size(path)).sum();
        waiting.reverse();
        let path = waiting.pop().context("no recording was named")?;
        let read = Arc::default();
        let recording = open(&path, &read)?;
        let first = recording.metadata().clone();
        let current = (path, recording);
        Ok(Self { waiting, upto: Timestamp(0), current, first, tails, size, read })
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
                self.upto = last_tick(&events).unwrap_or(self.upto);
                return Ok(Some(events));
            }
            let next = match self.waiting.pop() {
                Some(next) => Some((open(&next, &self.read)?, next)),
                None => None,
            };
            let (before, mut tail) = (recording.metadata(), recording.tail().clone());
            tail.gap = next.as_ref().is_some_and(|(next, _)| !follows(next.metadata(), before));
            if !tail.is_whole() {
                self.tails.push((path.clone(), tail));
            }
            let Some((recording, next)) = next else {
                return Ok(None);
            };
            self.check(recording.metadata(), &next)?;
            self.current = (next, recording);
        }
    }

    /// Time must go on from one to the next.
    fn check(&self, next: &Metadata, path: &Path) -> Result<()> {
        let path = path.display();
        if next.boot_id != self.first.boot_id {
            bail!("{path} is of another boot of the machine than the first: read them one by one");
        }
        if next.clock.boot < self.upto {
            bail!(
                "{path} was begun before the one before it ended, by another recorder: \
                 read them one by one"
            );
        }
        Ok(())
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

/// Sorts files by when they were begun; returns besides them those in which nothing was recorded.
fn in_order(paths: Vec<PathBuf>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut begun, mut empty) = (Vec::new(), Vec::new());
    for path in paths {
        match open(&path, &Arc::default()) {
            Ok(recording) => begun.push((recording.metadata().clock.boot, path)),
            Err(error) if error.is::<NothingWritten>() => empty.push(path),
            Err(error) => return Err(error),
        }
    }
    if begun.is_empty() {
        let names: Vec<String> = empty.iter().map(|path| path.display().to_string()).collect();
        bail!(anyhow::Error::new(NothingWritten).context(names.join(", ")));
    }
    // Stable: those of different boots, which cannot be compared, are refused later.
    begun.sort_by_key(|(begun, _)| *begun);
    Ok((begun.into_iter().map(|(_, path)| path).collect(), empty))
}

/// Whether nothing is missing between two files, as far as they know.
fn follows(next: &Metadata, before: &Metadata) -> bool {
    next.run == before.run && next.part == before.part + 1
}

fn last_tick(events: &[Event]) -> Option<Timestamp> {
    events.iter().rev().find_map(|event| match event {
        Event::Tick(at) => Some(*at),
        _ => None,
    })
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
