//! A proposal's way to the leader: asked as often as needed, applied at most once.

mod backoff;
mod census;
mod change;
mod rejected;
mod route;
mod session;

use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::Instrument as _;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::census::{Census, compare, no_sample, sample, verify};
pub(crate) use self::change::change;
pub(crate) use self::rejected::rejected;
pub(crate) use self::route::{Leader, Route, known_leader, peer};
use self::session::Ticket;
pub(crate) use self::session::{Session, new_session_id};
use crate::command::{Command, Origin, Outcome, Rejection};
use crate::error::{Error, ErrorKind, Result};
use crate::raft::Member;
use crate::transport::{CallError, Failure, FailureReason, Peer, Request, Response};

/// How long the end of a session may take when a process ends: nothing is lost without it.
pub(crate) const SESSION_PATIENCE: Duration = Duration::from_millis(500);
/// The target of the spans of a write: `propose`, at whoever asks for it, and in it `commit`, where
/// the leader is the same process.
pub(crate) const SPANS: &str = "kvraft::span";
/// Sessions that one command may go through: each was idle for longer than any deadline.
const MAX_RENEWALS: usize = 3;

/// What one attempt to propose has shown.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Every node has or will have this outcome.
    Answered(Outcome),
    /// Appended nowhere; perhaps this node leads.
    Elsewhere(Option<(u64, Member)>),
    /// Appended nowhere, and asking again at once will not help.
    Refused(Error),
    /// Appended nowhere; asking again may help.
    NotYet(Error),
    /// It may be applied, now or later.
    Unknown(Error),
}

/// How the attempts of one command ended.
struct Delivery {
    result: Result<Outcome>,
    /// Whether some attempt may be applied without our having its answer.
    ambiguous: bool,
}

/// Has `command` applied exactly once, or fails; see the kinds of its errors.
pub(crate) async fn propose(
    route: &impl Route,
    command: Command,
    deadline: Instant,
) -> Result<Outcome> {
    if route.now() >= deadline {
        return Err(Error::unavailable(
            "the deadline had passed before the write was sent; give it more time",
        ));
    }
    let bytes = command.encode();
    let span = tracing::debug_span!(target: SPANS, "propose");
    propose_in_session(route, &bytes, deadline).instrument(span).await
}

async fn propose_in_session(
    route: &impl Route,
    bytes: &Bytes,
    deadline: Instant,
) -> Result<Outcome> {
    for _ in 0..MAX_RENEWALS {
        let ticket = ticket(route, deadline).await?;
        let delivery = deliver(route, || Some(ticket.origin()), bytes, deadline).await;
        let outcome = delivery.result?;
        let Outcome::Rejected(rejection) = outcome else { return Ok(outcome) };
        if !matches!(rejection, Rejection::SessionExpired | Rejection::Stale) {
            return Err(rejected(rejection));
        }
        if delivery.ambiguous {
            return Err(Error::indeterminate(
                "the session ended while the write was under way; read back whether it was applied",
            ));
        }
        route.session().renew(ticket.session(), route.new_session_id()?);
    }
    Err(Error::unavailable("the cluster ended every session that was opened for this write; retry"))
}

/// Ends the session, which spares the cluster some memory; it would end by its time too.
pub(crate) async fn end_session(route: &impl Route, deadline: Instant) {
    let (session, registered) = route.session().current();
    if !registered || route.leader() == Leader::Unknown {
        return;
    }
    if let Err(error) = propose(route, Command::EndSession { session }, deadline).await {
        tracing::debug!(%error, "the session ends by its time");
    }
}

/// Takes a number of a session that the cluster knows.
async fn ticket<R: Route>(route: &R, deadline: Instant) -> Result<Ticket<'_>> {
    loop {
        open_session(route, deadline).await?;
        match tokio::time::timeout_at(deadline.into(), route.session().ticket()).await {
            Ok(Some(ticket)) => return Ok(ticket),
            // Another command has found the session ended meanwhile.
            Ok(None) => {}
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::Overloaded,
                    "too many writes of this process are unfinished; slow down",
                ));
            }
        }
    }
}

