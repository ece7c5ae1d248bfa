//! Workers that know of each other and share one job: a lease, a watch and a lock at work.
//!
//! One member stores everything; the workers are clients of it, as processes elsewhere would be.
//!
//! ```sh
//! cargo run --example workers
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use futures_util::TryStreamExt as _;
use kvraft::{
    ClientConfig, Config, KeyRange, ReplicatedMap, Result, WatchEvent, WatchOptions, WriteOptions,
};

#[tokio::main]
async fn main() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("kvraft-workers-{}", std::process::id()));
    // Anything of 32 bytes and more; `kvraft-server gen-secret` makes a good one.
    let secret = format!("{:032x}", std::process::id());
    let config = Config::new(&dir).listen("127.0.0.1:0").cluster_secret(&secret);
    let map = ReplicatedMap::open(config).await?;
    map.wait_ready(Duration::from_secs(10)).await?;
    let member = map.status().members.remove(0).address;
    // Before anybody is there, so that nobody is missed.
    let mut watch = map.watch(KeyRange::prefix("workers/"), WatchOptions::new()).await?;
    let client =
        |n| ClientConfig::new([&member]).name(format!("worker-{n}")).cluster_secret(&secret);
    let workers: Vec<_> = (1..=3).map(|n| tokio::spawn(work(client(n), n))).collect();
    let (mut there, mut gone) = (0, 0);
    while gone < workers.len() {
        let Some(WatchEvent::Changes { revision, changes }) = watch.try_next().await? else {
            continue;
        };
        for change in changes {
            let key = String::from_utf8_lossy(&change.key).into_owned();
            if change.entry.is_some() {
                there += 1;
            } else {
                there -= 1;
                gone += 1;
            }
            println!("revision {revision}: {key}, {there} at work");
        }
    }
    println!("the job was done {} times", map.increment("jobs", 0).await?);
    map.close().await?;
    // What stays behind is a directory of the system's temporary files.
    drop(std::fs::remove_dir_all(&dir));
    Ok(())
}

/// Is known for as long as it works, and does the job when it is its turn.
async fn work(config: ClientConfig, n: u32) -> Result<()> {
    let map = ReplicatedMap::connect(config).await?;
    let lease = map.lease(Duration::from_secs(5)).await?;
    let known = WriteOptions::new().lease(lease.id());
    map.put_with(format!("workers/{n}"), "at work", known).await?;
    let turn = map.lock("job", Duration::from_secs(5)).await?;
    println!("worker {n} has the job, with the token {}", turn.token());
    map.increment("jobs", 1).await?;
    turn.unlock().await?;
    lease.revoke().await
}
