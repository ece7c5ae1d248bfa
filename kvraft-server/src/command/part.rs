//! A `Part` is a file that gets its name once it is whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file beside the one that it is to be; it goes away unless it is kept.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    /// Whether it goes away when it is dropped.
    passing: bool,
}

impl Part {
    pub(super) fn create(whole: &Path) -> Result<Self> {
        let part = beside(whole);
        let file =
            File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        Ok(Self { file, part, whole: whole.to_owned(), passing: true })
    }

    /// Opens one that a former command has left.
    pub(super) fn open(whole: &Path) -> Result<Self> {
        let part = beside(whole);
        let file = File::options().read(true).write(true).open(&part);
        let file = file.with_context(|| format!("cannot go on with {}", part.display()))?;
        Ok(Self { file, part, whole: whole.to_owned(), passing: false })
    }

    /// Has it stay where it is even if it is never whole.
    pub(super) fn stay(&mut self) {
        self.passing = false;
    }

    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let wrong = || format!("cannot write {}", self.part.display());
        self.file.write_all(bytes).with_context(wrong)
    }

    /// Brings it to the disk.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.sync_all().with_context(|| format!("cannot flush {}", self.part.display()))
    }

    /// Brings it to the disk under its name.
    pub(super) fn keep(mut self) -> Result<()> {
        self.flush()?;
        fs::rename(&self.part, &self.whole)
            .with_context(|| format!("cannot name {}", self.whole.display()))?;
        self.passing = false;
        let parent = self.whole.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .with_context(|| format!("cannot flush {}", parent.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.passing {
            // What cannot be removed has the name of something that is not whole.
            drop(fs::remove_file(&self.part));
        }
    }
}

fn beside(whole: &Path) -> PathBuf {
    let mut part = whole.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("f");
        let mut part = Part::create(&whole).unwrap();
        part.write(b"x").unwrap();
        drop(part);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut part = Part::create(&whole).unwrap();
        part.write(b"y").unwrap();
        part.stay();
        drop(part);
        assert!(!whole.exists());
        Part::open(&whole).unwrap().keep().unwrap();
        assert_eq!(fs::read(&whole).unwrap(), b"y");
    }
}
