//! `Walk` goes through a range of one moment of a member's, step by step.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::ask::{is_everywhere, unanswered};
use super::core::{Core, closed};
use crate::error::{Error, Result};
use crate::options::{Entry, KeyRange, Page, ScanOptions};
use crate::proposal::Backoff;
use crate::runtime::run_on;
use crate::transport::{Answer, Exchange, Query};

/// How long a member may take for one step.
const STEP_PATIENCE: Duration = Duration::from_secs(10);

/// A walk that is under way at one member.
pub(crate) struct Walk {
    core: Weak<Core>,
    handle: Handle,
    /// `None` at the end.
    exchange: Option<Exchange>,
    /// What came and was not taken yet.
    ready: Option<Page>,
    revision: u64,
    /// Its place among what may wait, if it does not go on in that of a watch.
    permit: Option<OwnedSemaphorePermit>,
}

impl Walk {
    /// Has a member begin; asks one after the other.
    pub(super) async fn begin(
        core: &Arc<Core>,
        handle: Handle,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Self> {
        let permit = core.wait_permit()?;
        let mut walk = Self::begin_within(core, handle, (range, options), deadline).await?;
        walk.permit = Some(permit);
        Ok(walk)
    }

    /// As [`begin`](Self::begin), for somebody who has a place among what may wait already.
    pub(super) async fn begin_within(
        core: &Arc<Core>,
        handle: Handle,
        (range, options): (KeyRange, ScanOptions),
        deadline: Instant,
    ) -> Result<Self> {
        let query = Query::Scan { range, options };
        let mut backoff = Backoff::new();
        loop {
            let peer = core.guide.home()?;
            let patience = core.patience(deadline);
            let begun =
                core.transport.exchange(&peer, query.for_at_most(patience), core.now() + patience);
            let error = match begun.await {
                Ok((exchange, Answer::Page(page))) => {
                    let (exchange, revision) = (Some(exchange), page.revision);
                    return Ok(Self {
                        core: Arc::downgrade(core),
                        handle,
                        exchange,
                        ready: Some(page),
                        revision,
                        permit: None,
                    });
                }
                Ok((_, other)) => super::misfit(&other),
                Err(error) if is_everywhere(error.kind()) => return Err(error),
                Err(error) => error,
            };
            core.guide.pass(&peer, &error);
            if !backoff.pause(deadline, core.now()).await {
                return Err(unanswered(error));
            }
        }
    }

    /// Returns the last revision that was applied at its moment.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the next entries; none at the end.
    ///
    /// # Errors
    /// `Unavailable` if the member is lost: no other has the same moment. `Compacted` if the member
    /// gave the moment up. `Closed` with the client.
    pub(crate) async fn step(&mut self) -> Result<Vec<Entry>> {
        let page = match self.ready.take() {
            Some(page) => page,
            None => match self.exchange.take() {
                Some(exchange) => self.ask(exchange).await?,
                None => return Ok(Vec::new()),
            },
        };
        if !page.more {
            self.exchange = None;
        }
        Ok(page.entries)
    }

    async fn ask(&mut self, mut exchange: Exchange) -> Result<Page> {
        let core = self.core.upgrade().ok_or_else(closed)?;
        let asked = run_on(&self.handle, async move {
            let next = async {
                let answer = tokio::time::timeout(STEP_PATIENCE, exchange.next()).await;
                answer
                    .unwrap_or_else(|_| Err(Error::unavailable("the member does not go on")))
                    .map_err(|error| if is_everywhere(error.kind()) { error } else { lost(&error) })
            };
            let answer = core.while_open(next).await?;
            Ok((exchange, answer))
        });
        let (exchange, answer) = asked.await?;
        let Answer::Page(page) = answer else { return Err(super::misfit(&answer)) };
        self.exchange = Some(exchange);
        Ok(page)
    }
}

fn lost(error: &Error) -> Error {
    Error::unavailable(format!(
        "the scan lost the member that held its moment ({error}); start again after the last key"
    ))
}
