//! A snapshot: all entries of a range as they were at one moment.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::events::Events;
use super::range::Range;
use crate::client::{Answer, Broke, Client, Failure, Kind, Request};

/// Nodes say every fifteen seconds that they are there.
pub(super) const QUIET: Duration = Duration::from_secs(45);

/// The revision that the map has now, read linearizably.
pub(super) async fn revision_now(client: &Client) -> Result<u64> {
    let request = Request::get("/keys").with("limit", "1").with("consistency", "linearizable");
    let page = client.json(&request).await?;
    page.get("revision").and_then(Value::as_u64).context("a node has sent a page that is none")
}

/// Gives `sink` each entry of one moment, which is not before now. Returns the revision of it.
///
/// Once `sink` has had an entry, a break is final: another attempt would be another moment.
pub(super) async fn read(
    client: &Client,
    range: &Range,
    sink: impl FnMut(&Value) -> Result<()>,
) -> Result<u64> {
    let now = revision_now(client).await?;
    let request = range.of(Request::get("/watch").with("resync", "true")).streamed(QUIET);
    let sink = RefCell::new(Sink { sink, begun: false });
    client
        .send(&request, async |answer: Answer| {
            let taken = take(answer, now, &sink).await;
            match taken {
                Err(Broke::Off(why)) if sink.borrow().begun => Err(Broke::Finally(
                    Failure::new(
                        Kind::Unavailable,
                        format!("the snapshot broke off, what was written is not whole: {why}"),
                    )
                    .into(),
                )),
                taken => taken,
            }
        })
        .await
}

struct Sink<S> {
    sink: S,
    begun: bool,
}

async fn take<S: FnMut(&Value) -> Result<()>>(
    answer: Answer,
    now: u64,
    sink: &RefCell<Sink<S>>,
) -> Result<u64, Broke> {
    let mut events = Events::of(answer);
    loop {
        let Some(event) = events.next().await? else {
            return Err(Broke::Off("the node has ended the snapshot".to_owned()));
        };
        let revision = event.data.get("revision").and_then(Value::as_u64).unwrap_or_default();
        match event.name.as_str() {
            "snapshot-begin" if revision < now => {
                return Err(Broke::Off(format!("is at revision {revision}, and not yet at {now}")));
            }
            "snapshot-begin" if sink.borrow().begun => {
                return Err(Broke::Off("the node has begun anew".to_owned()));
            }
            "snapshot-begin" => {}
            "snapshot-entries" => {
                let mut sink = sink.borrow_mut();
                sink.begun = true;
                let entries = event.data.get("entries").and_then(Value::as_array);
                for entry in entries.into_iter().flatten() {
                    (sink.sink)(entry)?;
                }
            }
            "snapshot-end" => return Ok(revision),
            "error" => {
                let said = event.data.get("detail").and_then(Value::as_str).unwrap_or_default();
                return Err(Broke::Off(said.to_owned()));
            }
            other => return Err(Broke::Finally(anyhow!("{other} is no part of a snapshot"))),
        }
    }
}
