//! The files of one run of a recorder: their names, and which are kept.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::{EXTENSION, Output};

/// When a file is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// It has this many bytes, or more.
    pub bytes: Option<u64>,
    /// So much time was recorded in it.
    pub time: Option<Duration>,
}

/// Begins one file after the other, next to each other: `web.arrows` gives
/// `web-20261121T101500Z-0001.arrows`, with the time at which the file was begun (UTC) and its number.
#[derive(Debug)]
pub struct Rotation {
    folder: PathBuf,
    stem: OsString,
    extension: OsString,
    sync: bool,
    keep: Option<usize>,
    /// Files begun.
    count: u32,
    /// The time in the name of the last one, s.
    latest: i64,
    /// Those that are there, the oldest first, and how to tell them from others of their names.
    written: VecDeque<(PathBuf, FileId)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl Rotation {
    /// Files named after `path`, the newest `keep` of which are kept; see [`Output::file`] for `sync`.
    #[must_use]
    pub fn new(path: &Path, keep: Option<usize>, sync: bool) -> Self {
        Self {
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            stem: path.file_stem().unwrap_or_default().to_owned(),
            extension: path.extension().unwrap_or(EXTENSION.as_ref()).to_owned(),
            sync,
            keep,
            count: 0,
            latest: 0,
            written: VecDeque::new(),
        }
    }

    /// The same, with a first file that has been begun, by its own name.
    #[must_use]
    pub fn after_first(self) -> Self {
        Self { count: 1, ..self }
    }

    /// Begins the next file, and deletes what is not kept. `wall_ns` is the time, ns since 1970-01-01
    /// UTC.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn begin(&mut self, wall_ns: i64) -> Result<Output> {
        // Should the clock be set back, the order of the names must still be that of the files.
        self.latest = self.latest.max(wall_ns.div_euclid(1_000_000_000));
        let (path, file) = self.create()?;
        let cannot = || format!("cannot begin {}", path.display());
        let metadata = file.metadata().with_context(cannot)?;
        self.written.push_back((path.clone(), (metadata.dev(), metadata.ino())));
        self.delete_oldest();
        Output::file(&path, file, self.sync).with_context(cannot)
    }

    fn create(&mut self) -> Result<(PathBuf, File)> {
        loop {
            self.count = self.count.saturating_add(1);
            let path = self.folder.join(self.name());
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                // Never somebody else's.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot begin {}: record into a folder that is there and has room",
                            path.display()
                        )
                    });
                }
            }
        }
    }

    fn name(&self) -> OsString {
        let time = Timestamp::from_second(self.latest).unwrap_or_default();
        let mut name = self.stem.clone();
        name.push(format!("-{}-{:04}.", time.strftime("%Y%m%dT%H%M%SZ"), self.count));
        name.push(&self.extension);
        name
    }

    fn delete_oldest(&mut self) {
        while let Some(keep) = self.keep
            && self.written.len() > keep
            && let Some((path, id)) = self.written.pop_front()
        {
            // It may have been moved away, and another put there.
            let is_ours = fs::symlink_metadata(&path).is_ok_and(|m| (m.dev(), m.ino()) == id);
            if is_ours && let Err(error) = fs::remove_file(&path) {
                log::warn!("cannot delete {}: {error}; delete it by hand", path.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::Rotation;

    /// 2026-11-21 10:15:00 UTC.
    const AT: i64 = 1_795_256_100_000_000_000;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tcptrace-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a new folder");
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("our folder").flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn names_are_in_order_even_if_the_clock_is_set_back() {
        let folder = Folder::new("order");
        let mut rotation = Rotation::new(&folder.0.join("web.arrows"), None, false);
        for seconds in [0, 1, -3600, 2] {
            rotation.begin(AT + seconds * 1_000_000_000).expect("a file");
        }
        let mut bare = Rotation::new(&folder.0.join("bare"), None, false).after_first();
        bare.begin(AT).expect("a file");
        assert_eq!(
            folder.names(),
            [
                "bare-20261121T101500Z-0002.arrows",
                "web-20261121T101500Z-0001.arrows",
                "web-20261121T101501Z-0002.arrows",
                "web-20261121T101501Z-0003.arrows",
                "web-20261121T101502Z-0004.arrows",
            ]
        );
    }

    #[test]
    fn only_files_of_this_run_are_deleted() {
        let folder = Folder::new("keep");
        let path = folder.0.join("web.arrows");
        let others = ["web-20261121T101459Z-0001.arrows", "web-20261121T101500Z-0002.arrows"];
        for other in others {
            fs::write(folder.0.join(other), "somebody's").expect("room");
        }
        let mut rotation = Rotation::new(&path, Some(2), false);
        rotation.begin(AT).expect("the first");
        rotation.begin(AT).expect("the third, as the second is somebody's");
        let ours = |number| folder.0.join(format!("web-20261121T101500Z-000{number}.arrows"));
        // The place of the oldest is taken by another file.
        fs::rename(ours(1), folder.0.join("moved")).expect("ours");
        fs::write(ours(1), "somebody's").expect("room");
        for _ in 0..2 {
            rotation.begin(AT).expect("another");
        }
        let kept = [others[0], others[1], "web-20261121T101500Z-0001.arrows"];
        let mut expected: Vec<String> = kept.map(str::to_owned).into();
        expected.extend((4..=5).map(|n| format!("web-20261121T101500Z-000{n}.arrows")));
        expected.insert(0, "moved".to_owned());
        expected.sort();
        assert_eq!(folder.names(), expected);
        for name in kept {
            assert_eq!(fs::read(folder.0.join(name)).expect("there"), b"somebody's");
        }
    }

    #[test]
    fn a_folder_that_is_gone_is_named() {
        let mut rotation = Rotation::new(Path::new("/nowhere/at/all/x.arrows"), None, false);
        let error = format!("{:#}", rotation.begin(AT).expect_err("there is no such folder"));
        assert!(error.starts_with("cannot begin /nowhere/at/all/x-2026"), "{error}");
    }
}
