//! A proposal at its leader: admitted, stamped, written.

use std::time::{Duration, Instant};

use bytes::Bytes;
use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader, RaftError};
use tracing::Instrument as _;

use super::core::{Core, proposal_cost};
use crate::command::{Command, Origin, Payload, Stamp};
use crate::config::check_settings;
use crate::error::{Error, ErrorKind, Result};
use crate::proposal::{Attempt, SPANS};
use crate::raft::TypeConfig;

/// How long a leader that has just been elected may need before it can stamp.
const OFFICE_PATIENCE: Duration = Duration::from_millis(50);
/// Bytes that the log may hold before new commands wait for a checkpoint: half of its map.
const LOG_BUDGET_BYTES: u64 = 32 << 30;

impl Core {
    /// Proposes as the leader; never asks another node.
    pub(super) async fn propose_here(
        &self,
        origin: Option<Origin>,
        command: &Bytes,
        deadline: Instant,
    ) -> Attempt {
        if let Err(error) = self.admit_command(command) {
            if error.kind() == ErrorKind::Overloaded {
                self.counts.overloaded.add();
            }
            return Attempt::Refused(error);
        }
        // What its state makes of a command is told to whoever asks, and may be wrong.
        if let Err(error) = self.integrity.check() {
            return Attempt::NotYet(error);
        }
        // Handing leadership over takes every slot, and so waits for what is under way.
        let Ok(_slots) = self.proposals.try_acquire_many(proposal_cost(command.len())) else {
            self.counts.overloaded.add();
            return Attempt::NotYet(Error::new(
                ErrorKind::Overloaded,
                "the leader has too many writes under way, or is handing over; retry",
            ));
        };
        let Some(stamp) = self.stamp(deadline).await else {
            return Attempt::Elsewhere(None);
        };
        self.counts.accepted.add();
        let payload = Payload::new(stamp, origin, command);
        let span = tracing::debug_span!(target: SPANS, "commit");
        let written = self.raft.client_write(payload).instrument(span);
        match tokio::time::timeout_at(deadline.into(), written).await {
            Ok(Ok(_)) if self.integrity.is_out() => Attempt::Unknown(Error::indeterminate(
                "the leader found its state to be wrong meanwhile: what it made of the write does not count",
            )),
            Ok(Ok(response)) => Attempt::Answered(response.data),
            Ok(Err(RaftError::APIError(error))) => not_written(error),
            Ok(Err(RaftError::Fatal(fatal))) => Attempt::Unknown(stopped(&fatal)),
            Err(_) => Attempt::Unknown(Error::indeterminate(
                "the write was not acknowledged by a majority in time; read back whether it was applied",
            )),
        }
    }

    /// Checks what the leader alone can know. Neither undecodable bytes nor settings that no node
    /// could live by may ever enter the log: they would stop every node, for good.
    fn admit_command(&self, command: &Bytes) -> Result<()> {
        let decoded = Command::decode(command.clone())
            .map_err(|error| Error::invalid("the command cannot be decoded").with_source(error))?;
        let limit = self.settings().max_command_bytes;
        if command.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(Error::invalid(format!(
                "the command has {} bytes, and max_command_bytes is {limit}; split it, or raise the setting",
                command.len()
            )));
        }
        self.check_format(&decoded)?;
        if let Command::ChangeSettings { settings } | Command::Found { settings, .. } = &decoded {
            check_settings(settings)?;
            let level = self.settings().format_level;
            if settings.format_level != level {
                return Err(Error::refused(format!(
                    "the format level is {level}; the leader alone raises it, once every member knows a newer one"
                )));
            }
        }
        if decoded.frees_space() {
            return Ok(());
        }
        if self.log.under_pressure() {
            return Err(Error::new(
                ErrorKind::Full,
                "the leader's disk is full: only deletes are let in; free space on it, or delete",
            ));
        }
        if self.log.log_bytes() > LOG_BUDGET_BYTES {
            return Err(Error::new(
                ErrorKind::Overloaded,
                "the log waits for a checkpoint; slow down, then retry",
            ));
        }
        Ok(())
    }

    /// Refuses what a member of an older release could not apply: it would stop there, for good.
    pub(super) fn check_format(&self, command: &Command) -> Result<()> {
        let level = self.settings().format_level;
        if command.since() <= level {
            return Ok(());
        }
        Err(Error::refused(format!(
            "this takes format level {}, and the cluster is at {level}: it is raised once every member runs a release \
             that knows it",
            command.since()
        )))
    }

    /// Returns the stamp for a command, waiting a little for a leader that is new in office.
    async fn stamp(&self, deadline: Instant) -> Option<Stamp> {
        let clock = self.config.environment.clock.as_ref();
        let patience = deadline.min(self.now() + OFFICE_PATIENCE);
        let mut changes = self.lead.changes();
        loop {
            if let Some(stamp) = self.lead.stamp(clock) {
                return Some(stamp);
            }
            if !self.leads() {
                return None;
            }
            tokio::time::timeout_at(patience.into(), changes.changed()).await.ok()?.ok()?;
        }
    }
}

fn not_written(error: ClientWriteError<TypeConfig>) -> Attempt {
    match error {
        ClientWriteError::ForwardToLeader(ForwardToLeader { leader_id, leader_node, .. }) => {
            Attempt::Elsewhere(leader_id.zip(leader_node))
        }
        ClientWriteError::LogEntryDiscarded(_) => Attempt::Unknown(Error::indeterminate(
            "another leader replaced the log entry of this write",
        )),
        other @ (ClientWriteError::ChangeMembershipError(_)
        | ClientWriteError::PreconditionFailed(_)) => Attempt::Refused(
            Error::internal("a write was refused as something else").with_source(other),
        ),
    }
}

fn stopped(fatal: &Fatal<TypeConfig>) -> Error {
    Error::indeterminate(format!("this node stopped while the write was under way: {fatal}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::node::Node;
    use crate::node::integrity::Health;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_leader_that_knows_its_state_to_be_wrong_answers_no_write_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(Config::new(dir.path()).check().unwrap()).await.unwrap();
        node.wait_ready(node.now() + PATIENCE).await.unwrap();
        let core = node.core().unwrap();
        let command = Command::put("k".into(), "v".into()).encode();
        // An only voter takes itself back into service, which needs this turn.
        let turn = core.integrity.noting().await;
        core.integrity.note(Health::Out("a test says so".into()));
        let attempt = core.propose_here(None, &command, core.now() + PATIENCE).await;
        let Attempt::NotYet(error) = attempt else { panic!("{attempt:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        drop(turn);
        core.integrity.is_back().await;
        let attempt = core.propose_here(None, &command, core.now() + PATIENCE).await;
        assert!(matches!(attempt, Attempt::Answered(_)), "{attempt:?}");
    }
}
