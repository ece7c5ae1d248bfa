//! The commands that look at the membership and change it, by HTTP, through any node.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::healthcheck::{agent, own_url};

/// How long one node may take: longer than the deadline of a change, so that it says what happened.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How long a node may take that fetches its state: a little longer than the node itself waits.
const REFILL_TIMEOUT: Duration = Duration::from_secs(610);
/// How long all attempts together may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before all endpoints are tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Members,
    Promote(String),
    Demote(String),
    Remove(String),
    Transfer(Option<String>),
    Shrink(u32),
    /// Compares the states of all members.
    Verify,
    /// Has the one node at the URL fetch its state anew.
    Refill,
}

impl Order {
    /// Returns the method and the path of the request.
    fn request(&self) -> (&'static str, String) {
        let of = |name: &str| {
            format!("/cluster/members/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        };
        match self {
            Self::Members => ("GET", "/cluster/members".to_owned()),
            Self::Promote(name) => ("POST", format!("{}/promote", of(name))),
            Self::Demote(name) => ("POST", format!("{}/demote", of(name))),
            Self::Remove(name) => ("DELETE", of(name)),
            Self::Transfer(None) => ("POST", "/cluster/transfer".to_owned()),
            Self::Transfer(Some(to)) => {
                let to = utf8_percent_encode(to, NON_ALPHANUMERIC);
                ("POST", format!("/cluster/transfer?to={to}"))
            }
            Self::Verify => ("POST", "/cluster/verify".to_owned()),
            Self::Refill => ("POST", "/cluster/refill".to_owned()),
            Self::Shrink(voters) => ("POST", format!("/cluster/shrink?voters={voters}")),
        }
    }
}

/// Asks one node after the other until one has done it.
pub(crate) fn run(order: &Order, urls: Vec<String>) -> Result<()> {
    let urls = if urls.is_empty() { vec![own_url(&["KVRAFT_LISTEN_HTTP"])?] } else { urls };
    if *order == Order::Refill && urls.len() != 1 {
        bail!("say which node is to fetch its state, by the one --url of it");
    }
    let agent = agent(if *order == Order::Refill { REFILL_TIMEOUT } else { TIMEOUT })?;
    let begun = Instant::now();
    loop {
        let mut failures = Vec::new();
        for url in &urls {
            match ask(&agent, url, order)? {
                Ok(answer) => return tell(order, &answer),
                Err(failure) => failures.push(failure),
            }
        }
        if begun.elapsed() >= PATIENCE {
            bail!("gave up after {} s: {}", PATIENCE.as_secs(), failures.join("; "));
        }
        std::thread::park_timeout(PAUSE);
    }
}

/// Asks one node. The outer error is final, the inner one may pass at another node or later.
fn ask(agent: &Agent, base: &str, order: &Order) -> Result<Result<Value, String>> {
    let (method, path) = order.request();
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let request = Request::builder().method(method).uri(&url).body(());
    let request = request.with_context(|| format!("{url} is no URL"))?;
    let answer = match agent.run(request) {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(format!("{base} does not answer: {error}"))),
    };
    let status = answer.status();
    let text = answer.into_body().read_to_string().unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(Ok(document));
    }
    let said = document.get("detail").and_then(Value::as_str).unwrap_or(&text).to_owned();
    // Asking for a change twice is asking once.
    if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Ok(Err(format!("{base} answered {status}: {said}")));
    }
    bail!("{base} answered {status}: {said}")
}

fn tell(order: &Order, answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if *order == Order::Verify {
        return tell_states(&mut out, answer);
    }
    if *order != Order::Members {
        return writeln!(out, "done").context("cannot write");
    }
    let leader = text(answer, "leaderID");
    writeln!(out, "{:<20} {:<9} {:<17} {:<28} MATCHED", "NAME", "ROLE", "NODE ID", "ADDRESS")?;
    for member in members(answer) {
        let (name, votes) = (text(member, "name"), votes(member));
        let role = match (votes, name == leader) {
            (_, true) => "leader",
            (true, false) => "voter",
            (false, false) => "learner",
        };
        let matched = member
            .get("matched")
            .and_then(Value::as_u64)
            .map_or_else(|| "-".to_owned(), |n| n.to_string());
        let (id, address) = (text(member, "nodeID"), text(member, "address"));
        writeln!(out, "{name:<20} {role:<9} {id:<17} {address:<28} {matched}")?;
    }
    Ok(())
}

/// Tells what each member's state is; exits with 1 unless all agree.
fn tell_states(out: &mut impl std::io::Write, answer: &Value) -> Result<()> {
    writeln!(out, "{:<20} {:<9} {:<17} STATE HASH", "NAME", "ROLE", "NODE ID")?;
    for member in members(answer) {
        let role = if votes(member) { "voter" } else { "learner" };
        let failure = format!("no answer: {}", text(member, "failure"));
        let hash = member.get("stateHash").and_then(Value::as_str).unwrap_or(&failure);
        let (name, id) = (text(member, "name"), text(member, "nodeID"));
        writeln!(out, "{name:<20} {role:<9} {id:<17} {hash}")?;
    }
    let revision = answer.get("revision").and_then(Value::as_u64).unwrap_or_default();
    match text(answer, "verdict").as_str() {
        "agreed" => writeln!(out, "agreed at revision {revision}").context("cannot write"),
        "diverged" => bail!(
            "at revision {revision} a member has not the state of the majority: it takes itself out and fetches \
             that one; verify again in a while"
        ),
        "split" => bail!(
            "at revision {revision} the states differ, and none is that of a majority of the voters: find out who \
             is right, and `refill` the others"
        ),
        _ => bail!("too few members answered to tell whether they agree"),
    }
}

fn members(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("members").and_then(Value::as_array).into_iter().flatten()
}

fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn votes(member: &Value) -> bool {
    member.get("voter").and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_is_one_request() {
        let all = [
            (Order::Members, "GET /cluster/members"),
            (Order::Promote("a.b".into()), "POST /cluster/members/a%2Eb/promote"),
            (Order::Demote("a".into()), "POST /cluster/members/a/demote"),
            (Order::Remove("a".into()), "DELETE /cluster/members/a"),
            (Order::Transfer(None), "POST /cluster/transfer"),
            (Order::Transfer(Some("b".into())), "POST /cluster/transfer?to=b"),
            (Order::Shrink(3), "POST /cluster/shrink?voters=3"),
            (Order::Verify, "POST /cluster/verify"),
            (Order::Refill, "POST /cluster/refill"),
        ];
        for (order, wanted) in all {
            let (method, path) = order.request();
            assert_eq!(format!("{method} {path}"), wanted);
        }
    }
}
