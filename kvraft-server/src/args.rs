//! `Action` is what the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::layers::Layer;
use crate::settings;
use crate::{client, command as asking, demo, offline, token};

/// What is done with the settings instead of running a node.
const PRINT: &str = "print_config";
const CHECK: &str = "check";

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Run a node; the flags that were given.
    Serve(Layer),
    /// Print what a node would run with; the flags that were given.
    PrintConfig(Layer),
    /// Check what a node would run with; the flags that were given.
    Check(Layer),
    Demo(demo::Options),
    /// Ask nodes; the name of the command and its flags.
    Ask(String, ArgMatches),
    /// Work on the files of a node that does not run, and say it in JSON or not.
    Offline(offline::Order, bool),
    GenSecret,
    /// Make a token for the HTTP interface.
    Token(token::Wanted),
    /// Do nothing for so long.
    Wait(Duration),
    /// Print what a shell needs.
    Completions(ArgMatches),
    /// Print the manual.
    Man(ArgMatches),
}

/// Reads the command line. The error is also how `--help` and `--version` come back.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Action, clap::error::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some(("demo", matches)) => Action::Demo(demo_options(matches)),
        Some(("gen-secret", _)) => Action::GenSecret,
        Some(("token", matches)) => Action::Token(token::wanted(matches)),
        Some(("wait", matches)) => {
            Action::Wait(matches.get_one("duration").copied().unwrap_or_default())
        }
        Some(("completions", matches)) => Action::Completions(matches.clone()),
        Some(("man", matches)) => Action::Man(matches.clone()),
        Some((name @ ("verify" | "refill"), matches)) if client::names_urls(matches) => {
            ask(name, matches)
        }
        Some((name @ ("restore" | "verify" | "refill" | "recover-quorum"), matches)) => {
            Action::Offline(offline::order(name, matches), matches.get_flag("json"))
        }
        Some((name, matches)) if name != "serve" => ask(name, matches),
        Some((_, matches)) => serve(matches),
        None => serve(&matches),
    })
}

fn exit_codes() -> String {
    let codes = client::Kind::CODES.iter().map(|(code, means)| format!("\n  {code:<4} {means}"));
    format!("Exit codes:{}", codes.collect::<String>())
}

fn ask(name: &str, matches: &ArgMatches) -> Action {
    Action::Ask(name.to_owned(), matches.clone())
}

fn serve(matches: &ArgMatches) -> Action {
    let flags = flags(matches);
    if matches.get_flag(PRINT) {
        Action::PrintConfig(flags)
    } else if matches.get_flag(CHECK) {
        Action::Check(flags)
    } else {
        Action::Serve(flags)
    }
}

pub(crate) fn command() -> Command {
    Command::new("kvraft-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "A node of a replicated map, with an HTTP interface, and the commands that ask nodes",
        )
        .after_help(
            "Every flag of `serve` may also stand in the environment (KVRAFT_DATA_DIR) or in the \
             file of --config (data_dir = \"…\"). A flag wins over the environment, the \
             environment over the file.\n\n"
                .to_owned()
                + &exit_codes(),
        )
        .args(serve_args())
        .args_conflicts_with_subcommands(true)
        .subcommand(
            Command::new("serve")
                .about("Run a node (what happens without a subcommand)")
                .args(serve_args()),
        )
        .subcommand(
            Command::new("demo")
                .about("Start three nodes here, load files, kill the leader, read everything back")
                .args(demo_args()),
        )
        .subcommands(asking::commands())
        .subcommands(offline::commands())
        .subcommand(Command::new("gen-secret").about("Print a fresh cluster secret"))
        .subcommand(token::command())
        .subcommand(
            Command::new("wait")
                .about(
                    "Do nothing for a while: what a container without a shell does before it stops",
                )
                .arg(
                    Arg::new("duration")
                        .value_name("DURATION")
                        .value_parser(humantime::parse_duration)
                        .required(true)
                        .help("How long, such as 3s"),
                ),
        )
        .subcommands(asking::manual::commands())
}

fn serve_args() -> impl Iterator<Item = Arg> {
    let file = Arg::new(settings::CONFIG)
        .long(settings::CONFIG)
        .value_name("FILE")
        .help("A TOML file with any of these settings, in snake case [env: KVRAFT_CONFIG]");
    let print = Arg::new(PRINT)
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print every setting with its value and its source as a file for --config, secrets left out, and exit");
    let check = Arg::new(CHECK)
        .long("check")
        .action(ArgAction::SetTrue)
        .conflicts_with(PRINT)
        .help("Check all settings and the files that they name, say everything that is wrong, and exit with 0 or 1");
    settings::names().map(serve_arg).chain([file, print, check])
}

fn serve_arg(name: &'static str) -> Arg {
    let arg = Arg::new(name)
        .long(name.replace('_', "-"))
        .value_name(name.to_uppercase())
        .action(ArgAction::Append)
        .help(settings::help(name));
    if settings::is_switch(name) {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    }
}

fn flags(matches: &ArgMatches) -> Layer {
    settings::names()
        .chain([settings::CONFIG])
        .filter_map(|name| {
            let values: Vec<String> = matches.get_many(name)?.cloned().collect();
            Some((name.to_owned(), values))
        })
        .collect()
}

