//! `RESTORING` is the mark of a data directory that is not a whole one yet.
//!
//! It is made before anything else and taken away after all else is durable: a directory that
//! has it is opened by nobody, and whoever fills it begins anew.

use std::fs::{self, File};
use std::io::{self, ErrorKind as IoKind};
use std::path::Path;

use super::dir::{remove_if_there, sync_dir, unusable};
use crate::error::{Error, Result};

const MARK: &str = "RESTORING";
/// What an empty directory may have: our own lock, and what file systems put into their root.
const NOTHING: [&str; 2] = ["LOCK", "lost+found"];
/// What a restore makes.
const FILES: [&str; 4] = ["FORMAT", "FORMAT.new", "ballast", "probe"];
const FOLDERS: [&str; 2] = ["log", "state"];

/// Fails if `dir` was left unfinished.
pub(super) fn refuse(dir: &Path) -> Result<()> {
    match fs::symlink_metadata(dir.join(MARK)) {
        Err(error) if error.kind() == IoKind::NotFound => Ok(()),
        Err(error) => Err(unusable(dir, "look into", error)),
        Ok(_) => Err(Error::refused(format!(
            "a restore into {} did not finish: run it again, or remove the directory",
            dir.display()
        ))),
    }
}

/// Marks `dir`, which has to be empty, or takes away what an unfinished restore left.
pub(super) fn begin(dir: &Path) -> Result<()> {
    let failed = |error| unusable(dir, "write to", error);
    if fs::symlink_metadata(dir.join(MARK)).is_ok() {
        return clear(dir).map_err(failed);
    }
    for item in fs::read_dir(dir).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        if !NOTHING.iter().any(|known| name == *known) {
            return Err(Error::refused(format!(
                "{} is not empty (it has {}): a restore overwrites nothing; take another \
                 directory, or move that one away",
                dir.display(),
                name.to_string_lossy()
            )));
        }
    }
    mark(dir).map_err(failed)
}

/// Takes the mark away; all else is durable.
pub(super) fn finish(dir: &Path) -> Result<()> {
    let done =
        sync_dir(dir).and_then(|()| fs::remove_file(dir.join(MARK))).and_then(|()| sync_dir(dir));
    done.map_err(|error| unusable(dir, "write to", error))
}

fn mark(dir: &Path) -> io::Result<()> {
    File::create(dir.join(MARK))?.sync_all()?;
    sync_dir(dir)
}

fn clear(dir: &Path) -> io::Result<()> {
    for name in FILES {
        remove_if_there(&dir.join(name))?;
    }
    for name in FOLDERS {
        match fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != IoKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::storage::dir::DataDir;

    #[test]
    fn a_directory_with_the_mark_is_opened_by_nobody_and_can_be_begun_anew() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("new");
        drop(DataDir::begin(&dir).unwrap());
        fs::write(dir.join("log/data.mdb"), "half").unwrap();
        let error = DataDir::open(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("did not finish"), "{error}");
        let again = DataDir::begin(&dir).unwrap();
        assert!(!dir.join("log/data.mdb").exists());
        again.finish().unwrap();
        drop(again);
        drop(DataDir::open(&dir).unwrap());
        let error = DataDir::begin(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("is not empty"), "{error}");
    }

    #[test]
    fn what_is_not_ours_is_never_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("lost+found")).unwrap();
        fs::write(temp.path().join("photo"), "dear").unwrap();
        let error = DataDir::begin(temp.path()).unwrap_err();
        assert!(error.message().contains("photo"), "{error}");
        fs::remove_file(temp.path().join("photo")).unwrap();
        drop(DataDir::begin(temp.path()).unwrap());
    }
}
