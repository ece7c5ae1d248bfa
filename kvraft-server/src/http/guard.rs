//! The guard of an endpoint: lets requests in that may come in, and have nothing to be ignored.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kvraft::ErrorKind;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Peer;
use super::endpoint::{Access, Endpoint, Headers, Payload};
use super::problem::Problem;
use super::query::Query;
use super::{App, body, condition, redirect};
use crate::tokens::{Principal, Role};

/// On which port a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// That of the whole interface.
    Main,
    /// That of the probes, which is for whoever reaches it.
    Health,
}

/// What stands before one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) app: Arc<App>,
    pub(super) endpoint: &'static Endpoint,
    pub(super) door: Door,
}

/// Where a request goes.
enum Way {
    /// To its handler, with its place among the requests under way.
    In(Option<OwnedSemaphorePermit>),
    /// To another node, as this answer says.
    Elsewhere(Box<Response>),
}

/// Lets a request in, or says why not; the answer carries its endpoint, for those who count.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.admit(request).await {
        Ok((request, _slot)) => next.run(request).await,
        Err(refusal) => refusal,
    };
    response.extensions_mut().insert(guard.endpoint);
    response
}

impl Guard {
    async fn admit(
        &self,
        request: Request,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>), Response> {
        let (mut head, mut payload) = request.into_parts();
        let refusal = match self.look_at(&mut head) {
            Ok(Way::In(slot)) => match self.body_of(&head, payload).await {
                Ok(payload) => return Ok((Request::from_parts(head, payload), slot)),
                Err(problem) => return Err(problem.into_response()),
            },
            Ok(Way::Elsewhere(answer)) => *answer,
            Err(problem) => problem.into_response(),
        };
        // A client that writes before it reads gets to see the answer.
        if !payload.is_end_stream() {
            body::discard(&mut payload).await;
        }
        Err(refusal)
    }

    /// Looks at everything but the body, and leaves what the handler needs with the request.
    fn look_at(&self, head: &mut Parts) -> Result<Way, Problem> {
        let slot = self.slot()?;
        let principal = self.principal(head)?;
        let query = self.query(head)?;
        let elsewhere = redirect::elsewhere(&self.app, self.endpoint.asks, &query, &head.uri)?;
        if let Some(answer) = elsewhere {
            return Ok(Way::Elsewhere(Box::new(answer)));
        }
        head.extensions.insert(query);
        if let Some(principal) = principal {
            head.extensions.insert(principal);
        }
        Ok(Way::In(slot))
    }

    /// A place among the requests under way; probes need none.
    fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if self.endpoint.access == Access::Anyone || self.door == Door::Health {
            return Ok(None);
        }
        let slot = self.app.requests.clone().try_acquire_owned();
        slot.map(Some).map_err(|_| {
            Problem::of(ErrorKind::Overloaded, "too many requests are under way on this node")
        })
    }

    /// Finds out who asks, and whether they may. Without a token file, everyone may do everything.
    fn principal(&self, head: &Parts) -> Result<Option<Principal>, Problem> {
        let (Access::Role(needed), Door::Main, Some(tokens)) =
            (self.endpoint.access, self.door, &self.app.tokens)
        else {
            return Ok(None);
        };
        let token = bearer(&head.headers)?;
        let Some(principal) = tokens.current().find(token).cloned() else {
            return Err(self.wrong_token(head));
        };
        if principal.role < needed {
            return Err(Problem::forbidden(format!(
                "the token of {:?} is for {}, and {} {} needs {}",
                principal.name,
                principal.role.name(),
                self.endpoint.method,
                self.endpoint.path,
                needed.name()
            )));
        }
        Ok(Some(principal))
    }

    fn wrong_token(&self, head: &Parts) -> Problem {
        let unknown = Peer(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let Peer(from) = head.extensions.get().copied().unwrap_or(unknown);
        if self.app.attempts.note(from, Instant::now()) {
            tracing::warn!(%from, "a request came with a wrong token");
            return Problem::unauthorized("the token is not one of this server's token_file");
        }
        let detail = "too many wrong tokens came from this address; a right one is still taken";
        Problem::of(ErrorKind::Overloaded, detail)
    }

    /// Reads the query, and refuses headers that would be ignored.
    fn query(&self, head: &Parts) -> Result<Query, Problem> {
        let query = Query::parse(head.uri.query(), &self.endpoint.parameter_names())?;
        match self.endpoint.headers {
            Headers::OfRead | Headers::Conditions => {}
            Headers::Once => condition::refuse_conditions(&head.headers)?,
            Headers::None => condition::refuse_all(&head.headers)?,
        }
        Ok(query)
    }

    /// Refuses a body where none is taken: what it says would be ignored.
    async fn body_of(&self, head: &Parts, payload: Body) -> Result<Body, Problem> {
        if self.endpoint.payload != Payload::None || payload.is_end_stream() {
            return Ok(payload);
        }
        body::refuse(payload).await?;
        if head.method == Method::POST {
            return Ok(Body::empty());
        }
        // It was announced, and empty.
        Err(Problem::invalid("leave the body out, and what announces one"))
    }
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let (value, more) = (values.next(), values.next());
    let text = value.filter(|_| more.is_none()).and_then(|value| value.to_str().ok());
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(token.trim());
    }
    Err(Problem::unauthorized("give a token: Authorization: Bearer kvraft_…"))
}

/// The role that a token needs for an endpoint, if it needs one.
pub(super) const fn role_of(access: Access) -> Option<Role> {
    match access {
        Access::Anyone => None,
        Access::Role(role) => Some(role),
    }
}
