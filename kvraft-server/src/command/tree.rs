//! A tree: how keys of any bytes are files below a directory, and files keys.
//!
//! `a/b` is the file `b` in the directory `a`. What is no letter, digit or one of `-_.~+,=@` is `%XX`,
//! and so is a dot that a name begins with: no key leads out of the directory, and none is hidden.
//! Three marks cannot come out of that, and stand for the rest: `%_` is an empty part (`a//b`), `%f`
//! ends the name of a file whose own name is that of a directory (`a` beside `a/b`), and `%-` ends a
//! directory whose name goes on in the next part, as it is too long for one.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What stands in a name as it is, letters and digits aside.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b'@');
/// The longest part of a name: file systems take 255 bytes, and a mark comes behind.
const LONGEST: usize = 240;
const EMPTY: &str = "%_";
const FILE: &str = "%f";
const GOES_ON: &str = "%-";
/// Files of the export itself; no key has such a name.
pub(super) const OWN: &str = ".kvraft-";

/// The names from the directory down to the file of a key.
fn names(key: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for part in key.split(|byte| *byte == b'/') {
        let mut name = percent_encode(part, PLAIN).to_string();
        if name.starts_with('.') {
            name.replace_range(..1, "%2E");
        }
        if name.is_empty() {
            EMPTY.clone_into(&mut name);
        }
        while name.len() > LONGEST {
            let mut at = LONGEST;
            // No escape is cut: its percent sign is one of the last two letters.
            while name.get(at - 2..at).is_some_and(|last| last.contains('%')) {
                at -= 1;
            }
            let rest = name.split_off(at);
            names.push(format!("{name}{GOES_ON}"));
            name = rest;
        }
        names.push(name);
    }
    names
}

/// Finds the file of a key below `dir`, and makes the directories on the way.
pub(super) fn place(dir: &Path, key: &[u8]) -> Result<PathBuf> {
    let mut path = dir.to_owned();
    let names = names(key);
    let (file, folders) = names.split_last().context("a key has no name")?;
    for folder in folders {
        path.push(folder);
        make_folder(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    path.push(file);
    if path.is_dir() {
        path.set_file_name(format!("{file}{FILE}"));
    }
    Ok(path)
}

/// Makes a directory, also where the file of a shorter key has its name.
fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
            let mut aside = path.as_os_str().to_owned();
            aside.push(FILE);
            fs::rename(path, aside)?;
            fs::create_dir(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The key of a file, by its path below the directory.
fn key(path: &Path) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    let count = path.components().count();
    let mut joined = true;
    for (at, component) in path.components().enumerate() {
        let mut name = component.as_os_str().as_bytes();
        if at + 1 == count {
            name = name.strip_suffix(FILE.as_bytes()).unwrap_or(name);
        }
        if !joined {
            key.push(b'/');
        }
        let whole = name.strip_suffix(GOES_ON.as_bytes());
        joined = whole.is_some();
        name = whole.unwrap_or(name);
        if name != EMPTY.as_bytes() {
            key.extend(decoded(name)?);
        }
    }
    Ok(key)
}

fn decoded(name: &[u8]) -> Result<Vec<u8>> {
    let mut escapes = name.split(|byte| *byte == b'%').skip(1);
    let whole =
        |escape: &[u8]| escape.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    ensure!(escapes.all(whole), "a percent sign in a name is %25");
    Ok(percent_decode(name).collect())
}

/// The files below a directory, in the order of their names.
pub(super) struct Walk {
    root: PathBuf,
    /// What is left of each directory on the way down, the last name first.
    left: Vec<Vec<PathBuf>>,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), left: vec![entries(root)?] })
    }

    /// The next file, with its key. Links and what else is no file end the walk: nobody is led out.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, PathBuf)>> {
        loop {
            let Some(entries_left) = self.left.last_mut() else { return Ok(None) };
            let Some(path) = entries_left.pop() else {
                self.left.pop();
                continue;
            };
            let kind = fs::symlink_metadata(&path)
                .with_context(|| format!("cannot look at {}", path.display()))?
                .file_type();
            if kind.is_dir() {
                self.left.push(entries(&path)?);
            } else if kind.is_file() {
                let below = path.strip_prefix(&self.root).unwrap_or(&path);
                let wrong = || format!("{} is no key", path.display());
                return Ok(Some((key(below).with_context(wrong)?, path)));
            } else {
                bail!("{} is neither a file nor a directory; take it away", path.display());
            }
        }
    }
}

