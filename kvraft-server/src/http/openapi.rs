//! `/openapi.json`: the interface as an OpenAPI 3.1 document, made of the table of endpoints.

use axum::http::Method;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::endpoint::{Answer, Asks, Content, Endpoint, Headers, Kind, Parameter, Payload};
use super::{endpoints, guard, json as json_response, schemas};

/// Gives the document.
pub(super) async fn openapi() -> Response {
    json_response(&document())
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints::all() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(endpoint.method.as_str().to_lowercase(), operation(endpoint));
            if endpoint.method == Method::GET {
                methods.insert("head".to_owned(), head(endpoint));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kvraft",
            "summary": "An ordered map that survives the loss of machines.",
            "description": "Every node takes every request. Errors are problem documents (RFC \
                            9457), and none hides in a 200. Keys are percent-encoded path \
                            segments: a slash inside a key is %2F.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the server's token_file; needed if it has one.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.about,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    if let Some(fields) = operation.as_object_mut() {
        if let Some(role) = guard::role_of(endpoint.access) {
            fields.insert("x-role".to_owned(), role.name().into());
            // An empty requirement: a server without a token file needs none.
            fields.insert("security".to_owned(), json!([{}, { "token": [] }]));
        }
        if let Some(content) = payload(endpoint.payload) {
            fields.insert("requestBody".to_owned(), content);
        }
    }
    operation
}

/// The same as `GET`, without the bodies.
fn head(endpoint: &Endpoint) -> Value {
    let mut operation = operation(endpoint);
    if let Some(fields) = operation.as_object_mut() {
        let id = format!("head{}", operation_id(endpoint).trim_start_matches("get"));
        fields.insert("operationId".to_owned(), id.into());
        let about = format!("The head of the same with GET. {}", endpoint.about);
        fields.insert("summary".to_owned(), about.into());
    }
    let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
    for answer in answers.into_iter().flat_map(|answers| answers.values_mut()) {
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("content");
        }
    }
    operation
}

/// `get_key_id` of `GET /key/{id}`.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
    let method = endpoint.method.as_str().to_lowercase();
    words.fold(method, |id, word| format!("{id}_{word}"))
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let text = || json!({ "type": "string" });
        let schema = if endpoint.path.starts_with("/leases/") { lease_id() } else { text() };
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let in_query = endpoint.parameters.iter().map(in_query);
    in_path.chain(in_query).chain(in_headers(endpoint)).collect()
}

fn in_query(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Bytes | Kind::Text => json!({ "type": "string" }),
        Kind::Switch => json!({ "type": "string", "enum": ["", "true", "1", "false", "0"] }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Positive => json!({ "type": "integer", "minimum": 1 }),
        Kind::SignedNumber => json!({ "type": "integer", "format": "int64" }),
        Kind::Duration => json!({ "type": "string", "examples": ["500ms", "10s", "1h"] }),
        Kind::Patience => json!({ "type": "string", "examples": ["500ms", "2s"] }),
        Kind::LeaseId => lease_id(),
        Kind::Consistency => {
            json!({ "type": "string", "enum": ["linearizable", "lease", "local"] })
        }
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "allowEmptyValue": parameter.kind == Kind::Switch,
        "schema": schema,
    })
}

/// Of 16 hexadecimal digits those in front may be left out; none is all 0.
fn lease_id() -> Value {
    json!({ "type": "string", "pattern": "^0*[1-9a-fA-F][0-9a-fA-F]*$", "maxLength": 16 })
}

fn in_headers(endpoint: &Endpoint) -> Vec<Value> {
    let header = |name: &str, about: &str| json!({ "name": name, "in": "header", "description": about, "schema": { "type": "string" } });
    let once = header(
        "Idempotency-Key",
        "The request is applied once, however often it comes with this key within an hour.",
    );
    let if_match = header("If-Match", "Only if the key is at this revision: \"17\", or * for any.");
    let if_none = header("If-None-Match", "*: only if the key has no value.");
    match (endpoint.headers, endpoint.path) {
        (Headers::Conditions, _) => vec![if_match, if_none, once],
        (Headers::Once, _) => vec![once],
        (Headers::OfRead, "/key/{id}") => {
            vec![header("If-None-Match", "304 if the key is still at one of these revisions.")]
        }
        (Headers::OfRead, "/watch") => {
            vec![header("Last-Event-ID", "Go on after the event of this revision.")]
        }
        (Headers::OfRead | Headers::None, _) => Vec::new(),
    }
}

