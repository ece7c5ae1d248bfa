//! `Trio` is three members as processes of their own.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::process::{Process, free_addresses, settings};

/// The secret of a protected cluster, as a setting.
pub(crate) const SECRET: (&str, &str) = ("cluster_secret", "0123456789abcdef0123456789abcdef");

/// Three members of one cluster; their number is their place in `processes`.
pub(crate) struct Trio {
    pub(crate) dir: TempDir,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) processes: Vec<Process>,
    pub(crate) extra: Vec<(&'static str, String)>,
}

impl Trio {
    /// Starts three members with these settings beside those that make them a cluster.
    pub(crate) fn start(extra: &[(&'static str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let addresses = free_addresses(3);
        let extra = extra.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut trio = Self { dir, addresses, processes: Vec::new(), extra };
        for n in 0..3 {
            let process = trio.open(n);
            trio.processes.push(process);
        }
        trio.all_ready();
        trio
    }

    pub(crate) fn open(&self, n: usize) -> Process {
        Process::start(&self.settings(n)).expect("it opens")
    }

    /// The settings of member `n`.
    pub(crate) fn settings(&self, n: usize) -> Vec<(&'static str, String)> {
        let mut settings = settings(self.dir.path(), &self.addresses, n);
        settings.extend(self.extra.iter().cloned());
        settings
    }

    pub(crate) fn all_ready(&mut self) {
        for process in &mut self.processes {
            assert_eq!(process.ask("ready"), "ok ready");
        }
    }

    pub(crate) fn leader(&mut self) -> usize {
        let leads = |process: &mut Process| process.ask("status").starts_with("ok leader");
        (0..3).find(|n| leads(&mut self.processes[*n])).expect("a leader")
    }
}
