//! `Options` are what all commands that ask nodes have in common: where to, as whom, how long.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::base::Base;
use super::failure::Failure;
use crate::own_url::own_url;

/// Nodes remember an idempotency key for an hour: nothing is sent again as late as that.
const LONGEST: Duration = Duration::from_secs(50 * 60);

/// Longer than the deadline that nodes set themselves, so that they say what happened.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Whom to ask and how.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) bases: Vec<Base>,
    pub(crate) token: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// How long all attempts together may take, if it was said.
    pub(crate) timeout: Option<Duration>,
    /// How long one may take.
    pub(crate) attempt: Duration,
    /// How often something is tried again.
    pub(crate) retries: u32,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is not shown.
        f.debug_struct("Options").field("bases", &self.bases).finish_non_exhaustive()
    }
}

/// The id of the flag with the URLs.
pub(crate) const URLS: &str = "client-url";

/// The flags, each with its variable.
const FLAGS: [(&str, &str, &str, &str); 8] = [
    (
        "url",
        "URL",
        "KVRAFT_URL",
        "Base URL of a node; repeat it, or separate several by commas, to have others tried \
         [default: where KVRAFT_LISTEN_HTTP says that one listens]",
    ),
    (
        "bearer-token-file",
        "FILE",
        "KVRAFT_BEARER_TOKEN_FILE",
        "The token is in this file, or in KVRAFT_BEARER_TOKEN; never on the command line, which \
         others can see",
    ),
    (
        "ca",
        "FILE",
        "KVRAFT_CA",
        "Trust the authorities in this PEM file for https [default: those that this machine trusts]",
    ),
    ("cert", "FILE", "KVRAFT_CERT", "Show this certificate (PEM, with its chain)"),
    ("key", "FILE", "KVRAFT_KEY", "The private key of --cert (PEM)"),
    (
        "timeout",
        "DURATION",
        "KVRAFT_TIMEOUT",
        "Give up after this long, all attempts together, at most 50min [default: 60s, and longer for what takes longer]",
    ),
    (
        "attempt-timeout",
        "DURATION",
        "KVRAFT_ATTEMPT_TIMEOUT",
        "Take a node for lost that does not answer for this long [default: 10s]",
    ),
    ("retries", "COUNT", "KVRAFT_RETRIES", "Try again so often at most [default: 100]"),
];

/// The id of a flag: a positional argument may have the same name.
fn id(name: &str) -> String {
    format!("client-{name}")
}

/// The flags for a command.
pub(crate) fn args() -> impl Iterator<Item = Arg> {
    FLAGS.into_iter().map(|(name, value, variable, help)| {
        let arg = Arg::new(id(name))
            .long(name)
            .value_name(value)
            .help(format!("{help} [env: {variable}]"))
            .help_heading("Nodes");
        match name {
            "url" => arg.action(ArgAction::Append).value_delimiter(','),
            "bearer-token-file" | "ca" | "cert" | "key" => {
                arg.value_parser(value_parser!(OsString)).value_hint(clap::ValueHint::FilePath)
            }
            _ => arg,
        }
    })
}

/// Reads the flags, and the environment for those that were not given.
pub(crate) fn read(matches: &ArgMatches) -> Result<Options> {
    from(matches, |variable| std::env::var_os(variable).filter(|value| !value.is_empty()))
        .map_err(|error| Failure::usage(format!("{error:#}")))
}

/// The URLs that were given, whether or not they can be read.
pub(crate) fn urls(matches: &ArgMatches) -> bool {
    matches.contains_id(URLS)
}

fn from(matches: &ArgMatches, variable: impl Fn(&str) -> Option<OsString>) -> Result<Options> {
    let named =
        |name: &str| FLAGS.iter().find(|flag| flag.0 == name).and_then(|flag| variable(flag.2));
    let path = |name: &str| {
        let flag = matches.get_one::<OsString>(&id(name)).cloned();
        flag.or_else(|| named(name)).map(PathBuf::from)
    };
    let text = |name: &str| {
        let flag = matches.get_one::<String>(&id(name)).cloned();
        flag.or_else(|| Some(named(name)?.to_string_lossy().into_owned()))
    };
    let duration = |name: &str| {
        let Some(text) = text(name) else { return Ok(None) };
        let duration = humantime::parse_duration(&text).ok().filter(|time| !time.is_zero());
        let wrong = || format!("--{name} {text:?} is not a duration such as 10s");
        duration.with_context(wrong).map(Some)
    };
    let (cert, key) = (path("cert"), path("key"));
    ensure!(cert.is_some() == key.is_some(), "--cert and --key go together");
    let timeout = duration("timeout")?;
    ensure!(
        timeout.is_none_or(|timeout| timeout <= LONGEST),
        "--timeout is at most 50min: nodes remember for an hour what they were sent"
    );
    let retries = text("retries").map_or(Ok(100), |text| {
        text.parse().with_context(|| format!("--retries {text:?} is not a number"))
    })?;
    Ok(Options {
        bases: bases(matches, named("url"))?,
        token: token(path("bearer-token-file"), &variable)?,
        ca: path("ca"),
        cert,
        key,
        timeout,
        attempt: duration("attempt-timeout")?.unwrap_or(ATTEMPT),
        retries,
    })
}

