//! `/txn`: comparisons, and what to do if they hold or else, applied at once.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvraft::{Cmp, Compare, Entry, Op, OpResult, Txn};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::body::{self, Limit};
use super::object::{self, Object};
use super::problem::Problem;
use super::query::Query;
use super::{App, condition, json as json_response, key};

/// `{"compares": […], "then": […], "else": […]}`, each list optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    #[serde(deserialize_with = "compares")]
    compares: Vec<CompareDocument>,
    #[serde(deserialize_with = "then")]
    then: Vec<OpDocument>,
    #[serde(rename = "else", deserialize_with = "otherwise")]
    otherwise: Vec<OpDocument>,
}

fn compares<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<CompareDocument>, D::Error> {
    object::list("compares", list)
}

fn then<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<OpDocument>, D::Error> {
    object::list("then", list)
}

fn otherwise<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<OpDocument>, D::Error> {
    object::list("else", list)
}

/// `{"key": "k", "target": "revision|created|value|exists", "op": "=|!=|<|>", "value": …}`; bytes
/// that are not text come as `key_base64` and `value_base64`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareDocument {
    key: Option<String>,
    key_base64: Option<String>,
    target: Target,
    #[serde(default)]
    op: Relation,
    value: Option<Value>,
    value_base64: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Revision,
    Created,
    Value,
    Exists,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
enum Relation {
    #[default]
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = ">")]
    Greater,
}

/// `{"op": "get|put|delete|increment", "key": "k", …}`: `body`, `ttl`, `lease` of a put, `previous`
/// of a put or delete, `delta` of an increment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpDocument {
    op: Verb,
    key: Option<String>,
    key_base64: Option<String>,
    body: Option<String>,
    body_base64: Option<String>,
    ttl: Option<String>,
    lease: Option<String>,
    previous: Option<bool>,
    delta: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Get,
    Put,
    Delete,
    Increment,
}

/// Applies a transaction and answers with what each operation of the branch that ran did.
pub(crate) async fn txn(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, payload) = request.into_parts();
    let options = condition::idempotent(&head, query.write_options()?)?;
    let map = app.map()?;
    let limit = Limit::of_transaction(map.max_command_bytes()?);
    let text = body::read(payload, limit, &app.body_kib).await?;
    let done = map.txn_with(read(&text.bytes)?, options).await?;
    let results: Vec<_> = done.results.iter().map(result).collect();
    Ok(json_response(&json!({
        "succeeded": done.succeeded,
        "revision": done.revision,
        "results": results,
    })))
}

pub(super) fn read(text: &[u8]) -> Result<Txn, Problem> {
    match serde_json::from_slice::<Object<Document>>(text) {
        Ok(Object(document)) => document.txn(),
        Err(error) => Err(Problem::invalid(format!("the transaction cannot be read: {error}"))),
    }
}

impl Document {
    fn txn(self) -> Result<Txn, Problem> {
        let mut txn = Txn::new();
        for (index, compare) in self.compares.into_iter().enumerate() {
            txn = txn.when(compare.compare().map_err(|error| error.at("compares", index))?);
        }
        for (index, op) in self.then.into_iter().enumerate() {
            txn = txn.then(op.op().map_err(|error| error.at("then", index))?);
        }
        for (index, op) in self.otherwise.into_iter().enumerate() {
            txn = txn.or_else(op.op().map_err(|error| error.at("else", index))?);
        }
        Ok(txn)
    }
}

