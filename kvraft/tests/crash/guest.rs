//! What the tests of the membership need beside a trio: guests, and answers that may be waited for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::TryRecvError;

use crate::process::Process;
use crate::trio::Trio;

impl Trio {
    /// The settings of a node that is no founder and joins under this name, with an empty directory.
    pub(crate) fn guest(&self, name: &str, at: SocketAddr) -> Vec<(&'static str, String)> {
        let join: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let path = self.dir.path().join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        let mut settings = vec![
            ("data_dir", path.display().to_string()),
            ("name", name.to_owned()),
            ("listen", at.to_string()),
            ("join", join.join(",")),
        ];
        settings.extend(self.extra.iter().cloned());
        settings
    }

    /// The data directory of member `n`.
    pub(crate) fn path(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("n{n}"))
    }
}

impl Process {
    /// Returns the answer to a command if it is there.
    pub(crate) fn answered(&mut self, number: u64) -> Option<String> {
        loop {
            if let Some(text) = self.early.remove(&number) {
                return Some(text);
            }
            match self.answers.try_recv() {
                Ok((other, text)) => drop(self.early.insert(other, text)),
                Err(TryRecvError::Disconnected) => return Some("gone".to_owned()),
                Err(TryRecvError::Empty) => return None,
            }
        }
    }
}