fn demo_args() -> [Arg; 5] {
    [
        Arg::new("dir").long("dir").value_name("DIR").value_parser(value_parser!(PathBuf)).help(
            "Load the files below this directory [default: Python's standard library, else \
             /usr/include, else the directory that you are in]",
        ),
        Arg::new("max_files")
            .long("max-files")
            .value_name("COUNT")
            .value_parser(value_parser!(usize))
            .default_value("300")
            .help("Load at most so many files"),
        Arg::new("max_bytes")
            .long("max-bytes")
            .value_name("SIZE")
            .value_parser(value_parser!(ByteSize))
            .default_value("20MiB")
            .help("Load at most so many bytes"),
        Arg::new("clients")
            .long("clients")
            .value_name("COUNT")
            .value_parser(value_parser!(u16).range(1..=256))
            .default_value("8")
            .help("Write and read with so many clients at a time"),
        Arg::new("once")
            .long("once")
            .action(ArgAction::SetTrue)
            .help("Exit when done, even on a terminal"),
    ]
}

fn demo_options(matches: &ArgMatches) -> demo::Options {
    let defaulted = "has a default";
    demo::Options {
        dir: matches.get_one("dir").cloned(),
        max_files: *matches.get_one("max_files").expect(defaulted),
        max_bytes: matches.get_one::<ByteSize>("max_bytes").expect(defaulted).as_u64(),
        clients: usize::from(*matches.get_one::<u16>("clients").expect(defaulted)),
        once: matches.get_flag("once"),
    }
}

/// The settings in these arguments.
#[cfg(test)]
pub(crate) fn served(arguments: impl IntoIterator<Item = OsString>) -> Layer {
    match parse(arguments) {
        Ok(Action::Serve(flags)) => flags,
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Action, clap::error::Error> {
        parse(["kvraft-server"].iter().chain(arguments).map(OsString::from))
    }

    fn served(arguments: &[&str]) -> Layer {
        super::served(["kvraft-server"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_without_a_subcommand() {
        let flags = served(&["--data-dir", "d", "--listen-http=127.0.0.1:1"]);
        assert_eq!(flags, served(&["serve", "--listen-http=127.0.0.1:1", "--data-dir", "d"]));
        assert_eq!(flags["data_dir"], ["d"]);
    }

    #[test]
    fn every_setting_of_the_core_is_a_flag() {
        for name in kvraft::Config::NAMES {
            let flag = format!("--{}=x", name.replace('_', "-"));
            assert_eq!(served(&[&flag])[name], ["x"]);
        }
    }

    #[test]
    fn settings_can_be_printed_or_checked_instead() {
        let printed = parsed(&["--name", "a", "--print-config"]);
        assert!(matches!(printed, Ok(Action::PrintConfig(flags)) if flags["name"] == ["a"]));
        assert!(matches!(parsed(&["serve", "--check"]), Ok(Action::Check(_))));
        assert!(parsed(&["--check", "--print-config"]).is_err());
    }

    #[test]
    fn a_switch_needs_no_value_and_may_have_one() {
        assert_eq!(served(&["--insecure", "--insecure-http"])["insecure"], ["true"]);
        assert_eq!(served(&["--insecure=anywhere"])["insecure"], ["anywhere"]);
    }

    #[test]
    fn an_unknown_flag_is_refused_with_the_one_that_was_meant() {
        let text = parsed(&["--data-dri", "d"]).unwrap_err().to_string();
        assert!(text.contains("--data-dir"), "{text}");
    }

    #[test]
    fn whoever_asks_nodes_says_which_member_or_how_many() {
        let asked = |arguments: &[&str]| match parsed(arguments) {
            Ok(Action::Ask(name, _)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(&["members"]), "members");
        assert_eq!(
            asked(&["transfer", "n1", "--url", "http://a", "--url", "http://b"]),
            "transfer"
        );
        assert!(parsed(&["remove"]).is_err() && parsed(&["shrink", "-1"]).is_err());
    }

    #[test]
    fn a_token_cannot_stand_on_the_command_line() {
        assert!(parsed(&["get", "k", "--bearer-token", "kvraft_x"]).is_err());
        assert!(parsed(&["get", "k", "--token", "kvraft_x"]).is_err());
    }

    #[test]
    fn a_check_is_of_a_directory_or_of_a_backup() {
        assert!(parsed(&["verify", "--data-dir", "d"]).is_ok());
        assert!(parsed(&["verify", "--backup", "f"]).is_ok());
        assert!(parsed(&["verify"]).is_err());
        let asked = parsed(&["verify", "--url", "http://a"]);
        assert!(matches!(asked, Ok(Action::Ask(..))), "{asked:?}");
        let asked = parsed(&["refill", "--url", "http://a"]);
        assert!(matches!(asked, Ok(Action::Ask(..))), "{asked:?}");
        let asked = parsed(&["refill", "--data-dir", "d"]);
        assert!(
            matches!(asked, Ok(Action::Offline(offline::Order::SetAside(_), false))),
            "{asked:?}"
        );
        assert!(
            parsed(&["refill"]).is_err()
                && parsed(&["verify", "--url", "u", "--backup", "f"]).is_err()
        );
        assert!(parsed(&["verify", "--backup", "f", "--data-dir", "d"]).is_err());
        assert!(parsed(&["restore", "--from", "f", "--data-dir", "d"]).is_err(), "a name");
        assert!(parsed(&["backup"]).is_err(), "a file");
    }

    #[test]
    fn a_wait_says_how_long() {
        let waited = parsed(&["wait", "3s"]);
        assert!(matches!(waited, Ok(Action::Wait(time)) if time.as_secs() == 3), "{waited:?}");
        assert!(parsed(&["wait"]).is_err() && parsed(&["wait", "soon"]).is_err());
    }

    #[test]
    fn the_demo_has_bounds_without_being_asked() {
        let Ok(Action::Demo(options)) = parsed(&["demo", "--once"]) else { panic!("no demo") };
        assert_eq!((options.max_files, options.max_bytes), (300, 20 << 20));
        assert!(options.once);
    }
}
