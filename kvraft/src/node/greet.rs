//! Greeting: a node that starts shows itself to the others, who know whether it may serve.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;

use super::bootstrap::HELLO_PATIENCE;
use super::core::Core;
use crate::error::{Error, ErrorKind};
use crate::proposal::Backoff;
use crate::transport::{Reason, Unmet};

/// Addresses at which nobody was met yet, with why the node there declines this one, if it does.
pub(super) type Strangers = BTreeMap<String, Option<Reason>>;

impl Core {
    /// Returns the addresses of all other nodes that are listed or recorded.
    pub(super) fn others(&self) -> Strangers {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let recorded = metrics.membership_config.membership().nodes();
        let recorded =
            recorded.filter(|(id, _)| **id != metrics.id).map(|(_, member)| &member.address);
        let listed = self.config.members.iter().filter(|(name, _)| **name != self.config.name);
        let addresses = recorded.chain(listed.map(|(_, address)| address));
        let addresses = addresses.filter(|address| !address.is_empty());
        addresses.map(|address| (address.clone(), None)).collect()
    }

    /// Shows this node to the nodes at these addresses; returns those that were not met.
    ///
    /// A node that has met a newer start of this one refuses it, and then it must not serve: it is
    /// a copy, or its disk is an older one. Any other refusal is an obstacle: whoever stands at a
    /// recorded address may be of another cluster or another release, and go again.
    pub(super) async fn greet(&self, strangers: Strangers, patience: Duration) -> Strangers {
        let Some(transport) = &self.transport else { return Strangers::new() };
        let deadline = self.now() + patience;
        let greeted = join_all(strangers.into_iter().map(async |(address, known)| {
            let hello = transport.hello_of(&address, deadline).await;
            (address, known, hello)
        }));
        let mut unmet = Strangers::new();
        for (address, known, hello) in greeted.await {
            match hello {
                Ok(_) => {}
                Err(Unmet::Refused(reason, error)) => {
                    let error = error.context(format!("the node at {address} refuses this node"));
                    self.heed(reason, error, known);
                    unmet.insert(address, Some(reason));
                }
                Err(Unmet::Failed(error)) => {
                    tracing::debug!(address, %error, "did not answer a greeting");
                    if [ErrorKind::Unauthorized, ErrorKind::Refused].contains(&error.kind()) {
                        // It may pass, as secrets and certificates are exchanged.
                        self.set_obstacle(format!("{}: {error}", error.kind()));
                    }
                    unmet.insert(address, known);
                }
            }
        }
        unmet
    }

    /// Takes a refusal for the end of this node, or for an obstacle; `known` is what was said of it
    /// before.
    fn heed(&self, reason: Reason, error: Error, known: Option<Reason>) {
        match reason {
            Reason::Superseded => self.life.fail(error),
            Reason::OtherCluster | Reason::Protocol | Reason::Other => {
                if known != Some(reason) {
                    tracing::warn!("{error}");
                }
                self.set_obstacle(error.to_string());
            }
        }
    }

    /// Goes on greeting until everyone has answered once.
    pub(super) async fn greet_until_met(&self, mut strangers: Strangers) {
        if strangers.is_empty() {
            return;
        }
        let mut backoff = Backoff::slow();
        while !strangers.is_empty() && self.life.check().is_ok() {
            let now = self.now();
            backoff.pause(now + HELLO_PATIENCE, now).await;
            strangers = self.greet(strangers, HELLO_PATIENCE).await;
        }
        self.set_obstacle("");
    }
}

/// Returns the error of a node that was not met: `Refused` only if this one must never serve.
pub(super) fn may_pass(unmet: Unmet) -> Error {
    let error = match unmet {
        Unmet::Refused(Reason::Superseded, error) => return error,
        Unmet::Refused(Reason::OtherCluster | Reason::Protocol | Reason::Other, error)
        | Unmet::Failed(error) => error,
    };
    if error.kind() == ErrorKind::Refused { Error::unavailable(error.to_string()) } else { error }
}
