//! `disk_bytes` is what a data directory takes of its disk.

use std::fs;
use std::io::{self, ErrorKind as IoKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// What `st_blocks` counts, whatever the file system's own blocks are (POSIX `sys/stat.h`).
const BLOCK_BYTES: u64 = 512;

/// Returns how many bytes the disk gives to the few files below a directory; sparse ones and large
/// maps count as what they hold.
///
/// # Errors
/// `Storage` if the directory cannot be read.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64> {
    sum(dir).map_err(|error| {
        Error::storage(format!("cannot tell what {} takes of the disk", dir.display()))
            .with_source(error)
    })
}

fn sum(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let counted = entry.metadata().and_then(|metadata| {
            if metadata.is_dir() { sum(&entry.path()) } else { Ok(metadata.blocks() * BLOCK_BYTES) }
        });
        bytes += match counted {
            // A state that was replaced is removed meanwhile.
            Err(error) if error.kind() == IoKind::NotFound => 0,
            counted => counted?,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_with_what_the_disk_gives_them() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(disk_bytes(dir.path()).unwrap(), 0);
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("full"), vec![7; 1 << 20]).unwrap();
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        // A file system may need some blocks for the tree of a file.
        let bytes = disk_bytes(dir.path()).unwrap();
        assert!((1 << 20..2 << 20).contains(&bytes), "{bytes}");
        let error = disk_bytes(&dir.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
