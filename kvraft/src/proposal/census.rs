//! A census asks every member for the hash that its state had at one moment.

use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};

use super::route::{Route, peer};
use super::{Backoff, propose};
use crate::command::{Command, Outcome};
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::options::{MemberState, Verification};
use crate::transport::{Answer, PeerMember, Query, Request, Response};

/// How long the members have to come to that moment, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a census needs of the process that takes it, beside the way to the leader.
pub(crate) trait Census: Route {
    /// Returns who the members are.
    fn members(&self) -> Vec<PeerMember>;

    /// Returns the hash of this process's own state; `None` if that node is another one.
    fn own_hash(
        &self,
        node_id: u64,
        revision: u64,
        deadline: Instant,
    ) -> Option<BoxFuture<'_, Result<u64>>>;
}

/// Has every member sample its state at one log entry, and compares what they have.
pub(crate) async fn verify(census: &impl Census, deadline: Instant) -> Result<Verification> {
    let revision = sample(census, deadline).await?;
    Ok(compare(census, revision).await)
}

/// Has every member sample its state; returns the revision of that moment.
pub(crate) async fn sample(route: &impl Route, deadline: Instant) -> Result<u64> {
    let outcome = propose(route, Command::Verify, deadline).await?;
    let Outcome::Sampled { revision } = outcome else {
        return Err(Error::internal(format!("a sample was answered with {outcome:?}")));
    };
    Ok(revision)
}

/// Asks every member what its state was at a revision at which all were sampled.
pub(crate) async fn compare(census: &impl Census, revision: u64) -> Verification {
    let deadline = census.now() + PATIENCE;
    let asked = census.members().into_iter().map(|member| async move {
        let hash = hash_of(census, &member, revision, deadline).await;
        let failure = hash.as_ref().err().map(ToString::to_string);
        MemberState {
            name: member.member.name,
            node_id: HexId(member.node_id).to_string(),
            voter: member.voter,
            state_hash: hash.ok().map(|hash| HexId(hash).to_string()),
            failure,
        }
    });
    let mut members = join_all(asked).await;
    members.sort_by(|a, b| (&a.name, &a.node_id).cmp(&(&b.name, &b.node_id)));
    Verification { revision, members }
}

/// Asks one member until it answers.
async fn hash_of(
    census: &impl Census,
    member: &PeerMember,
    revision: u64,
    deadline: Instant,
) -> Result<u64> {
    if let Some(own) = census.own_hash(member.node_id, revision, deadline) {
        return own.await;
    }
    let mut backoff = Backoff::new();
    loop {
        let error = match ask(census, member, revision, deadline).await {
            Ok(hash) => return Ok(hash),
            Err(error) => error,
        };
        if !error.is_retryable() || !backoff.pause(deadline, census.now()).await {
            return Err(error);
        }
    }
}

async fn ask(
    census: &impl Census,
    member: &PeerMember,
    revision: u64,
    deadline: Instant,
) -> Result<u64> {
    let transport = census
        .transport()
        .ok_or_else(|| Error::internal("another node is a member, and this one has no socket"))?;
    let timeout = deadline.saturating_duration_since(census.now());
    let request = Request::Query(Query::StateHash { revision, timeout });
    let to = peer(member.node_id, &member.member);
    match transport.request(&to, request, deadline).await {
        Ok(Response::Answer(Answer::StateHash(Some(hash)))) => Ok(hash),
        Ok(Response::Answer(Answer::StateHash(None))) => Err(no_sample(revision)),
        Ok(Response::Failed(failure)) => Err(failure.into()),
        Ok(_) => Err(Error::internal(format!("{to} answered something else"))),
        Err(error) => Err(Error::unavailable(error.error().to_string())),
    }
}

/// What a member says that does not remember the moment.
pub(crate) fn no_sample(revision: u64) -> Error {
    Error::refused(format!(
        "it has no sample of revision {revision}: it got its state from another node since, or restarted"
    ))
}
