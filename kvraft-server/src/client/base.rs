//! A `Base` is the base URL of a node: what precedes the paths of the interface.

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use hyper::Uri;

/// `http://host:port` or `https://host:port`, perhaps with a path; the same node is the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Base(String);

impl Base {
    /// Reads a URL. What is wrong with it is said without it: a name and a password may stand in it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let uri: Uri = text.trim().parse().context("the URL of a node cannot be read")?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("the URL of a node begins with http:// or https://");
        };
        ensure!(matches!(scheme, "http" | "https"), "{scheme} is neither http nor https");
        ensure!(
            !authority.as_str().contains('@'),
            "a URL of a node holds no name and no password; a token comes from a file or the environment"
        );
        ensure!(uri.query().is_none(), "the URL of a node has no query");
        let default = if scheme == "http" { 80 } else { 443 };
        let port = authority.port_u16().filter(|port| *port != default);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let host = authority.host().to_ascii_lowercase();
        let path = uri.path().trim_end_matches('/');
        Ok(Self(format!("{scheme}://{host}{port}{path}")))
    }

    /// Takes the base out of a whole URL, if that ends in `path` (with its query).
    pub(crate) fn before(url: &str, path: &str) -> Result<Self> {
        let Some(base) = url.strip_suffix(path) else {
            bail!("the path is another one");
        };
        Self::parse(base)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_is_one_text() {
        for (text, base) in [
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
            ("http://LocalHost:80/", "http://localhost"),
            ("https://a.example:443/kv/", "https://a.example/kv"),
            ("https://[::1]:9", "https://[::1]:9"),
        ] {
            assert_eq!(Base::parse(text).unwrap().as_str(), base);
        }
    }

    #[test]
    fn what_is_no_base_is_refused_and_no_password_is_repeated() {
        for text in ["", "localhost:80", "/x", "ftp://a", "http://a?b", "http://n:geheim@a"] {
            let said = format!("{:#}", Base::parse(text).unwrap_err());
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn a_url_has_a_base_only_if_its_path_is_the_one_that_was_asked_for() {
        let base = Base::before("http://a:1/kv/key/k?raw", "/key/k?raw").unwrap();
        assert_eq!(base.as_str(), "http://a:1/kv");
        assert!(Base::before("http://a:1/key/other", "/key/k").is_err());
    }
}
