//! A watch of a client: it follows the changes at one member, and goes on at another.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::ask::{is_everywhere, unanswered};
use super::core::{Core, closed};
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Changes, Consistency, KeyRange, ReadOptions, ScanOptions};
use crate::proposal::Backoff;
use crate::runtime::run_on;
use crate::transport::{Answer, Exchange, Peer, Query};

/// How long a member may be silent: it says how far it has come every two seconds.
const SILENCE: Duration = Duration::from_secs(6);
/// The longest that one may be: changes that take a slow network as long as this are not followed.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// How long a member may take to begin.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
/// How long one search for a member to go on at lasts, before the next: each of a few members can
/// be asked, however short the calls of this client may be.
const SEARCH: Duration = Duration::from_secs(10);

/// Follows a range; it ends with the client, which it does not keep open.
pub(crate) struct Follower {
    core: Weak<Core>,
    handle: Handle,
    watched: Watched,
    /// The member that is followed now; none while another is looked for.
    exchange: Option<Exchange>,
    /// What came and was not taken yet.
    ready: Option<Changes>,
    _permit: OwnedSemaphorePermit,
}

/// What is watched, and how far it was told.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    range: KeyRange,
    previous: bool,
    /// The first revision that was not told yet; `None` before the watch has begun anywhere.
    next: Option<u64>,
    /// How long a member may be silent now.
    silence: Duration,
}

/// What came next, and from whom more is to come.
struct Part {
    exchange: Exchange,
    changes: Changes,
    pace: Pace,
}

/// What a part has shown of how fast parts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The member that is followed has sent it in time.
    InTime,
    /// That member was silent for too long, or what it sends takes longer.
    TooLong,
    /// Nothing: that member was lost.
    Unknown,
}

impl Watched {
    pub(super) const fn new(range: KeyRange, from: Option<u64>, previous: bool) -> Self {
        Self { range, previous, next: from, silence: SILENCE }
    }

    fn query(&self) -> Query {
        Query::Watch { range: self.range.clone(), from: self.next, previous: self.previous }
    }

    /// Takes note of how fast parts come: one that takes longer than a member may be silent would
    /// else be asked for again and again, and never come.
    fn pace(&mut self, pace: Pace) {
        self.silence = match pace {
            Pace::InTime => SILENCE,
            Pace::TooLong => (self.silence * 2).min(LONGEST_SILENCE),
            Pace::Unknown => self.silence,
        };
    }

    /// Takes note that everything up to there was told.
    fn told(&mut self, upto: u64) {
        self.next = self.next.max(Some(upto + 1));
    }
}

impl Follower {
    /// Has a member begin; asks one after the other.
    pub(super) async fn begin(
        core: &Arc<Core>,
        handle: Handle,
        mut watched: Watched,
        deadline: Instant,
    ) -> Result<Self> {
        let permit = core.wait_permit()?;
        let (exchange, changes) = begin_at_any(core, &watched, deadline).await?;
        watched.told(changes.upto);
        Ok(Self {
            core: Arc::downgrade(core),
            handle,
            watched,
            exchange: Some(exchange),
            ready: Some(changes),
            _permit: permit,
        })
    }

    /// Waits for changes, at one member or another.
    ///
    /// # Errors
    /// `Compacted` if no member holds the changes that come next, `Closed` with the client.
    pub(crate) async fn next(&mut self) -> Result<Changes> {
        loop {
            if let Some(changes) = self.ready.take().filter(|changes| !changes.revisions.is_empty())
            {
                return Ok(changes);
            }
            let core = self.core.upgrade().ok_or_else(closed)?;
            let (exchange, watched) = (self.exchange.take(), self.watched.clone());
            let part =
                run_on(&self.handle, async move { go_on(&core, exchange, &watched).await }).await?;
            let Part { exchange, changes, pace } = part;
            self.exchange = Some(exchange);
            self.watched.pace(pace);
            self.watched.told(changes.upto);
            self.ready = Some(changes);
        }
    }

    /// Begins again from what is there now: returns its entries, and follows what comes after them.
    pub(crate) async fn begin_again(&mut self) -> Result<Walk> {
        let core = self.core.upgrade().ok_or_else(closed)?;
        self.exchange = None;
        self.ready = None;
        // Another member may be behind the one before: what was told must not be undone.
        let seen = self.watched.next.map_or(0, |next| next.saturating_sub(1));
        let read = ReadOptions::new().consistency(Consistency::Local).min_revision(seen);
        let (range, handle) = (self.watched.range.clone(), self.handle.clone());
        let options = ScanOptions::new().read(read);
        let beginning =
            async move { core.while_open(walk_from_any(&core, &handle, &range, options)).await };
        let walk = run_on(&self.handle, beginning).await?;
        self.watched.next = Some(walk.revision() + 1);
        Ok(walk)
    }
}

