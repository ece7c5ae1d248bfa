//! `Accept` decides whether a value comes as JSON or as its bytes.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Whether the client would rather have the bytes: JSON unless it names them, and does not name
/// JSON as at least as good.
pub(crate) fn prefers_bytes(headers: &HeaderMap) -> bool {
    let ranges = || {
        let lines = headers.get_all(ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(','))
    };
    let quality = |wanted: &str| ranges().find_map(|range| quality_of(range, wanted));
    let bytes = quality("application/octet-stream").unwrap_or(0.0);
    bytes > quality("application/json").unwrap_or(0.0)
}

/// The weight of a media range, if it is the wanted type itself.
fn quality_of(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_only_to_those_who_prefer_them() {
        let cases = [
            ("*/*", false),
            ("application/json", false),
            ("application/octet-stream", true),
            ("Application/Octet-Stream; q=0.5, */*", true),
            ("application/json, application/octet-stream", false),
            ("application/json;q=0.5, application/octet-stream;q=0.6", true),
            ("application/octet-stream;q=0", false),
        ];
        for (accept, bytes) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(prefers_bytes(&headers), bytes, "{accept}");
        }
        assert!(!prefers_bytes(&HeaderMap::new()));
    }
}
