//! The commands that look at the membership and change it, through any node.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::Method;
use serde_json::{Value, json};

use super::out::{Out, shown};
use crate::client::{Client, Failure, Request, segment};

/// How long one node may take: longer than the deadline of a change, so that it says what happened.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long a node may take that fetches its state: a little longer than the node itself waits.
const REFILL_PATIENCE: Duration = Duration::from_secs(610);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
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

pub(super) fn commands() -> [Command; 6] {
    let name = || Arg::new("member").value_name("NAME").help("The name of the member");
    [
        Command::new("members").about("List the members, who leads, and how far each has come"),
        Command::new("promote").about("Give a learner its vote").arg(name().required(true)),
        Command::new("demote").about("Take a voter its vote").arg(name().required(true)),
        Command::new("remove").about("Let a member go").arg(name().required(true)),
        Command::new("transfer").about("Have this voter lead, or the closest one").arg(name()),
        Command::new("shrink").about("Let voters go, the last names first, until N are left").arg(
            Arg::new("voters").value_name("N").value_parser(value_parser!(u32)).required(true),
        ),
    ]
}

/// What the command of this name asks for, if it is one of these.
pub(super) fn order(name: &str, matches: &ArgMatches) -> Option<Order> {
    let member = matches.try_get_one::<String>("member").ok().flatten().cloned();
    Some(match (name, member) {
        ("members", _) => Order::Members,
        ("promote", Some(member)) => Order::Promote(member),
        ("demote", Some(member)) => Order::Demote(member),
        ("remove", Some(member)) => Order::Remove(member),
        ("transfer", member) => Order::Transfer(member),
        ("shrink", _) => Order::Shrink(*matches.get_one("voters")?),
        ("verify", _) => Order::Verify,
        ("refill", _) => Order::Refill,
        _ => return None,
    })
}

impl Order {
    /// Returns the method and the path of the request.
    fn request(&self) -> Request {
        let of = |name: &str| format!("/cluster/members/{}", segment(name.as_bytes()));
        let post = |path: String| Request::order(Method::POST, path).patience(PATIENCE);
        match self {
            Self::Members => Request::get("/cluster/members"),
            Self::Promote(name) => post(format!("{}/promote", of(name))),
            Self::Demote(name) => post(format!("{}/demote", of(name))),
            Self::Remove(name) => Request::order(Method::DELETE, of(name)).patience(PATIENCE),
            // Another one each time.
            Self::Transfer(None) => post("/cluster/transfer".to_owned()).never_twice(),
            Self::Transfer(Some(to)) => post("/cluster/transfer".to_owned()).with("to", to),
            Self::Verify => post("/cluster/verify".to_owned()),
            Self::Refill => post("/cluster/refill".to_owned()).patience(REFILL_PATIENCE).here(),
            Self::Shrink(voters) => {
                post("/cluster/shrink".to_owned()).with("voters", voters.to_string())
            }
        }
    }
}

/// Has it done by whichever node can.
pub(super) async fn run(order: &Order, client: &Client, out: &mut Out) -> Result<()> {
    if *order == Order::Refill && client.known().len() != 1 {
        return Err(Failure::usage("say which node is to fetch its state, by the one --url of it"));
    }
    let answer = client.json(&order.request()).await?;
    if out.json && !answer.is_null() {
        out.document(&answer)?;
        out.flush()?;
        return if *order == Order::Verify { verdict(&answer).map(drop) } else { Ok(()) };
    }
    tell(order, &answer, out)
}

fn tell(order: &Order, answer: &Value, out: &mut Out) -> Result<()> {
    if *order == Order::Verify {
        return tell_states(out, answer);
    }
    if *order != Order::Members {
        return out.say("done", &json!({ "done": true }));
    }
    let leader = text(answer, "leaderID");
    out.line(&format!("{:<20} {:<9} {:<17} {:<28} MATCHED", "NAME", "ROLE", "NODE ID", "ADDRESS"))?;
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
        out.line(&format!("{name:<20} {role:<9} {id:<17} {address:<28} {matched}"))?;
    }
    Ok(())
}

/// Tells what each member's state is; exits with 1 unless all agree.
fn tell_states(out: &mut Out, answer: &Value) -> Result<()> {
    out.line(&format!("{:<20} {:<9} {:<17} STATE HASH", "NAME", "ROLE", "NODE ID"))?;
    for member in members(answer) {
        let role = if votes(member) { "voter" } else { "learner" };
        let failure = format!("no answer: {}", text(member, "failure"));
        let hash = member.get("stateHash").and_then(Value::as_str).unwrap_or(&failure);
        let (name, id) = (text(member, "name"), text(member, "nodeID"));
        out.line(&format!("{name:<20} {role:<9} {id:<17} {hash}"))?;
    }
    out.flush()?;
    out.line(&verdict(answer)?)
}

fn verdict(answer: &Value) -> Result<String> {
    let revision = answer.get("revision").and_then(Value::as_u64).unwrap_or_default();
    match text(answer, "verdict").as_str() {
        "agreed" => Ok(format!("agreed at revision {revision}")),
        "diverged" => bail!(
            "at revision {revision} a member has not the state of the majority: it takes itself out \
             and fetches that one; verify again in a while"
        ),
        "split" => bail!(
            "at revision {revision} the states differ, and none is that of a majority of the \
             voters: find out who is right, and `refill` the others"
        ),
        _ => bail!("too few members answered to tell whether they agree"),
    }
}

fn members(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("members").and_then(Value::as_array).into_iter().flatten()
}

fn text(of: &Value, name: &str) -> String {
    shown(of.get(name).and_then(Value::as_str).unwrap_or_default().as_bytes())
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
            assert_eq!(order.request().told(), wanted);
        }
    }
}
