//! A member as a process of its own: settings as arguments, commands on standard input.
//!
//! ```sh
//! cargo run --example member -- data_dir=./a
//! ```
//! Then type lines, each of which is answered by one: `ok …`, `none`, or `error KIND TEXT`. They run
//! side by side, and each answer begins with the number of its line. They are:
//! - `put KEY VALUE`, `get KEY`, `delete KEY`, `all` (every entry), `add KEY ID` (counts one, and
//!   once for each request id);
//! - `ttl KEY TTL` (a value that goes after that time), `keep KEY TTL` (one with a lease that this
//!   process keeps alive);
//! - `lock NAME TTL` (waits for its turn, answers the fencing token), `held NAME`, `lost NAME`
//!   (waits), `unlock NAME`, `write NAME TEXT` (what the holder sends to a store: token and text);
//! - `watch NAME REVISION` (everything from it on) or `watch NAME resync`, then `next NAME`;
//! - `promote NAME`, `demote NAME`, `remove NAME`, `transfer NAME`, `members` (each with its node id,
//!   and a star behind that of a voter);
//! - `refill` (fetches its state from another member);
//! - `ready`, `status`, `log` (the indexes of its first and last entry), `hash` (the index of the last
//!   entry applied, and the hash of all that is replicated), `clock` (milliseconds of the
//!   wall clock, and since the start by the monotonic one), `close`.

mod held;
mod told;
mod verbs;

use std::io::Write;
use std::sync::Arc;

use kvraft::{Config, Error, ReplicatedMap};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::verbs::Member;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    let member = match ReplicatedMap::open(config(std::env::args().skip(1))?).await {
        Ok(map) => Arc::new(Member::new(map)),
        Err(error) => {
            answer(0, &failure(&error));
            return Err(error.into());
        }
    };
    answer(0, "ok open");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0;
    while let Some(line) = lines.next_line().await? {
        number += 1;
        if line == "close" {
            member.close().await?;
            answer(number, "ok closed");
            return Ok(());
        }
        let member = Arc::clone(&member);
        tokio::spawn(async move {
            answer(number, &member.run(&line).await.unwrap_or_else(|error| failure(&error)));
        });
    }
    Ok(())
}

/// Makes settings of `name=value` texts.
fn config(settings: impl Iterator<Item = String>) -> Result<Config, Box<dyn std::error::Error>> {
    let mut config = Config::new("");
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("arguments are name=value")?;
        match name {
            // No setting for users: it makes snapshots due before gigabytes are written.
            "log_keep_bytes" => config = config.log_keep_bytes(value.parse()?),
            name => config.set(name, value)?,
        }
    }
    Ok(config)
}

fn failure(error: &Error) -> String {
    format!("error {} {error}", error.kind())
}

/// One line at once, so that answers of different commands do not mix.
fn answer(number: u64, text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more if this fails, and the next read of the input ends the process.
    drop(writeln!(out, "{number} {text}").and_then(|()| out.flush()));
}
