//! The JSON schemas of the documents that the interface takes and gives.

use serde_json::{Map, Value, json};

/// All schemas, by name.
pub(super) fn all() -> Value {
    let groups = [entries(), transactions(), lasting(), cluster()];
    let all: Map<_, _> = groups.into_iter().filter_map(fields).flatten().collect();
    Value::Object(all)
}

fn fields(group: Value) -> Option<Map<String, Value>> {
    match group {
        Value::Object(fields) => Some(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn base64() -> Value {
    json!({ "type": "string", "contentEncoding": "base64" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn switch() -> Value {
    json!({ "type": "boolean" })
}

fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A key alone: text, or an object for other bytes.
fn key() -> Value {
    let other = json!({
        "type": "object", "properties": { "key_base64": base64() }, "required": ["key_base64"],
    });
    json!({ "oneOf": [text(), other] })
}

/// An object that has these fields and others that need not be there.
fn object(always: &[(&str, Value)], sometimes: &[(&str, Value)]) -> Value {
    let pair = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    let properties: Map<_, _> = always.iter().chain(sometimes).map(pair).collect();
    let required: Vec<_> = always.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn entries() -> Value {
    let named = [("key", text()), ("key_base64", base64())];
    let entry = [
        ("key", text()),
        ("key_base64", base64()),
        ("body", text()),
        ("body_base64", base64()),
        ("lease", text()),
    ];
    let revisions = [("revision", number()), ("created", number())];
    let listed = json!({ "oneOf": [key(), reference("Entry")] });
    let page = [
        ("keys", list(&listed)),
        ("cursor", json!({ "type": ["string", "null"] })),
        ("revision", number()),
    ];
    let counter = [("value", json!({ "type": "integer" })), ("revision", number())];
    let problem = [("type", text()), ("title", text()), ("status", number()), ("detail", text())];
    json!({
        "Entry": object(&revisions, &entry),
        "Put": object(&[("revision", number())], &named),
        "Counter": object(&counter, &named),
        "Page": { "oneOf": [object(&page, &[]), object(&[("count", number())], &[])] },
        "RangeDeleted": object(&[("deleted", number()), ("revision", number())], &[]),
        "Problem": object(&problem, &[("revision", number())]),
        "OpenApi": { "type": "object" },
    })
}

fn transactions() -> Value {
    let compare = [
        ("key", text()),
        ("key_base64", base64()),
        ("op", json!({ "enum": ["=", "!=", "<", ">"] })),
        ("value", json!({ "type": ["string", "integer", "boolean"] })),
        ("value_base64", base64()),
    ];
    let op = [
        ("key", text()),
        ("key_base64", base64()),
        ("body", text()),
        ("body_base64", base64()),
        ("ttl", text()),
        ("lease", text()),
        ("previous", switch()),
        ("delta", json!({ "type": "integer" })),
    ];
    let target = json!({ "enum": ["revision", "created", "value", "exists"] });
    let verb = json!({ "enum": ["get", "put", "delete", "increment"] });
    let lists = [
        ("compares", list(&reference("Compare"))),
        ("then", list(&reference("Op"))),
        ("else", list(&reference("Op"))),
    ];
    let done = [
        ("succeeded", switch()),
        ("revision", number()),
        ("results", list(&json!({ "type": "object" }))),
    ];
    json!({
        "Compare": object(&[("target", target)], &compare),
        "Op": object(&[("op", verb)], &op),
        "Txn": object(&[], &lists),
        "TxnDone": object(&done, &[]),
    })
}

fn lasting() -> Value {
    let lease = [
        ("lease", text()),
        ("ttl_ms", number()),
        ("remaining_ms", number()),
        ("keys", list(&key())),
    ];
    let named = [("name", text()), ("name_base64", base64())];
    json!({
        "LeaseGranted": object(&[("lease", text())], &[]),
        "Lease": object(&lease, &[]),
        "Lock": object(&[("lease", text()), ("token", number())], &named),
    })
}

fn cluster() -> Value {
    let absent = |kind: &str| json!({ "type": [kind, "null"] });
    let member = [
        ("name", text()),
        ("nodeID", text()),
        ("address", text()),
        ("http", text()),
        ("labels", json!({ "type": "object", "additionalProperties": text() })),
        ("voter", switch()),
        ("matched", absent("integer")),
        ("link", json!({ "oneOf": [reference("Link"), { "type": "null" }] })),
    ];
    let link =
        [("roundTripMicros", number()), ("packetsSent", number()), ("packetsLost", number())];
    let state = [
        ("name", text()),
        ("nodeID", text()),
        ("voter", switch()),
        ("stateHash", absent("string")),
        ("failure", absent("string")),
    ];
    let members = list(&reference("Member"));
    let verification = [
        ("verdict", text()),
        ("revision", number()),
        ("diverged", list(&text())),
        ("members", list(&reference("MemberState"))),
    ];
    let texts = ["leaderID", "leaderHTTP", "name", "nodeID", "clusterID", "role", "version"];
    let numbers = [
        "term",
        "firstLog",
        "lastLog",
        "committed",
        "applied",
        "revision",
        "keys",
        "bytes",
        "formatLevel",
    ];
    let switches = ["isLead", "ready", "diskFull"];
    let mut status: Vec<_> = texts.map(|name| (name, text())).to_vec();
    status.extend(numbers.map(|name| (name, number())));
    status.extend(switches.map(|name| (name, switch())));
    status.push(("members", members.clone()));
    status.push(("divergence", absent("string")));
    status.push(("failure", json!({ "oneOf": [{ "type": "null" }, reference("Problem")] })));
    let listed = [("leaderID", text()), ("lastLog", number()), ("members", members)];
    json!({
        "Member": object(&member, &[]),
        "Link": object(&link, &[]),
        "MemberState": object(&state, &[]),
        "Members": object(&listed, &[]),
        "Verification": object(&verification, &[]),
        "Status": object(&status, &[]),
    })
}
