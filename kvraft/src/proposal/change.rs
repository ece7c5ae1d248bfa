//! A change of the membership on its way to the leader.

use std::time::Instant;

use super::route::{Leader, Route, known_leader, peer};
use super::{Backoff, settle};
use crate::error::{Error, ErrorKind, Result};
use crate::options::MembershipChange;
use crate::transport::{CallError, Request, Response};

/// Has the leader change the membership; asks again, and whoever leads by then, until it is done.
pub(crate) async fn change(
    route: &impl Route,
    change: &MembershipChange,
    deadline: Instant,
) -> Result<()> {
    let (mut again, mut backoff) = (false, Backoff::new());
    loop {
        let leader = known_leader(route, deadline).await.map_err(|error| settle(error, again))?;
        let asked = async {
            match &leader {
                Leader::Here | Leader::Unknown => route.change_here(change, again, deadline).await,
                Leader::At(..) => change_at(route, &leader, (change, again), deadline).await,
            }
        };
        let asked = tokio::select! {
            biased;
            asked = tokio::time::timeout_at(deadline.into(), asked) => asked,
            () = route.leader_changed(&leader) => Ok(Err(Error::indeterminate("the leader changed meanwhile"))),
            why = route.ended() => return Err(settle(why, true)),
        };
        let late = || Err(Error::indeterminate("the change was not done in time; it may go on"));
        let error = match asked.unwrap_or_else(|_| late()) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let lost = error.kind() == ErrorKind::Indeterminate;
        if !lost && !error.is_retryable() && error.kind() != ErrorKind::Closed {
            return Err(error);
        }
        if lost && *change == (MembershipChange::Transfer { to: None }) {
            // Asked again, the new leader would hand over too.
            return match known_leader(route, deadline).await {
                Ok(next) if next != leader => Ok(()),
                Ok(_) | Err(_) => Err(error),
            };
        }
        again |= lost;
        route.has_failed();
        if !backoff.pause(deadline, route.now()).await {
            return Err(settle(error, again));
        }
    }
}

async fn change_at(
    route: &impl Route,
    leader: &Leader,
    (change, again): (&MembershipChange, bool),
    deadline: Instant,
) -> Result<()> {
    let (Some(transport), Leader::At(id, member)) = (route.transport(), leader) else {
        return Err(Error::internal("another node leads, and this one has no socket"));
    };
    let left = deadline.saturating_duration_since(route.now());
    let timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
    let request = Request::Change { change: change.clone(), again, timeout_ms };
    match transport.request(&peer(*id, member), request, deadline).await {
        Ok(Response::Changed) => Ok(()),
        Ok(Response::Failed(failure)) => Err(failure.into()),
        Ok(_) => Err(Error::internal(format!("{} answered something else", member.name))),
        Err(CallError::Unsent(error)) => Err(Error::unavailable(error.to_string())),
        Err(CallError::Lost(error)) => Err(Error::indeterminate(error.to_string())),
    }
}