/// Has a member begin a walk, for as long as it takes: a watch has no end of its own.
async fn walk_from_any(
    core: &Arc<Core>,
    handle: &Handle,
    range: &KeyRange,
    options: ScanOptions,
) -> Result<Walk> {
    loop {
        let deadline = core.now() + SEARCH;
        let what = (range.clone(), options);
        match Walk::begin_within(core, handle.clone(), what, deadline).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(%error, "a watch finds no member to begin again at");
            }
            begun => return begun,
        }
    }
}

/// Takes the next part from the member that is followed, or begins at another, for as long as it
/// takes: a watch has no end of its own.
async fn go_on(core: &Core, exchange: Option<Exchange>, watched: &Watched) -> Result<Part> {
    let mut pace = Pace::Unknown;
    if let Some(mut exchange) = exchange {
        let part = tokio::select! {
            part = tokio::time::timeout(watched.silence, exchange.next()) => part,
            why = core.ended() => return Err(why),
        };
        let part = part.unwrap_or_else(|_| {
            pace = Pace::TooLong;
            Err(Error::unavailable("the member is silent"))
        });
        let error = match part {
            Ok(Answer::Changes(changes)) => {
                return Ok(Part { exchange, changes, pace: Pace::InTime });
            }
            Ok(other) => super::misfit(&other),
            // That it is not held there any more does not say that nobody holds it.
            Err(error) if error.kind() == ErrorKind::Compacted => error,
            Err(error) if is_everywhere(error.kind()) => return Err(error),
            Err(error) => error,
        };
        tracing::debug!(peer = %exchange.peer(), %error, "a watch goes on at another member");
        core.guide.pass(exchange.peer(), &error);
    }
    loop {
        let deadline = core.now() + SEARCH;
        let begun = tokio::select! {
            begun = begin_at_any(core, watched, deadline) => begun,
            why = core.ended() => return Err(why),
        };
        match begun {
            Err(error) if !is_everywhere(error.kind()) => {
                tracing::debug!(%error, "a watch finds no member to go on at");
            }
            begun => return begun.map(|(exchange, changes)| Part { exchange, changes, pace }),
        }
    }
}

/// Has a member begin; asks one after the other. Only if none of them holds the changes that come
/// next are they lost.
async fn begin_at_any(
    core: &Core,
    watched: &Watched,
    deadline: Instant,
) -> Result<(Exchange, Changes)> {
    let (mut backoff, mut compacted) = (Backoff::new(), Compacted::default());
    // Who does not answer for so long does not keep from others what to do about it: the rest of
    // the time is for that.
    let enough = core.now() + deadline.saturating_duration_since(core.now()) / 2;
    loop {
        let peer = core.guide.home()?;
        let patience = core.now() + BEGIN_PATIENCE;
        let begun = core.transport.exchange(&peer, watched.query(), patience.min(deadline)).await;
        let error = match begun {
            Ok((exchange, Answer::Changes(changes))) => return Ok((exchange, changes)),
            Ok((_, other)) => super::misfit(&other),
            Err(error) if error.kind() == ErrorKind::Compacted => {
                compacted.note(&peer, &error);
                if compacted.everywhere(&core.guide.candidates()) {
                    return Err(error);
                }
                error
            }
            Err(error) if is_everywhere(error.kind()) => return Err(error),
            Err(error) => error,
        };
        core.guide.pass(&peer, &error);
        if let Some(error) = compacted.last.take_if(|_| core.now() >= enough) {
            return Err(error);
        }
        if !backoff.pause(deadline, core.now()).await {
            return Err(unanswered(error));
        }
    }
}

/// Who has said that the changes that come next are not held any more.
#[derive(Debug, Default)]
struct Compacted {
    said: Vec<Peer>,
    last: Option<Error>,
}

impl Compacted {
    fn note(&mut self, peer: &Peer, error: &Error) {
        self.last = Some(error.clone());
        if !self.said.contains(peer) {
            self.said.push(peer.clone());
        }
    }

    fn everywhere(&self, candidates: &[Peer]) -> bool {
        candidates.iter().all(|peer| self.said.contains(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_gets_more_time_until_it_has_come() {
        let mut watched = Watched::new(KeyRange::all(), None, false);
        watched.pace(Pace::TooLong);
        watched.pace(Pace::Unknown);
        assert_eq!(watched.silence, SILENCE * 2);
        for _ in 0..20 {
            watched.pace(Pace::TooLong);
        }
        assert_eq!(watched.silence, LONGEST_SILENCE);
        watched.pace(Pace::InTime);
        assert_eq!(watched.silence, SILENCE);
    }

    #[test]
    fn changes_are_lost_only_when_each_member_has_said_so() {
        let peer = |address: &str| Peer {
            node_id: None,
            name: String::new(),
            address: address.to_owned(),
        };
        let candidates = [peer("a:1"), peer("b:1"), peer("c:1")];
        let (mut compacted, error) =
            (Compacted::default(), Error::new(ErrorKind::Compacted, "gone"));
        for _ in 0..3 {
            compacted.note(&candidates[0], &error);
            assert!(!compacted.everywhere(&candidates), "one member has said it thrice");
        }
        compacted.note(&candidates[1], &error);
        compacted.note(&candidates[2], &error);
        assert!(compacted.everywhere(&candidates));
    }
}
