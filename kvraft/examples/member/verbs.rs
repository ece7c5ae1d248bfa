//! `Member` does what a line says.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use kvraft::{
    KeyRange, Lease, Lock, ReplicatedMap, Result, ScanOptions, Watch, WatchOptions, WriteOptions,
};
use tokio::sync::Mutex;

use crate::held::Held;
use crate::told;

/// How long a member waits for its turn to have a lock.
const TURN: Duration = Duration::from_secs(30);
/// How long it waits for the cluster.
const READY: Duration = Duration::from_secs(30);

/// The map, and what this process holds in it.
pub(crate) struct Member {
    map: ReplicatedMap,
    start: Instant,
    leases: Held<Lease>,
    locks: Held<Lock>,
    watches: Held<Mutex<Watch>>,
}

impl Member {
    pub(crate) fn new(map: ReplicatedMap) -> Self {
        let (leases, locks, watches) = (Held::new(), Held::new(), Held::new());
        Self { map, start: Instant::now(), leases, locks, watches }
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.map.close().await
    }

    /// Does what a line says, and returns the line that answers it.
    pub(crate) async fn run(&self, line: &str) -> Result<String> {
        let mut words = line.splitn(3, ' ');
        let words = (words.next().unwrap_or_default(), words.next(), words.next());
        let answer = match words {
            (verb, None, None) => self.look(verb).await?,
            (verb, Some(name), None) => self.one(verb, name).await?,
            (verb @ ("put" | "add" | "ttl" | "keep"), Some(key), Some(word)) => {
                self.change(verb, key, word).await?
            }
            (verb, Some(name), Some(word)) => self.two(verb, name, word).await?,
            (_, None, Some(_)) => None,
        };
        Ok(answer.unwrap_or_else(|| format!("error invalid_argument {line:?} says nothing here")))
    }

    /// What needs no name.
    async fn look(&self, verb: &str) -> Result<Option<String>> {
        let status = self.map.status();
        Ok(Some(match verb {
            "ready" => {
                self.map.wait_ready(READY).await?;
                "ok ready".to_owned()
            }
            "status" => {
                let leader = status.leader.unwrap_or_default();
                format!("ok {} {} {leader}", status.role.name(), status.term)
            }
            "refill" => {
                self.map.refill().await?;
                "ok".to_owned()
            }
            "log" => format!("ok {} {}", status.first_log, status.last_log),
            "hash" => format!("ok {} {}", status.applied, status.state_hash),
            "members" => format!("ok{}", told::words(status.members.iter().map(told::member))),
            "clock" => format!("ok {} {}", wall_ms(), self.start.elapsed().as_millis()),
            "all" => {
                let scan = self.map.scan(KeyRange::all(), ScanOptions::new()).await?;
                let entries: Vec<_> = scan.try_collect().await?;
                format!("ok{}", told::words(entries.iter().map(told::entry)))
            }
            _ => return Ok(None),
        }))
    }

    /// What needs the name of a key, a lock, a watch or a member.
    async fn one(&self, verb: &str, name: &str) -> Result<Option<String>> {
        Ok(match verb {
            "get" => Some(match self.map.get(name).await? {
                Some(value) => format!("ok {}", String::from_utf8_lossy(&value)),
                None => "none".to_owned(),
            }),
            "delete" => Some(format!("ok {}", self.map.delete(name).await?)),
            "promote" | "demote" | "remove" | "transfer" => {
                self.change_members(verb, name).await?;
                Some("ok changed".to_owned())
            }
            "held" => self.locks.get(name).map(|lock| format!("ok {}", lock.is_held())),
            "lost" => {
                let Some(lock) = self.locks.get(name) else { return Ok(None) };
                lock.lost().await;
                Some("ok lost".to_owned())
            }
            "unlock" => {
                let Some(lock) = self.locks.take(name) else { return Ok(None) };
                lock.unlock().await?;
                Some("ok unlocked".to_owned())
            }
            "next" => {
                let Some(watch) = self.watches.get(name) else { return Ok(None) };
                let event = watch.lock().await.try_next().await?;
                event.map(|event| format!("ok {}", told::line(event)))
            }
            _ => None,
        })
    }

    /// What changes the membership.
    async fn change_members(&self, verb: &str, name: &str) -> Result<()> {
        match verb {
            "promote" => self.map.promote(name).await,
            "demote" => self.map.demote(name).await,
            "remove" => self.map.remove_member(name).await,
            _ => self.map.transfer_leadership(Some(name)).await,
        }
    }

    /// What changes a key.
    async fn change(&self, verb: &str, key: &str, word: &str) -> Result<Option<String>> {
        let options = WriteOptions::new();
        Ok(Some(match verb {
            "put" => format!("ok {}", self.map.put(key, word).await?),
            "add" => {
                let once = options.request_id(word);
                format!("ok {}", self.map.increment_with(key, 1, once).await?.value)
            }
            "ttl" => {
                let short = options.ttl(duration(word));
                format!("ok {}", self.map.put_with(key, "short", short).await?.revision)
            }
            "keep" => {
                let lease = self.map.lease(duration(word)).await?;
                let put = self.map.put_with(key, "kept", options.lease(lease.id())).await?;
                self.leases.hold(key, lease);
                format!("ok {}", put.revision)
            }
            _ => return Ok(None),
        }))
    }

    /// What begins to hold something, or uses it.
    async fn two(&self, verb: &str, name: &str, word: &str) -> Result<Option<String>> {
        Ok(match verb {
            "lock" => {
                let lock = self.map.lock_within(name, duration(word), TURN).await?;
                let token = lock.token();
                self.locks.hold(name, lock);
                Some(format!("ok {token}"))
            }
            "write" => self.locks.get(name).map(|lock| format!("ok {} {word}", lock.token())),
            "watch" => {
                let options = match word.parse() {
                    Ok(revision) => WatchOptions::new().from(revision),
                    Err(_) => WatchOptions::new().resync(),
                };
                let watch = self.map.watch(KeyRange::all(), options).await?;
                self.watches.hold(name, Mutex::new(watch));
                Some("ok watching".to_owned())
            }
            _ => None,
        })
    }
}

/// What is no duration is one that the map refuses.
fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "tells what a test has made of the wall clock")]
fn wall_ms() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}
