//! A member as a process of its own: settings as arguments, commands on standard input.
//!
//! ```sh
//! cargo run --example member -- data_dir=./a
//! ```
//! Then type `put KEY VALUE`, `get KEY`, `delete KEY`, `status` or `close`; each line is answered by
//! one line: `ok …`, `none`, or `error KIND TEXT`. Writes run side by side, and each answer begins
//! with the number of its line.

use std::io::Write;
use std::sync::Arc;

use kvraft::{Config, ReplicatedMap, Result};
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
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0;
    while let Some(line) = lines.next_line().await? {
        number += 1;
        if line == "close" {
            map.close().await?;
            answer(number, "ok closed");
            return Ok(());
        }
        let map = map.clone();
        tokio::spawn(async move {
            let text = run(&map, &line)
                .await
                .unwrap_or_else(|error| format!("error {} {error}", error.kind()));
            answer(number, &text);
        });
    }
    Ok(())
}

async fn run(map: &ReplicatedMap, line: &str) -> Result<String> {
    let mut words = line.splitn(3, ' ');
    Ok(match (words.next(), words.next(), words.next()) {
        (Some("put"), Some(key), Some(value)) => format!("ok {}", map.put(key, value).await?),
        (Some("get"), Some(key), None) => match map.get(key).await? {
            Some(value) => format!("ok {}", String::from_utf8_lossy(&value)),
            None => "none".to_owned(),
        },
        (Some("delete"), Some(key), None) => format!("ok {}", map.delete(key).await?),
        (Some("ready"), None, None) => {
            map.wait_ready(std::time::Duration::from_secs(30)).await?;
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
        _ => "error invalid_argument put KEY VALUE, get KEY, delete KEY, ready, status or close"
            .to_owned(),
    })
}

/// One line at once, so that answers of different commands do not mix.
fn answer(number: u64, text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more if this fails, and the next read of the input ends the process.
    drop(writeln!(out, "{number} {text}").and_then(|()| out.flush()));
}
