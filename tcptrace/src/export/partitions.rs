//! Many files in folders that say what is in them: `host=web1/hour=2026-11-21T10/…`.
//!
//! The folders are named as Hive does, which DuckDB, ClickHouse and Spark understand: a query for one
//! host or one hour reads no other folder. A file is named after table and recording, so that the
//! exports of many hosts and recordings share a folder, and the same one never counts twice.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    ParquetFile, Table,
    destination::{NewFile, WholeFile, cannot_write, nothing_kept},
    parquet_file::host,
};
use crate::{model::change::Change, output::times::Times, recording::Metadata};

/// Files under construction at a time, each with a row group in memory. Rows come nearly in order of
/// time, so that an hour is rarely come back to.
const MAX_OPEN: usize = 4;
/// Files of one export: more than a year of hours. Only a recording with times that cannot be has more.
const MAX_FILES: usize = 10_000;
/// What a kernel allows a host's name (`__NEW_UTS_LEN`).
const MAX_HOST: usize = 64;
/// How Hive names the folder of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

const HOUR_NS: i64 = 3_600_000_000_000;

/// What rows are put into folders by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// The host.
    Host,
    /// The hour, in UTC, in which they happened.
    Hour,
}

/// A folder of Parquet files under construction; nothing of it stays unless it is finished.
#[derive(Debug)]
pub struct Partitions {
    folder: PathBuf,
    /// The folder was not there before.
    is_new: bool,
    by: Vec<Partition>,
    table: Table,
    metadata: Metadata,
    force: bool,
    /// Those under construction with their hour, the one used last at the end.
    open: Vec<(i64, ParquetFile<NewFile>)>,
    whole: Vec<WholeFile>,
    /// How many files an hour has.
    files: HashMap<i64, usize>,
    lost: u64,
}

impl Partitions {
    /// Begins in `folder`, which is made if it is not there. `force` is whether files may be replaced.
    ///
    /// # Errors
    /// If the folder cannot be made, or the host has a name that no host can have.
    pub fn new(
        folder: &Path,
        by: &[Partition],
        table: Table,
        metadata: &Metadata,
        force: bool,
    ) -> Result<Self> {
        let length = metadata.host.len();
        if by.contains(&Partition::Host) && length > MAX_HOST {
            bail!(
                "the recording says that its host has a name of {length} bytes, and none has more \
                 than {MAX_HOST}: partition by hour alone"
            );
        }
        let is_new = !folder.exists();
        if is_new {
            fs::create_dir(folder).with_context(|| cannot_write(folder))?;
        } else if !folder.is_dir() {
            bail!("{} is no folder, which --partition needs: name another", folder.display());
        }
        Ok(Self {
            folder: folder.to_owned(),
            is_new,
            by: by.to_owned(),
            table,
            metadata: metadata.clone(),
            force,
            open: Vec::new(),
            whole: Vec::new(),
            files: HashMap::new(),
            lost: 0,
        })
    }

    /// Adds the row that `change` makes, if it makes one.
    ///
    /// # Errors
    /// If a file cannot be written, or there are too many.
    pub fn push(&mut self, change: &Change, times: &Times) -> Result<()> {
        if let Change::Lost(lost) = change {
            self.lost += lost.count;
        }
        let Some(at) = self.table.time(change) else {
            return Ok(());
        };
        let by_hour = self.by.contains(&Partition::Hour);
        let hour = if by_hour { times.utc(at).ns().div_euclid(HOUR_NS) } else { 0 };
        match self.open.iter().position(|(of, _)| *of == hour) {
            Some(place) => self.open[place..].rotate_left(1),
            None => self.begin(hour)?,
        }
        match self.open.last_mut() {
            Some((_, file)) => file.push(change, times).with_context(|| nothing_kept(&self.folder)),
            None => Ok(()),
        }
    }

