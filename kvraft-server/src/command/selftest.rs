//! `selftest` writes, reads and deletes keys of its own through each node.

use anyhow::{Context as _, Result, ensure};
use clap::Command;
use hyper::Method;
use serde_json::{Value, json};

use super::out::Out;
use crate::client::{Client, Failure, Options, Payload, Request, failure_of, segment};
use crate::secret;

/// What is left behind by a test that was killed goes away by itself.
const TTL: &str = "10min";

pub(super) fn command() -> Command {
    Command::new("selftest")
        .about("Write, read and delete keys of its own through each node; exit with 0 or 1")
        .after_help(
            "The keys are below kvraft-selftest/ and a random name, and go away after ten minutes \
             even if this is killed. With several --url, each node reads what another has written.",
        )
}

pub(super) async fn run(options: &Options, out: &mut Out) -> Result<()> {
    let name = secret::generate()?;
    let prefix = format!("kvraft-selftest/{}/", name.get(..16).unwrap_or_default());
    let result = steps(options, &prefix, out).await;
    // Also after a failure; what cannot be deleted now goes away later.
    let cleared = clear(&Client::new(options)?, &prefix).await;
    result?;
    ensure!(cleared? == 0, "keys were left that should have been deleted");
    out.say("all of it works", &json!({ "passed": true }))
}

async fn steps(options: &Options, prefix: &str, out: &mut Out) -> Result<()> {
    let count = options.bases.len();
    let of = |at: usize| {
        let mut one = options.clone();
        one.bases = options.bases.get(at % count).cloned().into_iter().collect();
        Client::new(&one)
    };
    for at in 0..count {
        let base = options.bases.get(at).context("no node")?;
        let (here, there) = (of(at)?, of(at + 1)?);
        let key = format!("{prefix}{at}");
        let all = async {
            put_and_read(&here, &there, &key).await?;
            condition(&here, &key).await?;
            count_up(&here, &format!("{prefix}n{at}")).await?;
            listed(&there, &key).await?;
            delete(&here, &there, &key).await
        };
        all.await.with_context(|| format!("through {base}"))?;
        out.say(&format!("{base} works"), &json!({ "url": base.as_str(), "passed": true }))?;
        out.flush()?;
    }
    Ok(())
}

fn path(key: &str) -> String {
    format!("/key/{}", segment(key.as_bytes()))
}

fn write(method: Method, key: &str, value: &str) -> Result<Request> {
    let request = Request::write(method, path(key), None)?.with("ttl", TTL);
    Ok(request.payload(Payload::Bytes(value.to_owned().into())))
}

async fn put_and_read(here: &Client, there: &Client, key: &str) -> Result<()> {
    here.json(&write(Method::PUT, key, "value")?).await.context("put")?;
    let read = Request::get(path(key)).with("consistency", "linearizable");
    let entry = there.json(&read).await.context("get")?;
    ensure!(entry.get("body").and_then(Value::as_str) == Some("value"), "got {entry}");
    Ok(())
}

/// A write whose condition does not hold is refused.
async fn condition(here: &Client, key: &str) -> Result<()> {
    let request = write(Method::PUT, key, "other")?;
    let request = request.header(hyper::header::IF_NONE_MATCH, "*")?;
    match here.json(&request).await {
        Err(error) if status(&error) == Some(412) => Ok(()),
        Err(error) => Err(error).context("conditional put"),
        Ok(_) => Err(Failure::no("a condition that does not hold was ignored")),
    }
}

async fn count_up(here: &Client, key: &str) -> Result<()> {
    let body = json!({ "then": [
        { "op": "increment", "key": key, "delta": 1 },
    ]});
    here.json(&write(Method::PUT, key, "6")?).await.context("put")?;
    let request = Request::write(Method::POST, "/txn", None)?;
    let request = request.payload(Payload::Bytes(body.to_string().into()));
    let done = here.json(&request).await.context("transaction")?;
    let value = done.pointer("/results/0/value").and_then(Value::as_i64);
    ensure!(value == Some(7), "a transaction counted to {done}");
    Ok(())
}

async fn listed(there: &Client, key: &str) -> Result<()> {
    let request = Request::get("/keys").with("prefix", key).with("consistency", "linearizable");
    let page = there.json(&request).await.context("list")?;
    let first = page.pointer("/keys/0").and_then(Value::as_str);
    ensure!(first == Some(key), "a list has not what was put: {page}");
    Ok(())
}

async fn delete(here: &Client, there: &Client, key: &str) -> Result<()> {
    here.json(&Request::write(Method::DELETE, path(key), None)?).await.context("delete")?;
    let read = Request::get(path(key)).with("consistency", "linearizable");
    match there.json(&read).await {
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => Err(error).context("get"),
        Ok(entry) => Err(Failure::no(format!("what was deleted is there: {entry}"))),
    }
}

async fn clear(client: &Client, prefix: &str) -> Result<u64> {
    client.json(&Request::write(Method::DELETE, "/keys", None)?.with("prefix", prefix)).await?;
    let request = Request::get("/keys").with("prefix", prefix).with("count", "true");
    let left = client.json(&request.with("consistency", "linearizable")).await?;
    left.get("count").and_then(Value::as_u64).context("a node has not counted")
}

fn status(error: &anyhow::Error) -> Option<u16> {
    failure_of(error).and_then(|failure| failure.status)
}
