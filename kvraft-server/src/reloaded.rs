//! `Reloaded` is what some files say, as they say it now.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are read again. They are small, and their times are not to be trusted: a
/// file can be replaced twice within what a file system takes for one moment.
const RECHECK: Duration = Duration::from_secs(2);

/// A file as it was read, or why it could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    read: Result<Vec<u8>, String>,
}

impl Content {
    fn read(path: &Path) -> Self {
        let read = std::fs::read(path).map_err(|error| error.to_string());
        Self { path: path.to_owned(), read }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Result<&[u8]> {
        let wrong = |error: &String| anyhow!("cannot read {}: {error}", self.path.display());
        self.read.as_deref().map_err(wrong)
    }

    #[cfg(test)]
    pub(crate) fn of(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.into(), read: Ok(bytes.to_owned()) }
    }
}

/// What is made of files, made anew when they change. Files that cannot be used leave what was
/// made of the former ones.
#[derive(Debug)]
pub(crate) struct Reloaded<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    make: fn(&[Content]) -> Result<T>,
    current: RwLock<Arc<T>>,
    seen: Mutex<Vec<Content>>,
}

impl<T> Reloaded<T> {
    /// Reads the files for the first time.
    pub(crate) fn open(
        what: &'static str,
        files: Vec<PathBuf>,
        make: fn(&[Content]) -> Result<T>,
    ) -> Result<Self> {
        let seen: Vec<_> = files.iter().map(|path| Content::read(path)).collect();
        let current = RwLock::new(Arc::new(make(&seen).context(what)?));
        Ok(Self { what, files, make, current, seen: Mutex::new(seen) })
    }

    /// What the files say.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What can look at its files again.
pub(crate) trait Reload: Send + Sync {
    /// Takes changed files over, and says in the log what came of it, once for each change.
    fn reload(&self);
}

impl<T: Send + Sync> Reload for Reloaded<T> {
    fn reload(&self) {
        // Held to the end, so that nobody puts older files over newer ones.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now: Vec<_> = self.files.iter().map(|path| Content::read(path)).collect();
        if *seen == now {
            return;
        }
        match (self.make)(&now) {
            Ok(made) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
                tracing::info!(setting = self.what, "took changed files over");
            }
            Err(error) => tracing::error!(
                setting = self.what,
                "changed files cannot be used, what the former ones said stays: {error:#}"
            ),
        }
        *seen = now;
    }
}

/// Looks at the files again and again, and at once on SIGHUP, which `on_hangup` waits for; for as long
/// as the server runs.
pub(crate) async fn follow(all: Vec<Arc<dyn Reload>>, on_hangup: Arc<dyn Reload>) -> Result<()> {
    // Taken over even if there is nothing to read: it would end the process by itself.
    let mut hangup = signal(SignalKind::hangup()).context("cannot take over the signals")?;
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => Some(&on_hangup),
            () = tokio::time::sleep(RECHECK), if !all.is_empty() => None,
        };
        if asked.is_some() {
            tracing::info!("SIGHUP: looking at the files again");
        }
        for one in asked.into_iter().chain(&all) {
            let one = Arc::clone(one);
            tokio::task::spawn_blocking(move || one.reload()).await.context("cannot read files")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_taken_over_and_unusable_ones_leave_what_was() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("1"), dir.path().join("2"));
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(&one, "1");
        write(&other, "2");
        let sum = |files: &[Content]| {
            files.iter().try_fold(0_u32, |sum, file| {
                Ok(sum + str::from_utf8(file.bytes()?)?.trim().parse::<u32>()?)
            })
        };
        let reloaded = Reloaded::open("sum", vec![one.clone(), other.clone()], sum).unwrap();
        assert_eq!(*reloaded.current(), 3);
        for (text, wanted) in [("5", 7), ("x", 7), ("6", 8)] {
            write(&one, text);
            reloaded.reload();
            assert_eq!(*reloaded.current(), wanted);
        }
        std::fs::remove_file(&other).unwrap();
        reloaded.reload();
        assert_eq!(*reloaded.current(), 8);
        assert!(Reloaded::open("sum", vec![one, other], sum).is_err());
    }
}
