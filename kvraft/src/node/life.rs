//! `Life` is how far a node is between its start and its end, and what ended it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::error::{Error, Result};

/// The stages of a node; they only move forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Replays its log and looks for its cluster.
    Recovering,
    /// Has applied everything that was acknowledged before it started.
    Serving,
    /// Takes no more calls; finishes what was begun.
    Closing,
    /// Files and socket are closed.
    Closed,
}

/// Shared by all tasks of a node.
#[derive(Debug)]
pub(super) struct Life {
    stage: watch::Sender<Stage>,
    failure: OnceLock<Error>,
    leaving: AtomicBool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Recovering),
            failure: OnceLock::new(),
            leaving: AtomicBool::new(false),
        }
    }

    /// Moves to `stage` unless the node is further already; returns whether it moved.
    pub(super) fn advance(&self, stage: Stage) -> bool {
        self.stage.send_if_modified(|now| {
            let forward = *now < stage;
            if forward {
                *now = stage;
            }
            forward
        })
    }

    /// Records what went wrong for good; the first error stays. The node serves no more calls.
    pub(super) fn fail(&self, error: Error) {
        tracing::error!(%error, "the node has stopped serving");
        if self.failure.set(error).is_ok() {
            self.stage.send_modify(|_| {});
        }
    }

    /// Marks the beginning of the end; returns whether the caller is the first, who has to see to it.
    pub(super) fn begin_leaving(&self) -> bool {
        !self.leaving.swap(true, Ordering::AcqRel)
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// Returns the error of a call that comes now, if the node cannot serve it.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(error) = self.failure() {
            return Err(error.clone());
        }
        if self.stage() >= Stage::Closing {
            return Err(Error::closed("the map is closed; open it again"));
        }
        Ok(())
    }

    /// Returns once the node serves no more calls, with why.
    pub(super) async fn ended(&self) -> Error {
        let mut stage = self.stage.subscribe();
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            if stage.changed().await.is_err() {
                return Error::closed("the map is closed; open it again");
            }
        }
    }

    /// Returns once the node is in `wanted` or further.
    pub(super) async fn reached(&self, wanted: Stage) {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        drop(stage.wait_for(|now| *now >= wanted).await);
    }
}