impl CompareDocument {
    fn compare(self) -> Result<Compare, Problem> {
        if self.value_base64.is_some() && !matches!(self.target, Target::Value) {
            return Err(Problem::invalid(
                "value_base64 is of a comparison with the target value; give value",
            ));
        }
        let key = bytes("key", self.key, self.key_base64.as_deref())?;
        match self.target {
            Target::Value => {
                let value = match self.value {
                    Some(Value::String(text)) => Some(text),
                    None => None,
                    Some(_) => {
                        return Err(Problem::invalid(
                            "value is no text; give a text, or value_base64",
                        ));
                    }
                };
                let value = bytes("value", value, self.value_base64.as_deref())?;
                Ok(Compare::value(key, self.op.cmp(), value))
            }
            Target::Exists if self.op != Relation::Equal => {
                Err(Problem::invalid("op of a comparison with the target exists is ="))
            }
            Target::Exists => match self.value {
                Some(Value::Bool(true)) => Ok(Compare::present(key)),
                Some(Value::Bool(false)) => Ok(Compare::absent(key)),
                _ => Err(Problem::invalid("value is neither true nor false")),
            },
            Target::Revision => {
                Ok(Compare::revision(key, self.op.cmp(), revision(self.value.as_ref())?))
            }
            Target::Created => {
                Ok(Compare::created(key, self.op.cmp(), revision(self.value.as_ref())?))
            }
        }
    }
}

fn revision(value: Option<&Value>) -> Result<u64, Problem> {
    let number = value.and_then(Value::as_u64);
    number.ok_or_else(|| Problem::invalid("value is no revision, which is a number from 0 on"))
}

impl Relation {
    const fn cmp(self) -> Cmp {
        match self {
            Self::Equal => Cmp::Equal,
            Self::NotEqual => Cmp::NotEqual,
            Self::Less => Cmp::Less,
            Self::Greater => Cmp::Greater,
        }
    }
}

impl OpDocument {
    fn op(self) -> Result<Op, Problem> {
        self.check_fields()?;
        let key = bytes("key", self.key, self.key_base64.as_deref())?;
        let mut op = match self.op {
            Verb::Get => Op::get(key),
            Verb::Put => Op::put(key, bytes("body", self.body, self.body_base64.as_deref())?),
            Verb::Delete => Op::delete(key),
            Verb::Increment => Op::increment(key, self.delta.unwrap_or(1)),
        };
        if let Some(ttl) = self.ttl {
            op = op.ttl(humantime::parse_duration(&ttl).map_err(|_| {
                Problem::invalid(format!("ttl {ttl:?} is not a duration, such as 10s"))
            })?);
        }
        if let Some(lease) = self.lease {
            op = op.lease(lease.parse()?);
        }
        Ok(if self.previous == Some(true) { op.want_previous() } else { op })
    }

    /// Refuses fields that the operation would ignore.
    fn check_fields(&self) -> Result<(), Problem> {
        use Verb::{Delete, Increment, Put};
        let fields: [(_, _, &[Verb], _); 6] = [
            ("body", self.body.is_some(), &[Put], "a put"),
            ("body_base64", self.body_base64.is_some(), &[Put], "a put"),
            ("ttl", self.ttl.is_some(), &[Put], "a put"),
            ("lease", self.lease.is_some(), &[Put], "a put"),
            ("previous", self.previous.is_some(), &[Put, Delete], "a put or a delete"),
            ("delta", self.delta.is_some(), &[Increment], "an increment"),
        ];
        let misplaced = fields.iter().find(|(_, given, of, _)| *given && !of.contains(&self.op));
        if let Some((name, _, _, of)) = misplaced {
            return Err(Problem::invalid(format!("{name} is of {of}; leave it out")));
        }
        if self.ttl.is_some() && self.lease.is_some() {
            return Err(Problem::invalid("ttl and lease exclude each other; give one"));
        }
        Ok(())
    }
}

fn bytes(name: &str, text: Option<String>, base64: Option<&str>) -> Result<Vec<u8>, Problem> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(coded)) => STANDARD
            .decode(coded)
            .map_err(|_| Problem::invalid(format!("{name}_base64 is not base64"))),
        (None, None) | (Some(_), Some(_)) => {
            Err(Problem::invalid(format!("give {name}, or {name}_base64")))
        }
    }
}

