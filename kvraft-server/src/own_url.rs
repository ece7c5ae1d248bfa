//! Where the node of this environment listens, for a command beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result};

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
