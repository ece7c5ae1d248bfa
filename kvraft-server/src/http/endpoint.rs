//! An `Endpoint` is one method of one path: who may use it, what it takes, what it answers.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::MethodRouter;

use super::App;
use crate::tokens::Role;

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever reaches the port.
    Anyone,
    /// Who has a token of this role or a higher one.
    Role(Role),
}

/// Who answers in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// This node alone, or whichever it is sent to.
    Node,
    /// The leader, unless the `consistency` of the request says that this node is enough.
    LeaderUnlessSaid,
    /// The leader.
    Leader,
}

/// Which headers of a request have a meaning; of the others of them none is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    /// Those of a read, which its handler looks at.
    OfRead,
    /// No condition, and no request id.
    None,
    /// `Idempotency-Key`.
    Once,
    /// `If-Match`, `If-None-Match` and `Idempotency-Key`.
    Conditions,
}

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    None,
    /// The bytes of a value.
    Value,
    /// A transaction in JSON.
    Transaction,
}

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    None,
    /// A JSON document, of this schema.
    Json(&'static str),
    /// The entry of a key as JSON, or its value alone.
    EntryOrBytes,
    Bytes,
    Events,
    Text,
    Html,
}

/// What a parameter of the query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Text,
    Switch,
    Number,
    /// A number from 1 on.
    Positive,
    SignedNumber,
    Duration,
    /// A duration of at most ten minutes.
    Patience,
    LeaseId,
    Consistency,
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

impl Parameter {
    pub(super) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about }
    }
}

/// An answer that is not one of those which every endpoint may give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content: Content,
    pub(super) about: &'static str,
}

impl Answer {
    pub(super) const fn new(status: u16, content: Content, about: &'static str) -> Self {
        Self { status, content, about }
    }
}

/// One method of one path.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) asks: Asks,
    pub(super) headers: Headers,
    pub(super) payload: Payload,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) answers: &'static [Answer],
    pub(super) handler: fn() -> MethodRouter<Arc<App>>,
}

impl Endpoint {
    /// Reads that whoever has the role `access` may do.
    pub(super) const fn get(
        path: &'static str,
        access: Access,
        about: &'static str,
        handler: fn() -> MethodRouter<Arc<App>>,
    ) -> Self {
        Self {
            method: Method::GET,
            path,
            access,
            asks: Asks::Node,
            headers: Headers::OfRead,
            payload: Payload::None,
            about,
            parameters: &[],
            answers: &[],
            handler,
        }
    }

    /// Something that the leader has to do.
    pub(super) const fn change(
        method: Method,
        path: &'static str,
        role: Role,
        about: &'static str,
        handler: fn() -> MethodRouter<Arc<App>>,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Role(role),
            asks: Asks::Leader,
            headers: Headers::None,
            payload: Payload::None,
            about,
            parameters: &[],
            answers: &[],
            handler,
        }
    }

    pub(super) const fn asks(mut self, asks: Asks) -> Self {
        self.asks = asks;
        self
    }

    pub(super) const fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    pub(super) const fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    pub(super) const fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(super) const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    /// The names of the parameters in its query.
    pub(super) fn parameter_names(&self) -> Vec<&'static str> {
        self.parameters.iter().map(|parameter| parameter.name).collect()
    }
}
