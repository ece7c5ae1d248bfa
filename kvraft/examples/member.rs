//! A member as a process of its own: settings as arguments, commands on standard input.
//!
//! ```sh
//! cargo run --example member -- data_dir=./a
//! ```
//! Then type `put KEY VALUE`, `get KEY`, `delete KEY`, `ttl KEY TTL` (a value that goes after that
//! time), `keep KEY TTL` (one with a lease that this process keeps alive), `status` or `close`; each
//! line is answered by one line: `ok …`, `none`, or `error KIND TEXT`. Writes run side by side, and each answer begins
//! with the number of its line.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvraft::{Config, Lease, ReplicatedMap, Result, WriteOptions};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    let mut config = Config::new("");
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or("arguments are name=value")?;
        config.set(name, value)?;
    }
    let map = match ReplicatedMap::open(config).await {
        Ok(map) => Arc::new(map),
        Err(error) => {
            answer(0, &format!("error {} {error}", error.kind()));
            return Err(error.into());
        }
    };
    answer(0, "ok open");
    let leases = Arc::new(Mutex::new(Vec::new()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0;
    while let Some(line) = lines.next_line().await? {
        number += 1;
        if line == "close" {
            map.close().await?;
            answer(number, "ok closed");
            return Ok(());
        }
        let (map, leases) = (map.clone(), Arc::clone(&leases));
        tokio::spawn(async move {
            let text = run(&map, &leases, &line)
                .await
                .unwrap_or_else(|error| format!("error {} {error}", error.kind()));
            answer(number, &text);
        });
    }
    Ok(())
}

async fn run(map: &ReplicatedMap, leases: &Mutex<Vec<Lease>>, line: &str) -> Result<String> {
    let mut words = line.splitn(3, ' ');
    Ok(match (words.next(), words.next(), words.next()) {
        (Some("put"), Some(key), Some(value)) => format!("ok {}", map.put(key, value).await?),
        (Some("get"), Some(key), None) => match map.get(key).await? {
            Some(value) => format!("ok {}", String::from_utf8_lossy(&value)),
            None => "none".to_owned(),
        },
        (Some("delete"), Some(key), None) => format!("ok {}", map.delete(key).await?),
        (Some("ttl"), Some(key), Some(ttl)) => {
            let ttl = WriteOptions::new().ttl(duration(ttl));
            format!("ok {}", map.put_with(key, "short", ttl).await?.revision)
        }
        (Some("keep"), Some(key), Some(ttl)) => {
            let lease = map.lease(duration(ttl)).await?;
            let options = WriteOptions::new().lease(lease.id());
            let put = map.put_with(key, "kept", options).await?;
            // A panic elsewhere leaves a list of leases as it was.
            leases.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lease);
            format!("ok {}", put.revision)
        }
        (Some("ready"), None, None) => {
            map.wait_ready(Duration::from_secs(30)).await?;
            "ok ready".to_owned()
        }
        (Some("status"), None, None) => {
            let status = map.status();
            format!(
                "ok {} {} {}",
                status.role.name(),
                status.term,
                status.leader.unwrap_or_default()
            )
        }
        _ => "error invalid_argument put KEY VALUE, get, delete, ttl KEY TTL, keep, ready, status or close"
            .to_owned(),
    })
}

/// What is no duration is one that the map refuses.
fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_default()
}

/// One line at once, so that answers of different commands do not mix.
fn answer(number: u64, text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more if this fails, and the next read of the input ends the process.
    drop(writeln!(out, "{number} {text}").and_then(|()| out.flush()));
}