fn bases(matches: &ArgMatches, variable: Option<OsString>) -> Result<Vec<Base>> {
    let given: Vec<String> = matches.get_many(&id("url")).into_iter().flatten().cloned().collect();
    let given = match variable {
        Some(variable) if given.is_empty() => {
            variable.to_string_lossy().split(',').map(str::to_owned).collect()
        }
        _ => given,
    };
    let given: Vec<_> = given.into_iter().filter(|url| !url.trim().is_empty()).collect();
    let given = if given.is_empty() { vec![own_url(&["KVRAFT_LISTEN_HTTP"])?] } else { given };
    given.iter().map(|url| Base::parse(url)).collect()
}

/// Reads the token. What is wrong with it is said without it.
fn token(
    file: Option<PathBuf>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>> {
    let (token, place) = match file {
        Some(file) => {
            let unread = || format!("cannot read the token file {}", file.display());
            (std::fs::read_to_string(&file).with_context(unread)?, file.display().to_string())
        }
        None => match variable("KVRAFT_BEARER_TOKEN") {
            None => return Ok(None),
            Some(token) => (token.to_string_lossy().into_owned(), "KVRAFT_BEARER_TOKEN".to_owned()),
        },
    };
    let token = token.trim();
    let whole = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(whole, "{place} holds no token, which is one word");
    Ok(Some(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn options(flags: &[&str], variables: &[(&str, &str)]) -> Result<Options> {
        let command = Command::new("x").args(args());
        let flags = std::iter::once("x").chain(flags.iter().copied());
        let matches = command.try_get_matches_from(flags).unwrap();
        from(&matches, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn seconds(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count))
    }

    fn urls(options: &Options) -> Vec<&str> {
        options.bases.iter().map(Base::as_str).collect()
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let variables = [("KVRAFT_URL", "http://a,http://b"), ("KVRAFT_TIMEOUT", "7s")];
        let read = options(&[], &variables).unwrap();
        assert_eq!((urls(&read), read.timeout), (vec!["http://a", "http://b"], seconds(7)));
        let flags = ["--url=http://c", "--url=http://d,http://e", "--timeout=8s", "--retries=0"];
        let read = options(&flags, &variables).unwrap();
        assert_eq!(urls(&read), ["http://c", "http://d", "http://e"]);
        assert_eq!((read.timeout, read.retries), (seconds(8), 0));
    }

    #[test]
    fn a_token_comes_from_a_file_or_a_variable_and_is_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "kvraft_geheim\n").unwrap();
        let flag = format!("--bearer-token-file={}", file.display());
        let variables = [("KVRAFT_BEARER_TOKEN", "kvraft_anderes")];
        let read = options(&[&flag], &variables).unwrap();
        assert_eq!(read.token.as_deref(), Some("kvraft_geheim"));
        assert!(!format!("{read:?}").contains("geheim"));
        let read = options(&[], &variables).unwrap();
        assert_eq!(read.token.as_deref(), Some("kvraft_anderes"));
        let said = options(&[], &[("KVRAFT_BEARER_TOKEN", "zwei geheime")]).unwrap_err();
        assert!(!format!("{said:#}").contains("geheim"), "{said:#}");
        let missing = options(&["--bearer-token-file=/nowhere"], &[]).unwrap_err();
        assert!(format!("{missing:#}").contains("/nowhere"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for flags in [
            vec!["--timeout=1h"],
            vec!["--timeout=0s"],
            vec!["--timeout=5"],
            vec!["--retries=x"],
            vec!["--cert=c"],
            vec!["--url=localhost:80"],
        ] {
            assert!(options(&flags, &[]).is_err(), "{flags:?}");
        }
    }
}
