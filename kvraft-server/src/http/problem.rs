//! `Problem` is the body of every answer that is not a success (RFC 9457).

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use kvraft::{Error, ErrorKind};
use serde_json::{Value, json};

/// What went wrong, for programs (`type`, `status`) and for people (`title`, `detail`).
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The last part of `type`; an [`ErrorKind`]'s name wherever the core found the error.
    kind: &'static str,
    title: &'static str,
    detail: String,
    revision: Option<u64>,
}

impl Problem {
    /// Makes the problem of an error kind that this face has found itself.
    pub(crate) fn of(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let (status, title) = class(kind);
        Self { status, kind: kind.name(), title, detail: detail.into(), revision: None }
    }

    /// The request is wrong; nothing was done.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::of(ErrorKind::InvalidArgument, detail)
    }

    /// A wrong request for which HTTP has a word of its own.
    pub(crate) fn invalid_as(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, ..Self::invalid(detail) }
    }

    /// Says at which place of a list the fault is.
    #[must_use]
    pub(crate) fn at(self, list: &str, index: usize) -> Self {
        Self { detail: format!("{list}[{index}]: {}", self.detail), ..self }
    }

    /// The key has no value.
    pub(crate) fn absent() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "not_found", "No such key", "the key has no value")
    }

    /// Nobody said who asks, or nobody who is known.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::of(ErrorKind::Unauthorized, detail)
    }

    /// Who asks is known, and may not do this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::unauthorized(detail) }
    }

    /// Part of the interface, but not of this version: never silently ignored.
    pub(crate) fn unsupported(what: &str) -> Self {
        let detail = format!("{what} is not supported by this version; nothing was done");
        Self::plain(StatusCode::NOT_IMPLEMENTED, "unsupported", "Not supported", detail)
    }

    /// Nothing is served at this path.
    pub(crate) fn no_such_path(detail: impl Into<String>) -> Self {
        Self::plain(StatusCode::NOT_FOUND, "no_such_path", "No such path", detail)
    }

    /// The path does not know the method.
    pub(crate) fn method_not_allowed(detail: impl Into<String>) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::plain(status, "method_not_allowed", "Method not allowed", detail)
    }

    /// The client was too slow; nothing was done.
    pub(crate) fn too_slow(detail: impl Into<String>) -> Self {
        Self::plain(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request too slow", detail)
    }

    fn plain(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, kind, title, detail: detail.into(), revision: None }
    }

    /// The document, without its HTTP form.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:kvraft:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let (Some(revision), Some(fields)) = (self.revision, document.as_object_mut()) {
            fields.insert("revision".to_owned(), revision.into());
        }
        document
    }
}

/// The one table from error kinds to HTTP; `kvraft/testdata/errors.toml` holds all faces to it.
fn class(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidArgument => (StatusCode::BAD_REQUEST, "Invalid argument"),
        ErrorKind::Conflict => (StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        ErrorKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "No leader or no quorum; retry")
        }
        ErrorKind::Indeterminate => {
            (StatusCode::GATEWAY_TIMEOUT, "The write may or may not be applied")
        }
        ErrorKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "The storage limit is reached"),
        ErrorKind::Compacted => (StatusCode::GONE, "Too far behind"),
        ErrorKind::Expired => (StatusCode::NOT_FOUND, "The lease or lock is gone"),
        ErrorKind::Refused => (StatusCode::CONFLICT, "Refused"),
        ErrorKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "Overloaded; slow down"),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        ErrorKind::Closed => (StatusCode::SERVICE_UNAVAILABLE, "This node is closed"),
        ErrorKind::Storage => (StatusCode::INTERNAL_SERVER_ERROR, "The disk of this node failed"),
        ErrorKind::Corrupt => {
            (StatusCode::INTERNAL_SERVER_ERROR, "Bytes on this node cannot be trusted")
        }
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A bug in kvraft"),
        // The core has a kind that this face does not know: for HTTP, a bug.
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Unknown error"),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let (status, title) = match class(kind) {
            // RFC 9110 has a word for it: well formed, but not what came with this key before.
            (_, title) if error.is_request_reused() => (StatusCode::UNPROCESSABLE_ENTITY, title),
            // The client is not too fast; the cluster remembers all that it can.
            (_, title) if error.is_request_table_full() => (StatusCode::SERVICE_UNAVAILABLE, title),
            class => class,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%kind, %error, "a request failed");
        }
        // What a bug says is for its report, not for strangers.
        let detail = if kind == ErrorKind::Internal {
            "the log of this node says more; please report it"
        } else {
            error.message()
        };
        Self {
            status,
            kind: kind.name(),
            title,
            detail: detail.to_owned(),
            revision: error.revision(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.document())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kvraft\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_status_of_the_shared_table() {
        let text = include_str!("../../../kvraft/testdata/errors.toml");
        let table: toml::Table = text.parse().unwrap();
        let rows = table["error"].as_array().unwrap();
        assert_eq!(rows.len(), ErrorKind::ALL.len());
        for (row, kind) in rows.iter().zip(ErrorKind::ALL) {
            assert_eq!(row["kind"].as_str(), Some(kind.name()));
            let (status, title) = class(kind);
            assert_eq!(row["http"].as_integer(), Some(status.as_u16().into()), "{kind}");
            assert_ne!(title, "Unknown error");
        }
    }

    #[test]
    fn whoever_should_come_back_is_told_when() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Overloaded, ErrorKind::Closed] {
            let response = Problem::of(kind, "x").into_response();
            assert_eq!(response.headers()[RETRY_AFTER], "1");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }
}