    /// Ends all files and gives them their names; returns how many they are.
    ///
    /// # Errors
    /// If one cannot be written, or is there already.
    pub fn finish(mut self) -> Result<usize> {
        while !self.open.is_empty() {
            self.close_oldest()?;
        }
        for file in &self.whole {
            file.refuse_existing()?;
        }
        let count = self.whole.len();
        for file in self.whole.drain(..) {
            if let Some(folder) = file.path.parent() {
                fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
            }
            file.keep()?;
        }
        Ok(count)
    }

    fn begin(&mut self, hour: i64) -> Result<()> {
        if self.open.len() >= MAX_OPEN {
            self.close_oldest()?;
        }
        if self.whole.len() >= MAX_FILES {
            bail!("more than {MAX_FILES} files would come of it: partition by host alone");
        }
        let files = self.files.entry(hour).or_default();
        let name = format!("{}-{}-{files}.parquet", self.table.name(), began(&self.metadata));
        *files += 1;
        let host = host(&self.metadata);
        let place: PathBuf =
            self.by.iter().map(|by| folder_name(*by, host.as_deref(), hour)).collect();
        // Not in the folder where it will be: that one is made when there is something whole for it.
        let path = self.folder.join(place).join(name);
        let file = NewFile::begin(&self.folder, path, self.force)?;
        let file = ParquetFile::new(file, self.table, &self.metadata);
        self.open.push((hour, file.with_context(|| nothing_kept(&self.folder))?));
        Ok(())
    }

    fn close_oldest(&mut self) -> Result<()> {
        let (_, file) = self.open.remove(0);
        let file = file.finish(self.lost).and_then(NewFile::finish);
        self.whole.push(file.with_context(|| nothing_kept(&self.folder))?);
        Ok(())
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.open.clear();
        self.whole.clear();
        if self.is_new {
            // It stays if there is something in it.
            _ = fs::remove_dir(&self.folder);
        }
    }
}

/// When the recording began, which names it among those of its host.
fn began(metadata: &Metadata) -> impl std::fmt::Display {
    utc(metadata.clock.wall_ns).strftime("%Y%m%dT%H%M%S.%9fZ")
}

/// `host=web1` or `hour=2026-11-21T10`.
fn folder_name(by: Partition, host: Option<&str>, hour: i64) -> String {
    match by {
        Partition::Host => format!("host={}", host.map_or(NO_VALUE.to_owned(), escaped)),
        Partition::Hour => {
            format!("hour={}", utc(hour.saturating_mul(HOUR_NS)).strftime("%Y-%m-%dT%H"))
        }
    }
}

fn utc(ns: i64) -> jiff::Timestamp {
    // 64 bits of nanoseconds lie well within the years that jiff knows.
    jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default()
}

/// As Hive writes values in the names of folders: what is no plain character reads `%2F`.
fn escaped(value: &str) -> String {
    let mut name = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(byte.into()),
            // Writing to a string cannot fail.
            _ => _ = write!(name, "%{byte:02X}"),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{Partition, folder_name};

    #[test]
    fn folders_say_what_is_in_them_and_lead_nowhere_else() {
        for (host, name) in [
            (Some("web1"), "host=web1"),
            (Some("db-2.example_net"), "host=db-2.example_net"),
            (Some("../x"), "host=..%2Fx"),
            (Some("a b=c%\n\u{e9}"), "host=a%20b%3Dc%25%0A%C3%A9"),
            (None, "host=__HIVE_DEFAULT_PARTITION__"),
        ] {
            assert_eq!(folder_name(Partition::Host, host, 0), name);
        }
        for (hour, name) in [
            (0, "hour=1970-01-01T00"),
            (498_658, "hour=2026-11-20T10"),
            (-1, "hour=1969-12-31T23"),
            (i64::MAX, "hour=2262-04-11T23"),
        ] {
            assert_eq!(folder_name(Partition::Hour, None, hour), name);
        }
    }
}
