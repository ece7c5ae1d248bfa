//! `Events` are server-sent events, read out of an answer as it comes.

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::client::{Answer, Broke};

/// The longest event: a transaction of the largest values, in the longest form that JSON has.
const MOST: usize = 512 << 20;

/// One event.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    /// The id: a revision, or nothing if there is none to go on from. `None` leaves it as it was.
    pub(super) id: Option<Option<u64>>,
    pub(super) data: Value,
}

/// What has come of an answer.
#[derive(Debug)]
pub(super) struct Events {
    answer: Answer,
    buffer: Vec<u8>,
    /// Where in the buffer the next event may end at the earliest.
    seen: usize,
}

impl Events {
    pub(super) const fn of(answer: Answer) -> Self {
        Self { answer, buffer: Vec::new(), seen: 0 }
    }

    /// The next event; nothing if the node has ended them. Comments keep it waiting.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Broke> {
        loop {
            while let Some(end) = self.end() {
                let text: Vec<u8> = self.buffer.drain(..end + 2).collect();
                self.seen = 0;
                if let Some(event) = parse(&text)? {
                    return Ok(Some(event));
                }
            }
            let Some(bytes) = self.answer.chunk().await? else { return Ok(None) };
            if self.buffer.len() + bytes.len() > MOST {
                return Err(Broke::Finally(anyhow!("an event has more than {MOST} bytes")));
            }
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// Where the first whole event in the buffer ends.
    fn end(&mut self) -> Option<usize> {
        let from = self.seen;
        let rest = self.buffer.get(from..).unwrap_or_default();
        let end = rest.windows(2).position(|two| two == b"\n\n").map(|at| from + at);
        self.seen = self.buffer.len().saturating_sub(1);
        end
    }
}

/// Reads one event; nothing if it is but a comment.
fn parse(text: &[u8]) -> anyhow::Result<Option<Event>> {
    let text = str::from_utf8(text).context("a node has sent an event that is not text")?;
    let (mut name, mut id, mut data) = (String::new(), None, String::new());
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push_str(value),
            "id" => id = Some(value.parse().ok()),
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data).context("a node has sent an event that is not JSON")?;
    Ok(Some(Event { name, id, data }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_a_name_an_id_and_data_and_a_comment_has_none() {
        let event = parse(b"id: 12\nevent: changes\ndata: {\"revision\":12}\n\n").unwrap().unwrap();
        let data = json!({ "revision": 12 });
        assert_eq!(event, Event { name: "changes".to_owned(), id: Some(Some(12)), data });
        let event = parse(b"id:\nevent: snapshot-begin\ndata: {}\n\n").unwrap().unwrap();
        assert_eq!(event.id, Some(None));
        let event = parse(b"event: error\ndata: {}\n\n").unwrap().unwrap();
        assert_eq!(event.id, None);
        assert_eq!(parse(b": quiet\n\n").unwrap(), None);
        assert!(parse(b"data: x\n\n").is_err());
    }
}
