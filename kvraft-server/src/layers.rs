//! `Layers` decides which source of settings wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

/// What precedes the name of a setting in the environment.
pub(crate) const VARIABLE_PREFIX: &str = "KVRAFT_";

/// The settings that one source gives, by name; a setting may be given several times.
pub(crate) type Layer = BTreeMap<String, Vec<String>>;

/// Puts `upper` over `lower`. A setting and its twin that names a file are one: a secret in a
/// flag is not mixed with a secret file in the environment.
pub(crate) fn over(upper: Layer, mut lower: Layer) -> Layer {
    for name in upper.keys() {
        lower.remove(name);
        lower.remove(&twin(name));
    }
    lower.extend(upper);
    lower
}

fn twin(name: &str) -> String {
    name.strip_suffix("_file").map_or_else(|| format!("{name}_file"), str::to_owned)
}

/// Picks the settings `names` out of environment variables.
///
/// Unknown `KVRAFT_…` variables are let be: Kubernetes makes some for a service of that name.
/// An empty variable counts as absent, as that is how a template leaves one out.
pub(crate) fn from_environment(
    names: impl Iterator<Item = &'static str>,
    variables: impl Fn(&str) -> Option<OsString>,
) -> Result<Layer> {
    let mut layer = Layer::new();
    for name in names {
        let variable = format!("{VARIABLE_PREFIX}{}", name.to_uppercase());
        let Some(value) = variables(&variable).filter(|value| !value.is_empty()) else { continue };
        let Ok(value) = value.into_string() else { bail!("{variable} is not UTF-8") };
        layer.insert(name.to_owned(), vec![value]);
    }
    Ok(layer)
}

/// The variables of another server whose users come here, and the settings that they stand for.
const ALIASES: [(&str, &[&str]); 4] = [
    ("RAFT_NODE_ID", &["name"]),
    ("RAFT_NODE_ADDRESS", &["listen", "advertise"]),
    ("RAFT_NODE_HTTP_PORT", &["listen_http"]),
    ("RAFT_NODE_DATA_DIR", &["data_dir"]),
];

/// The alias that a setting can come from.
pub(crate) fn alias_of(name: &str) -> &'static str {
    let found = ALIASES.iter().find(|(_, names)| names.contains(&name));
    found.map_or("", |(alias, _)| alias)
}

/// Picks settings out of the variables `RAFT_NODE_…`.
pub(crate) fn from_aliases(variables: impl Fn(&str) -> Option<OsString>) -> Result<Layer> {
    let mut layer = Layer::new();
    for (variable, _) in ALIASES {
        let Some(value) = variables(variable).filter(|value| !value.is_empty()) else { continue };
        let Ok(value) = value.into_string() else { bail!("{variable} is not UTF-8") };
        for (name, value) in meant(variable, value) {
            layer.insert(name.to_owned(), vec![value]);
        }
    }
    Ok(layer)
}

/// Translates an alias. An address of a socket is listened on. One with a host name is what the
/// others dial, and every interface is listened on. A port alone does not open HTTP to others.
fn meant(variable: &str, value: String) -> Vec<(&'static str, String)> {
    match variable {
        "RAFT_NODE_ID" => vec![("name", value)],
        "RAFT_NODE_DATA_DIR" => vec![("data_dir", value)],
        "RAFT_NODE_HTTP_PORT" => vec![("listen_http", format!("127.0.0.1:{value}"))],
        _ if value.parse::<SocketAddr>().is_ok() => vec![("listen", value)],
        _ => {
            let port = value.rsplit_once(':').map_or("", |(_, port)| port);
            vec![("listen", format!("0.0.0.0:{port}")), ("advertise", value)]
        }
    }
}

/// Reads settings from a TOML file. A list becomes a list, a table `key = "value"` pairs.
pub(crate) fn from_file(path: &Path, known: &[&str]) -> Result<Layer> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    from_toml(&text, known).with_context(|| format!("configuration file {}", path.display()))
}

fn from_toml(text: &str, known: &[&str]) -> Result<Layer> {
    // What the parser shows of the file may be the line with the secret: only say where it is.
    let wrong = |error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow!("line {}: {}", before.matches('\n').count() + 1, error.message())
    };
    let table: Table = text.parse().map_err(wrong)?;
    let mut layer = Layer::new();
    for (name, value) in table {
        if !known.contains(&name.as_str()) {
            bail!("setting {name:?} is unknown; known are {}", known.join(", "));
        }
        let values = texts(value).with_context(|| format!("setting {name:?}"))?;
        // Only secrets are a list of settings; every other list is one setting.
        let values =
            if name.starts_with("cluster_secret") { values } else { vec![values.join(",")] };
        layer.insert(name, values);
    }
    Ok(layer)
}

