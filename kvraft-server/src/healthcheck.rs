//! `healthcheck` asks a node whether it lives, for a container that has no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Agent, Body, SendBody};

/// A node that takes longer does not live.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The variable with the token of the commands that ask nodes.
const TOKEN: &str = "KVRAFT_TOKEN";

pub(crate) fn run(url: Option<String>) -> Result<()> {
    let base = match url {
        Some(url) => url,
        None => own_url(&["KVRAFT_LISTEN_HEALTH", "KVRAFT_LISTEN_HTTP"])?,
    };
    let url = format!("{}/livez", base.trim_end_matches('/'));
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        // A node beside this process is not reached through the proxy of the environment.
        .proxy(None)
        .build()
        .into();
    let status = agent.get(&url).call().with_context(|| format!("cannot ask {url}"))?.status();
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    Ok(())
}

/// Makes what asks nodes elsewhere, with the token of the environment if there is one; their
/// answers are told by status, and take so long at most.
pub(crate) fn agent(timeout: Duration) -> Result<Agent> {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
    let token = std::env::var(TOKEN).unwrap_or_default();
    if token.is_empty() {
        return Ok(config.build().into());
    }
    // What is wrong with it is not shown: it is a secret.
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| anyhow!("{TOKEN} is not a token"))?;
    value.set_sensitive(true);
    Ok(config.middleware(Authorized(value)).build().into())
}

/// Adds the token to every request.
struct Authorized(HeaderValue);

impl Middleware for Authorized {
    fn handle(
        &self,
        mut request: Request<SendBody<'_>>,
        next: MiddlewareNext<'_>,
    ) -> Result<Response<Body>, ureq::Error> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.handle(request)
    }
}

/// Returns where the node of this environment listens, as the first of these variables says.
pub(crate) fn own_url(variables: &[&str]) -> Result<String> {
    default_url(variables, |variable| std::env::var(variable).ok())
}

/// The node in the same container was given the same environment.
fn default_url(variables: &[&str], value: impl Fn(&str) -> Option<String>) -> Result<String> {
    let given =
        variables.iter().find_map(|variable| value(variable).filter(|value| !value.is_empty()));
    let text = given.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut address: SocketAddr =
        text.parse().with_context(|| format!("{text:?} is not ip:port; give --url"))?;
    // "Every address" is one to listen on, not one to ask.
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::default_url;

    #[test]
    fn the_node_is_asked_where_it_listens() {
        let url = |health: &str, http: &str| {
            let variables = ["KVRAFT_LISTEN_HEALTH", "KVRAFT_LISTEN_HTTP"];
            default_url(&variables, |variable| {
                Some(if variable.ends_with("HEALTH") { health } else { http }.to_owned())
            })
            .unwrap()
        };
        assert_eq!(url("", ""), "http://127.0.0.1:8080");
        assert_eq!(url("", "0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:9", "0.0.0.0:80"), "http://[::1]:9");
    }
}
