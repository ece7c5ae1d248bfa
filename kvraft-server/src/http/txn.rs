//! `/txn`: comparisons, and what to do if they hold or else, applied at once.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvraft::{Cmp, Compare, Entry, Op, OpResult, Txn};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::query::Query;
use super::{App, body, condition, json as json_response, key};

/// Largest document: a command of the default limit, and what JSON and base64 make of it.
const MAX_BODY: usize = 16 << 20;

/// `{"compares": […], "then": […], "else": […]}`, each list optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    compares: Vec<CompareDocument>,
    then: Vec<OpDocument>,
    #[serde(rename = "else")]
    otherwise: Vec<OpDocument>,
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
    #[serde(default)]
    previous: bool,
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
    request: Request,
) -> Result<Response, Problem> {
    let (head, payload) = request.into_parts();
    condition::refuse_conditions(&head.headers)?;
    let query = Query::parse(head.uri.query(), &["timeout"], &[])?;
    let options = condition::idempotent(&head.headers, query.write_options()?)?;
    let map = app.map()?;
    let text = body::read(payload, MAX_BODY, &app.body_kib).await?;
    let done = map.txn_with(read(&text.bytes)?, options).await?;
    let results: Vec<_> = done.results.iter().map(result).collect();
    Ok(json_response(&json!({
        "succeeded": done.succeeded,
        "revision": done.revision,
        "results": results,
    })))
}

/// Reads a transaction, which is an object: a list of its fields would be taken too.
fn read(text: &[u8]) -> Result<Txn, Problem> {
    let wrong = |error| Problem::invalid(format!("the transaction cannot be read: {error}"));
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid(
            "a transaction is a JSON object with compares, then and else",
        ));
    }
    serde_json::from_slice::<Document>(text).map_err(wrong)?.txn()
}

impl Document {
    fn txn(self) -> Result<Txn, Problem> {
        let mut txn = Txn::new();
        for compare in self.compares {
            txn = txn.when(compare.compare()?);
        }
        for op in self.then {
            txn = txn.then(op.op()?);
        }
        for op in self.otherwise {
            txn = txn.or_else(op.op()?);
        }
        Ok(txn)
    }
}

impl CompareDocument {
    fn compare(self) -> Result<Compare, Problem> {
        let key = bytes("key", self.key, self.key_base64.as_deref())?;
        let cmp = self.op.cmp();
        let wrong = |what| Problem::invalid(format!("a comparison of {what}"));
        Ok(match self.target {
            Target::Value => {
                let value = match self.value {
                    Some(Value::String(text)) => Some(text),
                    None => None,
                    Some(_) => return Err(wrong("values needs a text, or value_base64")),
                };
                Compare::value(key, cmp, bytes("value", value, self.value_base64.as_deref())?)
            }
            Target::Exists => match self.value {
                Some(Value::Bool(exists)) if self.op == Relation::Equal => {
                    if exists {
                        Compare::present(key)
                    } else {
                        Compare::absent(key)
                    }
                }
                _ => return Err(wrong("existence needs true or false, and no other op than =")),
            },
            Target::Revision | Target::Created => {
                let number = self.value.as_ref().and_then(Value::as_u64);
                let number = number.ok_or_else(|| wrong("revisions needs a number"))?;
                match self.target {
                    Target::Created => Compare::created(key, cmp, number),
                    Target::Revision | Target::Value | Target::Exists => {
                        Compare::revision(key, cmp, number)
                    }
                }
            }
        })
    }
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
        Ok(if self.previous { op.want_previous() } else { op })
    }

    /// Refuses fields that the operation would ignore.
    fn check_fields(&self) -> Result<(), Problem> {
        let put = self.body.is_some() || self.body_base64.is_some();
        let life = self.ttl.is_some() || self.lease.is_some();
        let misplaced = (put || life) && self.op != Verb::Put
            || self.previous && !matches!(self.op, Verb::Put | Verb::Delete)
            || self.delta.is_some() && self.op != Verb::Increment
            || self.ttl.is_some() && self.lease.is_some();
        if misplaced {
            return Err(Problem::invalid(
                "body, ttl or lease are of a put, previous of a put or delete, delta of an increment",
            ));
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
    fn what_is_no_transaction_is_refused_in_words() {
        for text in [
            "[]",
            r#"{"than": []}"#,
            r#"{"then": [{"op": "put", "key": "a"}]}"#,
            r#"{"then": [{"op": "get", "key": "a", "body": "x"}]}"#,
            r#"{"then": [{"op": "put", "key": "a", "key_base64": "", "body": ""}]}"#,
            r#"{"then": [{"op": "put", "key_base64": "?", "body": ""}]}"#,
            r#"{"then": [{"op": "increment", "key": "a", "delta": 1.5}]}"#,
            r#"{"then": [{"op": "put", "key": "a", "body": "", "ttl": "-1s"}]}"#,
            r#"{"compares": [{"key": "a", "target": "exists", "value": 1}]}"#,
            r#"{"compares": [{"key": "a", "target": "revision", "value": -1}]}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