fn payload(payload: Payload) -> Option<Value> {
    let content = match payload {
        Payload::None => return None,
        Payload::Value => json!({ "application/octet-stream": { "schema": {} } }),
        Payload::Transaction => {
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Txn" } } })
        }
    };
    Some(json!({ "required": true, "content": content }))
}

fn responses(endpoint: &Endpoint) -> Value {
    let own = endpoint.answers.iter().map(|answer| (answer.status.to_string(), response(answer)));
    let problem = |status: &u16| {
        let answer = Answer::new(*status, Content::Json("Problem"), about(*status));
        (status.to_string(), response(&answer))
    };
    let mut all: Map<_, _> = general(endpoint).iter().map(problem).collect();
    if endpoint.asks != Asks::Node {
        let about = "The leader is asked instead (follower_mode redirect).";
        let headers = json!({ "Location": { "schema": { "type": "string" } } });
        all.insert("307".to_owned(), json!({ "description": about, "headers": headers }));
    }
    all.extend(own);
    Value::Object(all)
}

/// The problems that an endpoint may have beside its own.
fn general(endpoint: &Endpoint) -> Vec<u16> {
    let mut all = vec![400, 429, 500, 503];
    if guard::role_of(endpoint.access).is_some() {
        all.extend([401, 403]);
    }
    if endpoint.payload != Payload::None {
        all.extend([408, 413]);
    }
    match endpoint.headers {
        Headers::Conditions => all.extend([412, 422]),
        Headers::Once => all.push(422),
        Headers::OfRead | Headers::None => {}
    }
    if endpoint.asks == Asks::Leader {
        all.extend([404, 409, 504, 507]);
    } else if endpoint.path.contains('{') {
        all.push(404);
    }
    all.extend(
        (endpoint.path == "/cluster/verify" || endpoint.path == "/cluster/refill")
            .then_some([409, 504])
            .into_iter()
            .flatten(),
    );
    all.extend((endpoint.path == "/keys").then_some(410));
    all
}

const fn about(status: u16) -> &'static str {
    match status {
        400 => "Something in the request is wrong; nothing was done.",
        401 => "There is no token, or not a known one.",
        403 => "The token's role is not enough.",
        404 => "There is no such key, lease or lock.",
        408 => "The body came too slowly; nothing was done.",
        409 => "The cluster or the holder of a lock refuses it.",
        410 => "What was asked for is not held any more.",
        412 => "The condition does not hold; `revision` is the current one.",
        413 => "The body is too large.",
        422 => "The idempotency key came with another request before.",
        429 => "Too much at a time; come back after Retry-After seconds.",
        503 => "No leader or no quorum, or this node stops; nothing was done, come back.",
        504 => "The write was sent and its answer lost: it may or may not be applied.",
        507 => "The storage limit is reached; deletes are let in.",
        _ => "A fault of the server.",
    }
}

fn response(answer: &Answer) -> Value {
    let reference =
        |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    let content = match answer.content {
        Content::None => return json!({ "description": answer.about }),
        Content::Json("Problem") => json!({ "application/problem+json": reference("Problem") }),
        Content::Json(name) => json!({ "application/json": reference(name) }),
        Content::EntryOrBytes => json!({
            "application/json": reference("Entry"),
            "application/octet-stream": { "schema": {} },
        }),
        Content::Bytes => json!({ "application/octet-stream": { "schema": {} } }),
        Content::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Content::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Content::Html => json!({ "text/html": { "schema": { "type": "string" } } }),
    };
    json!({ "description": answer.about, "content": content })
}
