//! The commands that ask nodes, each by the [`Client`].

mod backup;
mod cluster;
mod events;
mod export;
mod import;
mod key;
mod list;
pub(crate) mod manual;
mod out;
mod pages;
mod part;
mod progress;
mod range;
mod selftest;
mod sink;
mod snapshot;
mod source;
mod status;
mod tree;
mod txn;
mod watch;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::client::{self, Base, Client, Failure, Options, Request};
use crate::own_url::own_url;
use out::Out;

/// A node that takes longer to say that it lives does not.
const HEALTHCHECK: Duration = Duration::from_secs(5);

/// The commands that ask nodes and do nothing else.
pub(crate) fn commands() -> Vec<Command> {
    let [get, put, delete] = key::commands();
    let mut commands = vec![
        get,
        put,
        delete,
        list::command(),
        watch::command(),
        txn::command(),
        import::command(),
        export::command(),
        status::command(),
    ];
    commands.extend(cluster::commands());
    commands.push(backup::command());
    commands.push(selftest::command());
    commands.push(status::healthcheck_command());
    commands.into_iter().map(with_nodes).collect()
}

/// Adds what all commands have that ask nodes.
pub(crate) fn with_nodes(command: Command) -> Command {
    command.args(client::args()).arg(json_arg())
}

/// Adds that to a command which asks no nodes if it is given one of these.
pub(crate) fn with_nodes_unless(others: &'static [&'static str], command: Command) -> Command {
    let args = client::args().map(|arg| arg.conflicts_with_all(others));
    command.args(args).arg(json_arg())
}

pub(crate) fn json_arg() -> Arg {
    switch("json", "Answer for programs: one JSON document on a line")
}

/// A flag without a value.
fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The flags of reads.
fn consistency_args() -> [Arg; 2] {
    [
        Arg::new("consistency")
            .long("consistency")
            .value_name("HOW")
            .value_parser(["linearizable", "lease", "local"])
            .help("How fresh the answer is [default: what the server says, linearizable]"),
        Arg::new("min-revision")
            .long("min-revision")
            .value_name("REVISION")
            .value_parser(value_parser!(u64))
            .help("Wait until the node has this revision"),
    ]
}

fn read_options(request: Request, matches: &ArgMatches) -> Request {
    let revision = matches.get_one::<u64>("min-revision").map(u64::to_string);
    request
        .maybe("consistency", matches.get_one::<String>("consistency"))
        .maybe("min_revision", revision)
}

/// Says something to people, beside what the output is.
fn tell(text: &str) -> Result<()> {
    writeln!(std::io::stderr(), "kvraft-server: {text}").context("cannot write")
}

/// Runs the command of this name.
pub(crate) fn run(name: String, matches: ArgMatches) -> Result<()> {
    let options = match name.as_str() {
        "healthcheck" => healthcheck_options(&matches),
        _ => client::options(&matches),
    };
    let options = options?;
    let answers_yes_or_no = matches!(name.as_str(), "healthcheck" | "selftest");
    let done = client::run(move || async move { dispatch(&name, &matches, &options).await });
    done.map_err(|error| match client::code(&error) {
        // Whatever went wrong, the answer is no.
        2..=5 if answers_yes_or_no => anyhow!("{}", crate::told(&error)),
        _ => error,
    })
}

/// A node is asked for its health where it listens for that, without a token.
fn healthcheck_options(matches: &ArgMatches) -> Result<Options> {
    let mut options = client::options(matches)?;
    let listens = ["KVRAFT_LISTEN_HEALTH", "KVRAFT_LISTEN_HTTP"];
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !client::names_urls(matches) && listens.iter().any(set) {
        options.bases = vec![Base::parse(&own_url(&listens)?)?];
    }
    options.token = None;
    options.attempt = options.attempt.min(HEALTHCHECK);
    Ok(options)
}

async fn dispatch(name: &str, matches: &ArgMatches, options: &Options) -> Result<()> {
    let mut out = Out::new(matches.get_flag("json"));
    if name == "selftest" {
        selftest::run(options, &mut out).await?;
        return out.flush();
    }
    let client = Client::new(options)?;
    match name {
        "get" => key::get(&client, matches, &mut out).await?,
        "put" => key::put(&client, matches, &mut out).await?,
        "delete" => key::delete(&client, matches, &mut out).await?,
        "list" => list::run(&client, matches, &mut out).await?,
        "watch" => watch::run(&client, matches, &mut out).await?,
        "txn" => txn::run(&client, matches, &mut out).await?,
        "import" => import::run(&client, matches, &mut out).await?,
        "export" => export::run(&client, matches, &mut out).await?,
        "status" => status::run(&client, matches, &mut out).await?,
        "backup" => backup::run(&client, matches, &mut out).await?,
        "healthcheck" => status::healthcheck(&client).await?,
        name => {
            let order = cluster::order(name, matches)
                .ok_or_else(|| Failure::usage(format!("there is no command {name}")))?;
            cluster::run(&order, &client, &mut out).await?;
        }
    }
    out.flush()
}