fn texts(value: Value) -> Result<Vec<String>> {
    if let Value::Array(values) = value {
        return values.into_iter().map(text).collect();
    }
    if let Value::Table(table) = value {
        let pair = |(key, value)| Ok(format!("{key}={}", text(value)?));
        return table.into_iter().map(pair).collect();
    }
    Ok(vec![text(value)?])
}

fn text(value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            bail!("is a {}; take a string", value.type_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&str, &str)]) -> Layer {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect()
    }

    #[test]
    fn the_upper_layer_wins_setting_by_setting() {
        let both = over(layer(&[("name", "flag")]), layer(&[("name", "file"), ("listen", "x")]));
        assert_eq!(both, layer(&[("name", "flag"), ("listen", "x")]));
    }

    #[test]
    fn a_setting_replaces_its_twin_in_a_file_and_is_replaced_by_it() {
        let (direct, file) =
            (layer(&[("cluster_secret", "s")]), layer(&[("cluster_secret_file", "f")]));
        assert_eq!(over(direct.clone(), file.clone()), direct);
        assert_eq!(over(file.clone(), direct), file);
    }

    #[test]
    fn variables_carry_the_prefix_and_empty_ones_are_absent() {
        let variables = |variable: &str| match variable {
            "KVRAFT_DATA_DIR" => Some("d".into()),
            "KVRAFT_LISTEN" => Some("".into()),
            _ => None,
        };
        let found = from_environment(["data_dir", "listen", "name"].into_iter(), variables);
        assert_eq!(found.unwrap(), layer(&[("data_dir", "d")]));
    }

    #[test]
    fn the_variables_of_another_server_are_understood() {
        let of = |address: &'static str| {
            move |variable: &str| match variable {
                "RAFT_NODE_ID" => Some("a".into()),
                "RAFT_NODE_ADDRESS" => Some(address.into()),
                "RAFT_NODE_HTTP_PORT" => Some("8080".into()),
                "RAFT_NODE_DATA_DIR" => Some("d".into()),
                _ => None,
            }
        };
        let common = [("name", "a"), ("listen_http", "127.0.0.1:8080"), ("data_dir", "d")];
        let with = |more: &[(&str, &str)]| layer(&[&common, more].concat());
        let found = from_aliases(of("10.0.0.1:7000")).unwrap();
        assert_eq!(found, with(&[("listen", "10.0.0.1:7000")]));
        let found = from_aliases(of("node-a:7000")).unwrap();
        assert_eq!(found, with(&[("listen", "0.0.0.0:7000"), ("advertise", "node-a:7000")]));
        for name in found.keys() {
            assert!(alias_of(name).starts_with("RAFT_NODE_"), "{name}");
        }
    }

    #[test]
    fn a_file_may_say_things_in_its_own_types() {
        let text = "name = \"a\"\nmax_value_bytes = 1024\ninsecure = true\n\
                    cluster_secret = [\"new\", \"old\"]\nmembers = { a = \"h:1\", b = \"h:2\" }\n";
        let known = ["name", "max_value_bytes", "insecure", "cluster_secret", "members"];
        let found = from_toml(text, &known).unwrap();
        assert_eq!(found["max_value_bytes"], ["1024"]);
        assert_eq!(found["insecure"], ["true"]);
        assert_eq!(found["cluster_secret"], ["new", "old"]);
        assert_eq!(found["members"], ["a=h:1,b=h:2"]);
    }

    #[test]
    fn a_file_that_cannot_be_parsed_names_the_line_and_shows_no_secret() {
        for line in ["cluster_secret = hunter2", "cluster_secret = \"hunter2"] {
            let text = format!("name = \"a\"\n{line}\n");
            let said = format!("{:#}", from_toml(&text, &["name"]).unwrap_err());
            assert!(said.contains("line 2") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_file_with_an_unknown_setting_is_refused_by_name() {
        let text = format!("{:#}", from_toml("nmae = \"a\"", &["name"]).unwrap_err());
        assert!(text.contains("nmae") && text.contains("known are name"), "{text}");
    }

    #[test]
    fn a_file_with_a_value_of_a_wrong_type_is_refused_by_name() {
        let text = format!("{:#}", from_toml("name = 1.5", &["name"]).unwrap_err());
        assert!(text.contains("name") && text.contains("float"), "{text}");
    }
}
