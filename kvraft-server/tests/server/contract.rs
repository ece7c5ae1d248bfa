//! What the OpenAPI document promises holds of every answer that any test gets.

use std::sync::OnceLock;

use serde_json::Value;

use crate::common::Answer;

/// Checks that an answer is documented: its status, its media type and its document. Paths and
/// methods that are not in the document are not promised anything.
pub(crate) fn check(method: &str, url: &str, answer: &Answer) {
    let Some((base, path)) = split(url) else { return };
    let Some(document) = document(base) else { return };
    let Some(operation) = operation(document, method, path) else { return };
    // The port of the probes has not all paths.
    if answer.status == 404 && answer.body.windows(12).any(|part| part == b"no_such_path") {
        return;
    }
    let responses = &operation["responses"];
    let response = &responses[answer.status.to_string()];
    assert!(response.is_object(), "{method} {path} answers {}: {answer:?}", answer.status);
    let Some(content) = response["content"].as_object().filter(|_| method != "HEAD") else {
        return assert!(answer.body.is_empty(), "{method} {path}: {answer:?}");
    };
    let media = answer.header("content-type").split(';').next().unwrap_or_default();
    let schema = content.get(media).unwrap_or_else(|| panic!("{method} {path}: {media}"));
    if media.ends_with("json") {
        let valid = valid(document, &schema["schema"], &answer.json());
        assert_eq!(valid, Ok(()), "{method} {path}: {}", answer.json());
    }
}

fn split(url: &str) -> Option<(&str, &str)> {
    let at = url.find("://")? + 3;
    let end = url[at..].find('/')? + at;
    Some((&url[..end], url[end..].split('?').next()?))
}

/// The document of the first server that gave one; it is the same everywhere.
fn document(base: &str) -> Option<&'static Value> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    if let Some(document) = DOCUMENT.get() {
        return Some(document);
    }
    let mut answer = ureq::get(format!("{base}/openapi.json")).call().ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some(DOCUMENT.get_or_init(|| serde_json::from_str(&text).unwrap()))
}

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let paths = document["paths"].as_object().unwrap();
    let (_, methods) = paths.iter().find(|(template, _)| {
        let (wanted, found): (Vec<_>, Vec<_>) =
            (template.split('/').collect(), path.split('/').collect());
        let fits = |(wanted, found): (&&str, &&str)| {
            wanted == found || (wanted.starts_with('{') && !found.is_empty())
        };
        wanted.len() == found.len() && wanted.iter().zip(&found).all(fits)
    })?;
    methods.get(method.to_lowercase())
}

/// Whether a value is what a schema says, as far as our schemas go.
fn valid(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(place) = schema["$ref"].as_str() {
        let schema = document.pointer(place.trim_start_matches('#'));
        return valid(document, schema.ok_or(place)?, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fit = choices.iter().filter(|choice| valid(document, choice, value).is_ok()).count();
        return if fit == 1 { Ok(()) } else { Err(format!("{value} fits {fit} of {choices:?}")) };
    }
    if !of_type(&schema["type"], value) {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        valid(document, &schema["items"], item)?;
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap_or_default()) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, field) in fields {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => valid(document, schema, field)?,
            (None, Value::Bool(false)) => return Err(format!("{name} is not documented")),
            (None, other) => valid(document, other, field)?,
        }
    }
    Ok(())
}

fn of_type(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str() {
        None => wanted.as_array().is_none_or(|all| all.iter().any(|one| of_type(one, value))),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        Some(other) => panic!("the schemas have a new type, {other}"),
    }
}
