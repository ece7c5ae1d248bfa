//! `/ui`: a page to look at, whole in one document, which asks the same interface as everyone.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// One script in parts: the later ones use what the earlier ones have.
const SCRIPT: [&str; 8] = [
    include_str!("bytes.js"),
    include_str!("api.js"),
    include_str!("dom.js"),
    include_str!("charts.js"),
    include_str!("overview.js"),
    include_str!("keys.js"),
    include_str!("watch.js"),
    include_str!("main.js"),
];

/// The document, and what a browser may do with it.
struct Page {
    html: String,
    policy: HeaderValue,
}

static WHOLE: LazyLock<Page> = LazyLock::new(|| {
    // In a scope of its own, and strict.
    let script = format!("\"use strict\";\n{{\n{}}}\n", SCRIPT.concat());
    let html = PAGE.replace("{{style}}", STYLE).replace("{{script}}", &script);
    // Exactly this script and this style run, and they reach this server alone: a value of the map
    // that got into the page as markup would do nothing.
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(&script),
        hash(STYLE)
    );
    let policy = HeaderValue::try_from(policy).expect("words and base64 are a header value");
    Page { html, policy }
});

/// What a policy calls a text that stands in the page.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// Gives the page. It holds no data, so that everyone may have it: its requests carry the token.
pub(super) async fn ui() -> Response {
    let mut response = Response::new(Body::from(WHOLE.html.as_str()));
    let fixed: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(CONTENT_SECURITY_POLICY, WHOLE.policy.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts between two marks.
    fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
        text.split(begin).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
    }

    #[test]
    fn the_policy_names_the_one_script_and_the_one_style_and_nothing_unsafe() {
        let policy = WHOLE.policy.to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        for (begin, end) in [("<script>", "</script>"), ("<style>", "</style>")] {
            let texts = between(&WHOLE.html, begin, end);
            assert_eq!(texts.len(), 1, "{begin}");
            assert!(policy.contains(&hash(texts[0])), "{begin} {policy}");
            assert_eq!(WHOLE.html.matches(end).count(), 1);
        }
    }

    #[test]
    fn the_page_asks_for_nothing_from_elsewhere_and_makes_no_markup() {
        // A namespace is a name, not an address.
        let html = WHOLE.html.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["src=\"", "@import", "url(", "//cdn", "https://", "http://"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        for unsafe_sink in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\""]
        {
            assert!(!html.contains(unsafe_sink), "{unsafe_sink}");
        }
    }

    #[test]
    fn every_label_and_description_names_an_element_that_is_there_once() {
        let ids = between(&WHOLE.html, " id=\"", "\"");
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{id} is there twice");
        }
        for naming in [" for=\"", " aria-labelledby=\"", " aria-describedby=\""] {
            for id in between(&WHOLE.html, naming, "\"") {
                assert!(ids.contains(&id), "{naming}{id}");
            }
        }
    }

    #[test]
    fn every_element_that_a_script_looks_for_is_in_the_page() {
        let ids = between(PAGE, " id=\"", "\"");
        for id in between(&SCRIPT.concat().replace("Format(", ""), "at(\"", "\")") {
            assert!(ids.contains(&id), "{id}");
        }
    }
}
