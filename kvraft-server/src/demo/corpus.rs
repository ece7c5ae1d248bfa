//! A corpus is the files that are put into the map, by their paths.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Longest key of a map.
const MAX_KEY_BYTES: usize = 511;
/// Largest value of a map by default.
const MAX_VALUE_BYTES: u64 = 4 << 20;

/// One file: its path below the directory, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path, as bytes.
    pub key: Vec<u8>,
    /// The contents.
    pub value: Vec<u8>,
}

/// Reads the files below `dir` in the order of their names, as many as the bounds allow and as
/// fit into a map. Links are not followed; installed packages and caches are left out.
///
/// # Errors
/// If a directory or a file cannot be read, or there is none.
pub fn read(dir: &Path, max_files: usize, max_bytes: u64) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut left = max_bytes;
    // The last entry is next: directories are walked depth first, without recursion.
    let mut ahead = vec![dir.to_owned()];
    while let Some(path) = ahead.pop().filter(|_| files.len() < max_files) {
        let about = path.symlink_metadata().with_context(|| path.display().to_string())?;
        if about.is_dir() {
            ahead.extend(children(&path)?.into_iter().rev());
        } else if about.is_file() && about.len() <= MAX_VALUE_BYTES.min(left) {
            let key = path.strip_prefix(dir).unwrap_or(&path).as_os_str().as_bytes().to_owned();
            if (1..=MAX_KEY_BYTES).contains(&key.len()) {
                let value = std::fs::read(&path).with_context(|| path.display().to_string())?;
                left -= about.len();
                files.push(File { key, value });
            }
        }
    }
    if files.is_empty() {
        bail!("{} has no file to load", dir.display());
    }
    Ok(files)
}

fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let paths: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| dir.display().to_string())?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        !matches!(name, b"site-packages" | b"__pycache__" | b"target" | b".git")
    });
    paths.sort_unstable();
    Ok(paths)
}

/// The directory of Python's standard library on this machine, if it has one.
#[must_use]
pub fn python_library() -> Option<PathBuf> {
    let ask = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let answer = Command::new("python3").args(["-c", ask]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end());
    path.is_dir().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(files: &[File]) -> Vec<&[u8]> {
        files.iter().map(|file| file.key.as_slice()).collect()
    }

    #[test]
    fn files_are_read_in_order_within_the_bounds() {
        let dir = tempfile::tempdir().unwrap();
        for (path, value) in
            [("b/2", "two"), ("a", "one"), ("b/__pycache__/x", "x"), ("c", "three")]
        {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value).unwrap();
        }
        let all = read(dir.path(), 10, 100).unwrap();
        assert_eq!(keys(&all), [&b"a"[..], b"b/2", b"c"]);
        assert_eq!(all[1].value, b"two");
        assert_eq!(keys(&read(dir.path(), 2, 100).unwrap()), [&b"a"[..], b"b/2"]);
        assert_eq!(keys(&read(dir.path(), 10, 7).unwrap()), [&b"a"[..], b"b/2"]);
        assert!(read(dir.path(), 10, 0).is_err());
    }
}
