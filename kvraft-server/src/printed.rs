//! `--print-config` and `--check`: what a server would run with, without running it.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use crate::given::Given;
use crate::layers::Layer;
use crate::settings::{self, Settings};
use crate::{log, serve};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Prints every setting with its value and its source, as a configuration file.
pub(crate) fn print(flags: Layer) -> Result<()> {
    let text = text(&Settings::given(flags)?);
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write")
}

/// Says whether a server could run with these settings, with every fault.
pub(crate) fn check(flags: Layer) -> Result<()> {
    let settings = Settings::gather(flags)?;
    log::parse(&settings.log)?;
    serve::check_files(&settings.http)?;
    writeln!(std::io::stdout().lock(), "the settings are valid").context("cannot write")
}

fn text(given: &Given) -> String {
    let head = "# What kvraft-server would run with, and where each setting comes from.\n";
    settings::names().fold(head.to_owned(), |text, name| text + &line(name, given))
}

fn line(name: &str, given: &Given) -> String {
    match (given.source(name), default(name)) {
        (Some(source), _) => format!("{name} = {}  # {source}\n", value(name, given.values(name))),
        (None, Some(default)) => format!("{name} = {}  # default\n", quoted(default)),
        (None, None) => format!("# {name} is not set\n"),
    }
}

/// What `--help` says.
fn default(name: &str) -> Option<&'static str> {
    settings::help(name).rsplit_once("[default: ")?.1.strip_suffix(']').filter(|text| {
        // The address in a list of members is a description, not a value.
        !text.contains(" in ")
    })
}

fn value(name: &str, values: &[String]) -> String {
    if name == "cluster_secret" {
        return quoted(MASK);
    }
    let texts: Vec<_> = values.iter().map(|value| quoted(&without_password(value))).collect();
    match texts.as_slice() {
        [several @ .., last] if several.is_empty() || !settings::adds_up(name) => last.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A URL may have a password between its scheme and its host.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => value.to_owned(),
    }
}

/// A text as TOML has it, which reads the strings of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_printed_with_its_source_and_no_secret() {
        let given = Given::of(&[
            ("name", "a\"b"),
            ("cluster_secret", "hunter2"),
            ("otlp_endpoint", "http://user:hunter2@collector:4318/v1/traces"),
        ]);
        let text = text(&given);
        assert!(text.contains("name = \"a\\\"b\"  # test\n"), "{text}");
        assert!(text.contains("cluster_secret = \"***\"  # test\n"), "{text}");
        assert!(text.contains("http://***@collector:4318/v1/traces"), "{text}");
        assert!(text.contains("shutdown_grace = \"10s\"  # default\n"), "{text}");
        assert!(text.contains("# advertise is not set\n"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        for name in settings::names() {
            assert!(
                text.contains(&format!("\n{name} = ")) || text.contains(&format!("# {name} is"))
            );
        }
    }

    #[test]
    fn secret_files_that_add_up_are_a_list_and_of_other_settings_the_last_counts() {
        let values = ["a".to_owned(), "b".to_owned()];
        assert_eq!(value("cluster_secret_file", &values), "[\"a\", \"b\"]");
        assert_eq!(value("name", &values), "\"b\"");
    }

    #[test]
    fn defaults_are_the_ones_that_a_server_runs_with() {
        let names = settings::names().filter_map(|name| Some((name, default(name)?)));
        let all: Vec<_> = names.collect();
        assert!(all.len() > 15, "{all:?}");
        let told = Settings::from_given(Given::of(&all)).unwrap();
        let silent = Settings::from_given(Given::default()).unwrap();
        assert_eq!(format!("{told:?}"), format!("{silent:?}"));
    }
}
