//! The files of the repository, as the rules see them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Directories that hold no work of ours.
const SKIPPED: &[&str] = &[".git", "target"];

/// All files, sorted by path.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// From the root of the repository, with slashes.
    pub(super) path: String,
    /// Empty if the file is not text.
    pub(super) text: String,
}

impl Repository {
    /// Reads the tree below `root`. The file system is asked, not git: files that git ignores are
    /// a matter of some rules, and a source archive has no git.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        read_directory(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// A repository of the given paths and texts.
    #[cfg(test)]
    pub(super) fn sample(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self { files: files.iter().map(file).collect() }
    }

    /// The text of the file at `path`, if there is one.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// The files whose name ends so.
    pub(super) fn ending_in(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

fn read_directory(directory: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    let context = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            read_directory(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_read_without_build_products() {
        let repository = Repository::read(&crate::project::root().unwrap()).unwrap();
        assert!(repository.text("xtask/src/tidy/repository.rs").is_some());
        assert!(repository.files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
