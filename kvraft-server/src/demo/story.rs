//! The story of the demo: files go in, the leader dies, every file comes out again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::client::{Client, Failure};
use super::cluster::{Cluster, Node};
use super::corpus::File;
use super::stop::Stop;

/// How long one file is put or read again before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the number of acknowledged files is looked at while waiting for half of them.
const LOOK: Duration = Duration::from_millis(1);

/// What happens to whom.
#[derive(Debug)]
pub struct Story<'a> {
    /// The nodes.
    pub cluster: &'a mut Cluster,
    /// What is put.
    pub files: &'a [File],
    /// How many put and read at a time.
    pub clients: usize,
    /// Ends it early.
    pub stop: &'a Stop,
}

/// How loading went.
#[derive(Debug)]
pub struct Loaded {
    /// The node that was killed: its place among the nodes.
    pub killed: usize,
    /// From the kill to the next acknowledged put.
    pub failover: Duration,
    /// How long all puts took, the kill included.
    pub took: Duration,
}

impl Story<'_> {
    /// Puts every file, and kills the leader as soon as half of them are acknowledged. When it
    /// returns, every file is acknowledged.
    ///
    /// # Errors
    /// If a file could not be put for too long.
    pub fn load_and_kill(&mut self) -> Result<Loaded> {
        let urls = self.cluster.urls();
        let (next, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (files, stop, clients) = (self.files, self.stop, self.clients);
        let begin = Instant::now();
        thread::scope(|scope| {
            let work = |first: usize| {
                let (next, acknowledged, urls) = (&next, &acknowledged, &urls);
                move || {
                    let mut putter = Putter::new(urls, first);
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        putter.put(file, stop)?;
                        acknowledged.fetch_add(1, Ordering::Release);
                    }
                    Ok(())
                }
            };
            let workers: Vec<_> = (0..clients).map(|first| scope.spawn(work(first))).collect();
            while acknowledged.load(Ordering::Acquire) < files.len() / 2
                && !workers.iter().all(ScopedJoinHandle::is_finished)
                && !stop.pause(LOOK)
            {}
            let killed = self.cluster.leader(stop)?;
            self.cluster.kill(killed);
            let failover = self.time_to_next_put()?;
            finish(workers)?;
            Ok(Loaded { killed, failover, took: begin.elapsed() })
        })
    }

    /// Puts a file that is being put anyway, through those who are left.
    fn time_to_next_put(&self) -> Result<Duration> {
        let begin = Instant::now();
        let file = self.files.first().context("no files")?;
        Putter::new(&self.cluster.urls(), 0).put(file, self.stop)?;
        Ok(begin.elapsed())
    }

    /// Reads every file through one node, and compares it byte for byte.
    ///
    /// # Errors
    /// Names the first file that is absent, differs, or could not be read for too long.
    pub fn read_back(&self, node: &Node) -> Result<Duration> {
        let begin = Instant::now();
        let next = AtomicUsize::new(0);
        let (url, client) = (node.url(), Client::default());
        let work = || {
            while let Some(file) = self.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let name = String::from_utf8_lossy(&file.key);
                let what = format!("read {name} from {}", node.name());
                let value = self.stop.retry(&what, PATIENCE, || client.get(&url, &file.key))?;
                same(file, value.as_deref()).with_context(|| what)?;
            }
            Ok(())
        };
        thread::scope(|scope| finish((0..self.clients).map(|_| scope.spawn(work)).collect()))?;
        Ok(begin.elapsed())
    }
}

/// Waits for all, and returns the first error.
fn finish(workers: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    let mut done = Ok(());
    for worker in workers {
        let worked = worker.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")));
        done = done.and(worked);
    }
    done
}

fn same(file: &File, value: Option<&[u8]>) -> Result<()> {
    match value {
        Some(value) if value == file.value => Ok(()),
        Some(value) => {
            bail!("{} bytes went in, {} other ones came out", file.value.len(), value.len())
        }
        None => bail!("it was acknowledged and is gone"),
    }
}

/// Puts through one node until it fails, then through the next.
struct Putter<'a> {
    client: Client,
    urls: &'a [String],
    at: usize,
}

impl<'a> Putter<'a> {
    fn new(urls: &'a [String], first: usize) -> Self {
        Self { client: Client::default(), urls, at: first }
    }

    fn put(&mut self, file: &File, stop: &Stop) -> Result<()> {
        let what = format!("put {}", String::from_utf8_lossy(&file.key));
        stop.retry(&what, PATIENCE, || {
            let url = self.urls.iter().cycle().nth(self.at % self.urls.len().max(1));
            let url = url.ok_or_else(|| Failure::Final("no node is left".to_owned()))?;
            let put = self.client.put(url, &file.key, &file.value);
            if put.is_err() {
                self.at += 1;
            }
            put
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judge_sees_an_absent_and_a_changed_value() {
        let file = File { key: b"k".to_vec(), value: b"value".to_vec() };
        assert!(same(&file, Some(b"value")).is_ok());
        for wrong in [None, Some(&b"valuf"[..]), Some(b"valu"), Some(b"")] {
            assert!(same(&file, wrong).is_err(), "{wrong:?}");
        }
    }
}
