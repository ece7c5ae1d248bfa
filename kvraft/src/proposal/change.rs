//! A change of the membership on its way to the leader.

use std::collections::BTreeSet;
use std::time::Instant;

use super::route::{Leader, Route, known_leader, peer};
use super::{Backoff, settle};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{AskedChange, MembershipChange};
use crate::transport::{CallError, PeerMember, Request, Response};

/// Has the leader change the membership; asks again, and whoever leads by then, until it is done.
pub(crate) async fn change(
    route: &impl Route,
    change: MembershipChange,
    deadline: Instant,
) -> Result<()> {
    let mut asked = AskedChange { change, node_id: None, again: false };
    let mut backoff = Backoff::new();
    loop {
        let leader = known_leader(route, deadline).await;
        let leader = leader.map_err(|error| settle(error, asked.again))?;
        let done = match find(route, &leader, &mut asked, deadline).await {
            Ok(()) => led(route, &leader, deadline, ask(route, &leader, &asked, deadline)).await,
            Err(error) => Err(error),
        };
        let Err(error) = done else { return Ok(()) };
        let lost = error.kind() == ErrorKind::Indeterminate;
        if !lost && !error.is_retryable() && error.kind() != ErrorKind::Closed {
            return Err(error);
        }
        if lost && asked.change == (MembershipChange::Transfer { to: None }) {
            // Asked again, the new leader would hand over too.
            return match known_leader(route, deadline).await {
                Ok(next) if next != leader => Ok(()),
                Ok(_) | Err(_) => Err(error),
            };
        }
        asked.again |= lost;
        route.has_failed();
        if !backoff.pause(deadline, route.now()).await {
            return Err(settle(error, asked.again));
        }
    }
}

/// Finds out which node has the name, for as long as no leader can have done anything to it.
async fn find(
    route: &impl Route,
    leader: &Leader,
    asked: &mut AskedChange,
    deadline: Instant,
) -> Result<()> {
    let Some(name) = asked.change.name().filter(|_| !asked.again) else { return Ok(()) };
    let members = led(route, leader, deadline, members(route, leader, deadline)).await;
    // Nothing was asked for yet, whatever became of the question.
    let members = members.map_err(|error| {
        let lost = error.kind() == ErrorKind::Indeterminate;
        if lost { Error::unavailable(error.message()) } else { error }
    })?;
    asked.node_id = Some(named(&members, name)?);
    Ok(())
}

/// Waits for the answer of a leader for as long as it leads.
async fn led<T>(
    route: &impl Route,
    leader: &Leader,
    deadline: Instant,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let late = || Err(Error::indeterminate("the change was not done in time; it may go on"));
    tokio::select! {
        biased;
        answer = tokio::time::timeout_at(deadline.into(), answer) => answer.unwrap_or_else(|_| late()),
        () = route.leader_changed(leader) => Err(Error::indeterminate("the leader changed meanwhile")),
        why = route.ended() => Err(settle(why, true)),
    }
}

async fn members(
    route: &impl Route,
    leader: &Leader,
    deadline: Instant,
) -> Result<Vec<PeerMember>> {
    if !matches!(leader, Leader::At(..)) {
        return Ok(route.members_here());
    }
    let answer = request(route, leader, Request::Peers, deadline).await?;
    let Response::Peers(peers) = answer else { return Err(answered_something_else()) };
    Ok(peers.members)
}

/// Returns the member of that name, the voter first.
fn named(members: &[PeerMember], name: &str) -> Result<u64> {
    let named = members.iter().filter(|known| known.member.name == name);
    let found = named.max_by_key(|known| known.voter);
    found.map(|known| known.node_id).ok_or_else(|| {
        let known: BTreeSet<_> = members.iter().map(|known| known.member.name.as_str()).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Error::refused(format!("no member is named {name:?}; the members are {known}"))
    })
}

async fn ask(
    route: &impl Route,
    leader: &Leader,
    asked: &AskedChange,
    deadline: Instant,
) -> Result<()> {
    if !matches!(leader, Leader::At(..)) {
        return route.change_here(asked, deadline).await;
    }
    let left = deadline.saturating_duration_since(route.now());
    let timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
    let change = Request::Change { asked: asked.clone(), timeout_ms };
    let answer = request(route, leader, change, deadline).await?;
    if matches!(answer, Response::Changed) { Ok(()) } else { Err(answered_something_else()) }
}

async fn request(
    route: &impl Route,
    leader: &Leader,
    request: Request,
    deadline: Instant,
) -> Result<Response> {
    let (Some(transport), Leader::At(id, member)) = (route.transport(), leader) else {
        return Err(Error::internal("another node leads, and this one has no socket"));
    };
    match transport.request(&peer(*id, member), request, deadline).await {
        Ok(Response::Failed(failure)) => Err(failure.into()),
        Ok(response) => Ok(response),
        Err(CallError::Unsent(error)) => Err(Error::unavailable(error.to_string())),
        Err(CallError::Lost(error)) => Err(Error::indeterminate(error.to_string())),
    }
}

fn answered_something_else() -> Error {
    Error::internal("the leader answered something else")
}