/// What a directory holds, the last name first.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let wrong = || format!("cannot read {}", dir.display());
    let read = fs::read_dir(dir).with_context(wrong)?;
    let path = |entry: io::Result<DirEntry>| entry.map(|entry| entry.path());
    let mut paths: Vec<_> = read.map(path).collect::<io::Result<_>>().with_context(wrong)?;
    paths.retain(|path| !is_own(path));
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths)
}

fn is_own(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OsStr::as_bytes(name).starts_with(OWN.as_bytes()))
}

/// Whether a directory holds nothing.
pub(super) fn is_empty(dir: &Path) -> Result<bool> {
    let mut read = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    Ok(read.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn there_and_back(keys: &[Vec<u8>]) {
        let dir = tempfile::tempdir().unwrap();
        for (at, key) in keys.iter().enumerate() {
            fs::write(place(dir.path(), key).unwrap(), at.to_string()).unwrap();
        }
        let mut walk = Walk::new(dir.path()).unwrap();
        let mut found = BTreeMap::new();
        while let Some((key, path)) = walk.next().unwrap() {
            found.insert(key, fs::read_to_string(path).unwrap());
        }
        let told = |(at, key): (usize, &Vec<u8>)| (key.clone(), at.to_string());
        assert_eq!(found, keys.iter().enumerate().map(told).collect());
    }

    #[test]
    fn keys_of_any_bytes_are_files_and_come_back() {
        let keys: Vec<Vec<u8>> = [
            "a",
            "a/b",
            "a/b/c",
            "a%f",
            "a%-",
            "/",
            "//",
            "/a",
            "a/",
            ".",
            "..",
            "../..",
            ".env",
            "a/../b",
            "%_",
            "%",
            "a b",
            "grün",
            "CON",
            "a\0b",
            "~",
            "a/.kvraft-export",
        ]
        .map(|key| key.as_bytes().to_vec())
        .into_iter()
        .chain([vec![0xff; 511], vec![b'x'; 511], vec![b'/'; 511]])
        .collect();
        there_and_back(&keys);
        let mut backwards = keys;
        backwards.reverse();
        there_and_back(&backwards);
    }

    #[test]
    fn random_keys_of_hard_bytes_come_back() {
        let mut random = fastrand::Rng::with_seed(7);
        let letters = [b'/', b'.', b'%', b'a', b'f', b'_', b'-', 0, 0xff];
        let mut keys: Vec<Vec<u8>> = (0..500)
            .map(|_| (0..random.usize(1..8)).map(|_| letters[random.usize(..9)]).collect())
            .collect();
        keys.sort();
        keys.dedup();
        there_and_back(&keys);
        random.shuffle(&mut keys);
        there_and_back(&keys);
    }

    #[test]
    fn no_key_leads_out_of_the_directory() {
        for key in ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "a\0/.."] {
            let names = names(key.as_bytes());
            let bad = |name: &String| name.starts_with('.') || name.contains(['/', '\0']);
            assert!(
                !names.iter().any(bad) && names.iter().all(|name| !name.is_empty()),
                "{names:?}"
            );
        }
    }

    #[test]
    fn a_link_and_a_name_that_is_no_key_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("100%"), "x").unwrap();
        assert!(Walk::new(dir.path()).unwrap().next().is_err());
        fs::remove_file(dir.path().join("100%")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert!(Walk::new(dir.path()).unwrap().next().is_err());
    }
}