fn result(result: &OpResult) -> Value {
    let entry = |entry: &Option<Entry>| entry.as_ref().map_or(Value::Null, key::document);
    let with_previous = |name: &str, was: bool, previous: &Option<Entry>| {
        let mut fields = Map::new();
        fields.insert(name.to_owned(), was.into());
        if previous.is_some() {
            fields.insert("previous".to_owned(), entry(previous));
        }
        Value::Object(fields)
    };
    match result {
        OpResult::Got(found) => json!({ "entry": entry(found) }),
        OpResult::Put { replaced, previous } => with_previous("replaced", *replaced, previous),
        OpResult::Deleted { existed, previous } => with_previous("existed", *existed, previous),
        OpResult::Incremented(value) => json!({ "value": value }),
        // A kind of result that this face does not know.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_the_transaction_that_it_says() {
        let text = r#"{
            "compares": [
                {"key": "a", "target": "revision", "op": ">", "value": 7},
                {"key_base64": "/w==", "target": "value", "value_base64": "AA=="},
                {"key": "b", "target": "exists", "value": false}
            ],
            "then": [
                {"op": "put", "key": "a", "body": "x", "ttl": "10s", "previous": true},
                {"op": "increment", "key": "n", "delta": -2}
            ],
            "else": [{"op": "get", "key": "a"}]
        }"#;
        let expected = Txn::new()
            .when(Compare::revision("a", Cmp::Greater, 7))
            .when(Compare::value([0xff], Cmp::Equal, [0]))
            .when(Compare::absent("b"))
            .then(Op::put("a", "x").ttl(std::time::Duration::from_secs(10)).want_previous())
            .then(Op::increment("n", -2))
            .or_else(Op::get("a"));
        assert_eq!(read(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_transaction_is_refused_with_its_place_and_the_field() {
        for (text, said) in [
            ("[]", "expected an object"),
            (r#"[[], []]"#, "expected an object"),
            (r#"{"than": []}"#, "than"),
            (r#"{"then": {}}"#, "then as a list of objects"),
            (r#"{"compares": [["a", null, "exists", "=", true]]}"#, "compares[0]: "),
            (r#"{"then": [["get", "a"]]}"#, "then[0]: "),
            (r#"{"then": [{"op": "get", "key": "a"}, {"op": "jump", "key": "a"}]}"#, "then[1]: "),
            (r#"{"then": [{"op": "get", "key": "a", "key": "b"}]}"#, "then[0]: duplicate field"),
            (r#"{"else": [{"op": "put", "key": "a"}]}"#, "else[0]: give body, or body_base64"),
            (r#"{"then": [{"op": "get", "key": "a", "body": "x"}]}"#, "then[0]: body is of a put"),
            (r#"{"then": [{"op": "get", "key": "a", "previous": false}]}"#, "then[0]: previous"),
            (r#"{"then": [{"op": "put", "key": "a", "body": "", "delta": 1}]}"#, "then[0]: delta"),
            (
                r#"{"then": [{"op": "put", "key": "a", "key_base64": "", "body": ""}]}"#,
                "then[0]: give key",
            ),
            (r#"{"then": [{"op": "put", "key_base64": "?", "body": ""}]}"#, "then[0]: key_base64"),
            (r#"{"then": [{"op": "increment", "key": "a", "delta": 1.5}]}"#, "then[0]: "),
            (r#"{"then": [{"op": "put", "key": "a", "body": "", "ttl": "-1s"}]}"#, "then[0]: ttl"),
            (r#"{"then": [{"op": "put", "key": "a", "body": "", "lease": "x"}]}"#, "then[0]: "),
            (
                r#"{"compares": [{"key": "a", "target": "exists", "value": 1}]}"#,
                "compares[0]: value",
            ),
            (
                r#"{"compares": [{"key": "a", "target": "exists", "op": "<", "value": true}]}"#,
                "compares[0]: op",
            ),
            (
                r#"{"compares": [{"key": "a", "target": "exists", "value": true, "value_base64": ""}]}"#,
                "compares[0]: value_base64",
            ),
            (
                r#"{"compares": [{"key": "a", "target": "created", "value_base64": ""}]}"#,
                "compares[0]: value_base64",
            ),
            (
                r#"{"compares": [{"key": "a", "target": "revision", "value": -1}]}"#,
                "compares[0]: value",
            ),
        ] {
            let said_so = read(text.as_bytes()).unwrap_err().document()["detail"].to_string();
            assert!(said_so.contains(said), "{text}: {said_so}");
        }
    }
}
