//! What holds of every endpoint: its role, its place in the documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use kvraft::Consistency;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::{App, Options, endpoints, guard, openapi, routes};
use crate::reloaded::Reloaded;
use crate::settings::FollowerMode;
use crate::tokens::{self, Role, Tokens};

/// Who may do what. A route that is new or gone has to be said here too.
const WHO: [(&str, &str); 30] = [
    ("DELETE /cluster/members/{name}", "admin"),
    ("DELETE /key/{id}", "write"),
    ("DELETE /keys", "write"),
    ("DELETE /leases/{id}", "write"),
    ("DELETE /locks/{name}", "write"),
    ("GET /backup", "admin"),
    ("GET /cluster/members", "admin"),
    ("GET /healthz", "anyone"),
    ("GET /key/{id}", "read"),
    ("GET /keys", "read"),
    ("GET /leases/{id}", "read"),
    ("GET /livez", "anyone"),
    ("GET /metrics", "read"),
    ("GET /openapi.json", "anyone"),
    ("GET /readyz", "anyone"),
    ("GET /status", "read"),
    ("GET /ui", "anyone"),
    ("GET /watch", "read"),
    ("POST /cluster/members/{name}/demote", "admin"),
    ("POST /cluster/members/{name}/promote", "admin"),
    ("POST /cluster/refill", "admin"),
    ("POST /cluster/shrink", "admin"),
    ("POST /cluster/transfer", "admin"),
    ("POST /cluster/verify", "admin"),
    ("POST /key/{id}/increment", "write"),
    ("POST /leases", "write"),
    ("POST /leases/{id}/keep-alive", "write"),
    ("POST /locks/{name}", "write"),
    ("POST /txn", "write"),
    ("PUT /key/{id}", "write"),
];

fn title(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method, endpoint.path)
}

/// Asks an endpoint of a server whose node is not open yet.
async fn asked(routes: &Router, endpoint: &Endpoint, authorization: Option<&str>) -> Response {
    let path = endpoint.path.replace(['{', '}'], "");
    let mut request = Request::builder().method(endpoint.method.clone()).uri(path);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Body::empty()).unwrap();
    TowerToHyperService::new(routes.clone()).call(request).await.unwrap()
}

/// A server with one token of each role.
fn guarded(dir: &std::path::Path) -> (Router, [(Role, String); 3]) {
    let file = dir.join("tokens");
    let made = Role::ALL.map(|role| (role, tokens::generate(role, None).unwrap()));
    let lines: Vec<_> = made.iter().map(|(_, new)| new.line.clone()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let tokens = Reloaded::open("token_file", vec![file], Tokens::read).unwrap();
    let app = App::new(Options {
        tokens: Some(Arc::new(tokens)),
        follower_mode: FollowerMode::Forward,
        consistency: Consistency::Linearizable,
        max_watches: 1,
        traces: Arc::default(),
    });
    (routes(Arc::new(app)), made.map(|(role, new)| (role, new.token)))
}

#[test]
fn every_endpoint_has_the_role_that_it_should() {
    let mut roles: Vec<_> = endpoints::all()
        .map(|endpoint| {
            let role = guard::role_of(endpoint.access).map_or("anyone", Role::name);
            (title(endpoint), role)
        })
        .collect();
    roles.sort();
    let wanted: Vec<_> = WHO.iter().map(|(title, role)| ((*title).to_owned(), *role)).collect();
    assert_eq!(roles, wanted);
}

#[tokio::test]
async fn every_endpoint_lets_in_the_roles_that_may_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let (routes, tokens) = guarded(dir.path());
    for endpoint in endpoints::all() {
        let needed = guard::role_of(endpoint.access);
        for (role, token) in &tokens {
            let answer = asked(&routes, endpoint, Some(&format!("bearer {token}"))).await;
            let refused = answer.status() == StatusCode::FORBIDDEN;
            let may = needed.is_none_or(|needed| *role >= needed);
            assert_eq!(refused, !may, "{} as {}: {answer:?}", title(endpoint), role.name());
            assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{}", title(endpoint));
        }
        let token = &tokens[0].1;
        let basic = format!("Basic {token}");
        let wrong = format!("Bearer {token}x");
        for nobody in [None, Some(basic.as_str()), Some(wrong.as_str()), Some(token.as_str())] {
            let answer = asked(&routes, endpoint, nobody).await;
            if needed.is_none() {
                assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{}", title(endpoint));
                continue;
            }
            let limited = answer.status() == StatusCode::TOO_MANY_REQUESTS;
            if nobody != Some(wrong.as_str()) || !limited {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{}", title(endpoint));
                assert!(answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().contains("Bearer"));
            }
        }
    }
}

#[tokio::test]
async fn every_endpoint_is_served_by_its_method() {
    let routes = routes(Arc::new(App::for_tests()));
    for endpoint in endpoints::all() {
        let answer = asked(&routes, endpoint, None).await;
        assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{}", title(endpoint));
        assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{}", title(endpoint));
        let known = answer.extensions().get::<&'static Endpoint>().unwrap();
        assert_eq!(title(known), title(endpoint));
    }
}

/// All values of a field, wherever it is in a document.
fn all_of<'a>(document: &'a Value, field: &str, found: &mut Vec<&'a str>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get(field).and_then(Value::as_str));
            fields.values().for_each(|value| all_of(value, field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all_of(item, field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_openapi_document_has_every_endpoint_once_and_refers_to_what_it_has() {
    let document = openapi::document();
    let (mut ids, mut references) = (Vec::new(), Vec::new());
    all_of(&document, "operationId", &mut ids);
    all_of(&document, "$ref", &mut references);
    let reads = endpoints::all().filter(|endpoint| endpoint.method == "GET").count();
    assert_eq!(ids.len(), endpoints::all().count() + reads);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for reference in references {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
    for endpoint in endpoints::all() {
        let method = endpoint.method.as_str().to_lowercase();
        let operation = &document["paths"][endpoint.path][&method];
        let names = operation["parameters"].as_array().unwrap().iter();
        let names: Vec<_> = names.filter(|p| p["in"] == "query").map(|p| &p["name"]).collect();
        assert_eq!(names, endpoint.parameter_names(), "{}", title(endpoint));
        for answer in endpoint.answers {
            let status = answer.status.to_string();
            assert!(operation["responses"][status].is_object(), "{}", title(endpoint));
        }
    }
}

#[test]
fn the_reference_for_readers_has_every_endpoint_with_its_role_and_its_parameters() {
    let text = include_str!("../../../docs/http.md");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
    for endpoint in endpoints::all() {
        let title = format!("| `{} {}` |", endpoint.method, endpoint.path);
        let row: Vec<_> = rows.iter().filter(|row| row.starts_with(&title)).collect();
        assert_eq!(row.len(), 1, "{title} in docs/http.md");
        let role = guard::role_of(endpoint.access).map_or("anyone", Role::name);
        assert!(row[0].contains(&format!("| {role} |")), "{title} is for {role}");
        for name in endpoint.parameter_names() {
            assert!(row[0].contains(&format!("`{name}`")), "{title} takes {name}");
        }
    }
    let titled = rows.iter().filter(|row| row.contains(" /")).count();
    assert_eq!(titled, endpoints::all().count(), "rows of routes that are no more");
}