/// Registers the session of this process, if the cluster does not know it yet.
async fn open_session(route: &impl Route, deadline: Instant) -> Result<()> {
    if route.session().current().1 {
        return Ok(());
    }
    let Ok(_opening) =
        tokio::time::timeout_at(deadline.into(), route.session().opening.lock()).await
    else {
        return Err(route.no_leader());
    };
    let (session, registered) = route.session().current();
    if registered {
        return Ok(());
    }
    let command = Command::OpenSession { session }.encode();
    let opened = deliver(route, || None, &command, deadline).await;
    // Opening twice is opening once: an unknown outcome leaves nothing that could hurt.
    match opened.result {
        Ok(Outcome::Done) => route.session().registered(session),
        Ok(Outcome::Rejected(rejection)) => return Err(rejected(rejection)),
        Ok(other) => {
            return Err(Error::internal(format!("opening a session came back with {other:?}")));
        }
        Err(error) if error.kind() == ErrorKind::Indeterminate => {
            return Err(Error::unavailable(error.message()));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Attempts until there is an answer, a refusal or the deadline.
async fn deliver(
    route: &impl Route,
    origin: impl Fn() -> Option<Origin>,
    command: &Bytes,
    deadline: Instant,
) -> Delivery {
    let (mut ambiguous, mut hint, mut backoff) = (false, None, Backoff::new());
    loop {
        let leader = match (route.leader(), hint.take()) {
            (Leader::Unknown, Some((id, member))) => Ok(Leader::At(id, member)),
            (Leader::Unknown, None) => known_leader(route, deadline).await,
            (known, _) => Ok(known),
        };
        let attempt = match leader {
            Ok(leader) => attempt(route, &leader, origin(), command, deadline).await,
            Err(error) => Attempt::Refused(error),
        };
        let error = match attempt {
            Attempt::Answered(outcome) => return Delivery { result: Ok(outcome), ambiguous },
            Attempt::Refused(error) => {
                return Delivery { result: Err(settle(error, ambiguous)), ambiguous };
            }
            Attempt::Elsewhere(leader) => {
                hint = leader;
                route.no_leader()
            }
            Attempt::NotYet(error) => error,
            Attempt::Unknown(error) => {
                ambiguous = true;
                error
            }
        };
        route.has_failed();
        if !backoff.pause(deadline, route.now()).await {
            return Delivery { result: Err(settle(given_up(error), ambiguous)), ambiguous };
        }
    }
}

/// Attempts once; gives up on a leader that is no longer the leader, since its successor can
/// answer in its place.
async fn attempt(
    route: &impl Route,
    leader: &Leader,
    origin: Option<Origin>,
    command: &Bytes,
    deadline: Instant,
) -> Attempt {
    let asked = async {
        match leader {
            Leader::At(id, member) => {
                propose_at(route, &peer(*id, member), origin, command.clone(), deadline).await
            }
            Leader::Here | Leader::Unknown => route.propose_here(origin, command, deadline).await,
        }
    };
    let moved = async {
        if route.leader() == *leader {
            route.leader_changed(leader).await;
        } else {
            // The leader is a hint: there is nothing to compare it with.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        attempt = asked => attempt,
        () = moved => Attempt::Unknown(Error::indeterminate("the leader changed while the write was under way")),
        why = route.ended() => Attempt::Refused(settle(why, true)),
    }
}

async fn propose_at(
    route: &impl Route,
    leader: &Peer,
    origin: Option<Origin>,
    command: Bytes,
    deadline: Instant,
) -> Attempt {
    let Some(transport) = route.transport() else {
        return Attempt::Refused(Error::internal("another node leads, and this one has no socket"));
    };
    let left = deadline.saturating_duration_since(route.now());
    let timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
    let request = Request::Propose { origin, command, timeout_ms };
    match transport.request(leader, request, deadline).await {
        Ok(Response::Proposed(outcome)) => Attempt::Answered(outcome),
        Ok(Response::Failed(failure)) => failed(failure),
        Ok(_) => Attempt::Unknown(Error::internal(format!("{leader} answered something else"))),
        // No frame can carry it, to whomever.
        Err(CallError::Unsent(error)) if error.kind() == ErrorKind::InvalidArgument => {
            Attempt::Refused(error)
        }
        Err(CallError::Unsent(error)) => Attempt::NotYet(error),
        Err(CallError::Lost(error)) => Attempt::Unknown(error),
    }
}

/// Turns a refusal into what the caller must know: after an attempt whose answer was lost, even a
/// definite refusal of the last one leaves open whether the write is applied.
fn settle(error: Error, ambiguous: bool) -> Error {
    if ambiguous && error.kind() != ErrorKind::Indeterminate {
        return Error::indeterminate(format!(
            "the write was sent and its answer lost ({error}); read back whether it was applied"
        ));
    }
    error
}

/// Names what kept a write from a leader until its deadline: that another node is closed, or
/// cannot be talked to, says nothing of that kind about this one.
fn given_up(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Indeterminate => error,
        ErrorKind::InvalidArgument
        | ErrorKind::Conflict
        | ErrorKind::Full
        | ErrorKind::Compacted
        | ErrorKind::Expired
        | ErrorKind::Refused
        | ErrorKind::Unauthorized
        | ErrorKind::Closed
        | ErrorKind::Storage
        | ErrorKind::Corrupt
        | ErrorKind::Internal => {
            Error::unavailable(format!("no leader has taken the write in time: {error}"))
        }
    }
}

fn failed(failure: Failure) -> Attempt {
    let kind = match failure.reason {
        FailureReason::NotLeader { leader } => return Attempt::Elsewhere(leader),
        FailureReason::Kind(kind) => kind,
    };
    let error = Error::new(kind, failure.message);
    match kind {
        ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Closed => {
            Attempt::NotYet(error)
        }
        ErrorKind::InvalidArgument
        | ErrorKind::Full
        | ErrorKind::Refused
        | ErrorKind::Unauthorized => Attempt::Refused(error),
        ErrorKind::Conflict
        | ErrorKind::Indeterminate
        | ErrorKind::Compacted
        | ErrorKind::Expired
        | ErrorKind::Storage
        | ErrorKind::Corrupt
        | ErrorKind::Internal => Attempt::Unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_closes_or_cannot_be_reached_makes_a_write_unavailable_and_nothing_else() {
        let kinds = [ErrorKind::Closed, ErrorKind::Unauthorized, ErrorKind::Refused];
        for kind in kinds {
            let error = given_up(Error::new(kind, "said another node"));
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.message().contains("said another node"), "{error}");
        }
        let busy = given_up(Error::new(ErrorKind::Overloaded, "busy"));
        assert_eq!(busy.kind(), ErrorKind::Overloaded);
    }

    #[test]
    fn after_a_lost_answer_even_a_definite_refusal_is_indeterminate() {
        let error = settle(Error::new(ErrorKind::Full, "full"), true);
        assert_eq!(error.kind(), ErrorKind::Indeterminate);
        let error = settle(Error::new(ErrorKind::Full, "full"), false);
        assert_eq!(error.kind(), ErrorKind::Full);
    }
}
