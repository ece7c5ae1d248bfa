//! `watch` tells changes as they happen, over breaks and from one node to the next.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::header::HeaderName;
use serde_json::Value;

use super::events::{Event, Events};
use super::out::{self, Out, shown};
use super::range::{self, Range};
use super::snapshot::{QUIET, revision_now};
use super::switch;
use crate::client::{Answer, Base, Broke, Client, Failure, Kind, Request};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A connection that lasted so long was not in vain, even if there was nothing to tell.
const LASTING: Duration = Duration::from_secs(10);

pub(super) fn command() -> Command {
    Command::new("watch")
        .about("Tell changes as they happen, until Ctrl-C")
        .after_help(
            "Every change is told once and in order, also when the node is lost: another one goes \
             on after the last revision that was told. Changes that no node holds any more end it \
             with exit code 1, unless --resync has all entries told anew.",
        )
        .arg(range::key_arg().conflicts_with_all(["prefix", "start", "end"]))
        .args(Range::args())
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("REVISION")
                .value_parser(value_parser!(u64))
                .help("From this revision on [default: from now]"),
        )
        .arg(switch("previous", "Tell also what was there before"))
        .arg(switch("resync", "Tell all entries first, and again whenever changes were missed"))
        .arg(
            Arg::new("count")
                .long("count")
                .value_name("COUNT")
                .value_parser(value_parser!(u64).range(1..))
                .help("End after so many events: one a revision, and three or more a snapshot"),
        )
}

/// From where it goes on.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At this revision.
    From(u64),
    /// After this one, which was told.
    After(u64),
    /// With all entries.
    Anew,
}

struct Watching<'a> {
    place: Place,
    left: u64,
    out: &'a mut Out,
    /// How often in a row a connection broke at once, and with nothing told.
    in_vain: u32,
}

/// How a connection ended.
enum Ended {
    Enough,
    Broke(Base, String),
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let key = range::bytes(matches, "key")?;
    let range = Range::read(matches)?;
    let resync = matches.get_flag("resync");
    let place = match matches.get_one::<u64>("from") {
        Some(from) => Place::From(*from),
        None if resync => Place::Anew,
        // A connection that breaks before its first event must not begin at a later now.
        None => Place::From(revision_now(client).await? + 1),
    };
    let left = matches.get_one::<u64>("count").copied().unwrap_or(u64::MAX);
    let watching = RefCell::new(Watching { place, left, out, in_vain: 0 });
    loop {
        let request = Request::get("/watch")
            .maybe("key", key.as_ref())
            .switch("previous", matches.get_flag("previous"))
            .switch("resync", resync);
        let request = range.of(request).streamed(QUIET);
        let request = match watching.borrow().place {
            Place::From(revision) => request.with("from", revision.to_string()),
            Place::After(revision) => request.header(LAST_EVENT_ID, revision.to_string())?,
            Place::Anew => request,
        };
        let ended = client.send(&request, async |answer| follow(answer, &watching).await).await?;
        match ended {
            Ended::Enough => return Ok(()),
            Ended::Broke(base, why) => {
                watching.borrow_mut().in_vain += 1;
                if watching.borrow().in_vain > client.retries() {
                    let text = format!("gave up: the watch breaks again and again; {base} {why}");
                    return Err(Failure::new(Kind::Unavailable, text).into());
                }
                client.broke_off(&base);
            }
        }
    }
}

/// Tells events until the connection breaks or there were enough.
async fn follow(answer: Answer, watching: &RefCell<Watching<'_>>) -> Result<Ended, Broke> {
    let base = answer.base.clone();
    let (mut events, begun) = (Events::of(answer), Instant::now());
    loop {
        let event = events.next().await;
        if event.as_ref().is_ok_and(Option::is_some) || begun.elapsed() > LASTING {
            watching.borrow_mut().in_vain = 0;
        }
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Ended::Broke(base, "has ended the watch".to_owned())),
            Err(Broke::Off(why)) => return Ok(Ended::Broke(base, why)),
            Err(broke @ Broke::Finally(_)) => return Err(broke),
        };
        let mut watching = watching.borrow_mut();
        if event.name == "error" {
            return last_word(base, &event).map_err(Broke::Finally);
        }
        if watching.tell(&event)? {
            return Ok(Ended::Enough);
        }
    }
}

/// The last event of a watch: whether it may go on elsewhere.
fn last_word(base: Base, event: &Event) -> Result<Ended> {
    let text = |name| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "urn:kvraft:unavailable" | "urn:kvraft:closed" | "urn:kvraft:overloaded" => {
            Ok(Ended::Broke(base, text("detail").to_owned()))
        }
        _ => Err(Failure::no(format!("{base} ends the watch: {}", text("detail")))),
    }
}

impl Watching<'_> {
    /// Tells one event, unless it was told before; returns whether it was the last one.
    fn tell(&mut self, event: &Event) -> Result<bool> {
        if let (Place::After(told), Some(Some(id))) = (self.place, event.id)
            && event.name == "changes"
            && id <= told
        {
            return Ok(false);
        }
        if self.out.json {
            let mut data = event.data.clone();
            if let Some(fields) = data.as_object_mut() {
                fields.insert("event".to_owned(), event.name.as_str().into());
            }
            self.out.document(&data)?;
        } else {
            self.lines(event)?;
        }
        self.out.flush()?;
        match event.id {
            Some(Some(revision)) => self.place = Place::After(revision),
            Some(None) => self.place = Place::Anew,
            None => {}
        }
        self.left -= 1;
        Ok(self.left == 0)
    }

    fn lines(&mut self, event: &Event) -> Result<()> {
        let list = |name| event.data.get(name).and_then(Value::as_array).into_iter().flatten();
        for change in list("changes").chain(list("entries")) {
            let key = shown(&out::key_of(change)?);
            let revision = change.get("revision").or_else(|| event.data.get("revision"));
            let revision = revision.and_then(Value::as_u64).unwrap_or_default();
            match out::bytes(change, "body") {
                Some(value) => self.out.line(&format!("{revision} put {key} {}", shown(&value)))?,
                None => self.out.line(&format!("{revision} delete {key}"))?,
            }
        }
        if event.name != "changes" && event.name != "snapshot-entries" {
            self.out.line(&format!(
                "{} {}",
                event.data.get("revision").unwrap_or(&Value::Null),
                event.name
            ))?;
        }
        Ok(())
    }
}
