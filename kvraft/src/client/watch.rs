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
use crate::transport::{Answer, Exchange, Query};

/// How long a member may be silent: it says how far it has come every two seconds.
const SILENCE: Duration = Duration::from_secs(6);
/// How long a member may take to begin.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);

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
}

impl Watched {
    pub(super) const fn new(range: KeyRange, from: Option<u64>, previous: bool) -> Self {
        Self { range, previous, next: from }
    }

    fn query(&self) -> Query {
        Query::Watch { range: self.range.clone(), from: self.next, previous: self.previous }
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
            let (exchange, changes) =
                run_on(&self.handle, async move { go_on(&core, exchange, &watched).await }).await?;
            self.exchange = Some(exchange);
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
        let deadline = core.now() + core.config.request_timeout;
        let options = ScanOptions::new().read(read);
        let beginning = async move { Walk::begin(&core, handle, range, options, deadline).await };
        let walk = run_on(&self.handle, beginning).await?;
        self.watched.next = Some(walk.revision() + 1);
        Ok(walk)
    }
}

/// Takes the next part from the member that is followed, or begins at another, for as long as it
/// takes: a watch has no end of its own.
async fn go_on(
    core: &Core,
    exchange: Option<Exchange>,
    watched: &Watched,
) -> Result<(Exchange, Changes)> {
    if let Some(mut exchange) = exchange {
        let part = tokio::select! {
            part = tokio::time::timeout(SILENCE, exchange.next()) => part,
            why = core.ended() => return Err(why),
        };
        let part = part.unwrap_or_else(|_| Err(Error::unavailable("the member is silent")));
        let error = match part {
            Ok(Answer::Changes(changes)) => return Ok((exchange, changes)),
            Ok(other) => super::misfit(&other),
            Err(error) if is_everywhere(error.kind()) => return Err(error),
            Err(error) => error,
        };
        tracing::debug!(peer = %exchange.peer(), %error, "a watch goes on at another member");
        core.guide.pass(exchange.peer(), &error);
    }
    loop {
        let deadline = core.now() + core.config.request_timeout;
        let begun = tokio::select! {
            begun = begin_at_any(core, watched, deadline) => begun,
            why = core.ended() => return Err(why),
        };
        match begun {
            Err(error) if !is_everywhere(error.kind()) => {
                tracing::debug!(%error, "a watch finds no member to go on at");
            }
            begun => return begun,
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
    let (mut backoff, mut compacted) = (Backoff::new(), 0);
    loop {
        let peer = core.guide.home()?;
        let patience = core.now() + BEGIN_PATIENCE;
        let begun = core.transport.exchange(&peer, watched.query(), patience.min(deadline)).await;
        let error = match begun {
            Ok((exchange, Answer::Changes(changes))) => return Ok((exchange, changes)),
            Ok((_, other)) => super::misfit(&other),
            Err(error) if error.kind() == ErrorKind::Compacted => {
                compacted += 1;
                if compacted >= core.guide.candidates().len() {
                    return Err(error);
                }
                error
            }
            Err(error) if is_everywhere(error.kind()) => return Err(error),
            Err(error) => error,
        };
        core.guide.pass(&peer, &error);
        if !backoff.pause(deadline, core.now()).await {
            return Err(if compacted > 0 { error } else { unanswered(error) });
        }
    }
}
