//! What the headers of a write ask for: conditions (RFC 9110) and a request id.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use kvraft::WriteOptions;

use super::etag;
use super::problem::Problem;
use crate::tokens::Principal;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Adds to a write of one key what its headers ask for: `If-Match` with one revision or `*`,
/// `If-None-Match: *`, `Idempotency-Key`.
pub(crate) fn conditional(head: &Parts, options: WriteOptions) -> Result<WriteOptions, Problem> {
    let headers = &head.headers;
    let options = match (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?) {
        (None, None) => options,
        (Some("*"), None) => options.if_present(),
        (Some(tag), None) => options.if_revision(revision(tag)?),
        (None, Some("*")) => options.if_absent(),
        (None, Some(_)) => {
            return Err(Problem::invalid("if-none-match of a write is *: only if there is none"));
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("if-match and if-none-match exclude each other"));
        }
    };
    idempotent(head, options)
}

/// Adds the request id alone, for writes that have conditions of their own.
pub(crate) fn idempotent(head: &Parts, options: WriteOptions) -> Result<WriteOptions, Problem> {
    let Some(id) = one(&head.headers, &IDEMPOTENCY_KEY)? else { return Ok(options) };
    // Some clients send it as a quoted string, as a draft of the header has it.
    let id = unquoted(id);
    Ok(match head.extensions.get::<Principal>() {
        None => options.request_id(id),
        // The same key of somebody else is another one. No header and no name has a zero byte, so
        // that no two of these are alike.
        Some(Principal { name, .. }) => options.request_id(format!("{name}\0{id}")),
    })
}

/// Refuses conditions on what has none.
pub(crate) fn refuse_conditions(headers: &HeaderMap) -> Result<(), Problem> {
    match [IF_MATCH, IF_NONE_MATCH].iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(Problem::invalid(format!("{name} is not for this request"))),
        None => Ok(()),
    }
}

/// Refuses conditions and a request id on what takes neither: they must not be ignored.
pub(crate) fn refuse_all(headers: &HeaderMap) -> Result<(), Problem> {
    refuse_conditions(headers)?;
    if headers.contains_key(IDEMPOTENCY_KEY) {
        return Err(Problem::invalid("idempotency-key is not for this request"));
    }
    Ok(())
}

fn unquoted(id: &str) -> &str {
    id.strip_prefix('"').and_then(|id| id.strip_suffix('"')).unwrap_or(id)
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(format!("{name} is given twice")));
    }
    let text = value.to_str().map_err(|_| Problem::invalid(format!("{name} is not text")))?;
    Ok(Some(text.trim()))
}

/// The revision whose ETag this is. Another way to write its number is another ETag; and there is no
/// revision 0, which to the map would mean that there is no entry.
fn revision(tag: &str) -> Result<u64, Problem> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let revision = digits.and_then(|digits| digits.parse().ok());
    revision.filter(|revision| *revision > 0 && etag(*revision) == tag).ok_or_else(|| {
        Problem::invalid(format!(
            "if-match {tag:?} is not one strong ETag of this interface, such as \"17\", or *"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(HeaderName, &str)]) -> Parts {
        let (mut head, ()) = axum::http::Request::new(()).into_parts();
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        head.headers = pairs.collect();
        head
    }

    #[test]
    fn an_idempotency_key_is_of_the_one_whose_token_came_with_it() {
        let of = |name: Option<&str>, id: &str| {
            let mut head = head(&[(IDEMPOTENCY_KEY, id)]);
            if let Some(name) = name {
                let role = crate::tokens::Role::Write;
                head.extensions.insert(Principal { name: name.to_owned(), role });
            }
            format!("{:?}", idempotent(&head, WriteOptions::new()).unwrap())
        };
        assert_eq!(of(Some("a"), "1"), of(Some("a"), "\"1\""));
        let all = [of(None, "1"), of(Some("a"), "1"), of(Some("b"), "1"), of(Some("a"), "2")];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{one}");
        }
    }

    #[test]
    fn one_condition_is_taken_and_anything_else_refused() {
        let cases: [(&[(HeaderName, &str)], bool); 12] = [
            (&[(IF_MATCH, "\"017\"")], false),
            (&[(IF_MATCH, "\"0\"")], false),
            (&[(IF_MATCH, "\"+17\"")], false),
            (&[], true),
            (&[(IF_MATCH, "\"17\"")], true),
            (&[(IF_MATCH, "*")], true),
            (&[(IF_NONE_MATCH, "*")], true),
            (&[(IF_MATCH, "\"17\", \"18\"")], false),
            (&[(IF_MATCH, "W/\"17\"")], false),
            (&[(IF_MATCH, "17")], false),
            (&[(IF_NONE_MATCH, "\"17\"")], false),
            (&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")], false),
        ];
        for (pairs, taken) in cases {
            let options = conditional(&head(pairs), WriteOptions::new());
            assert_eq!(options.is_ok(), taken, "{pairs:?}");
        }
    }
}
