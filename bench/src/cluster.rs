//! `Cluster` is the three nodes under test, at least one of them in this process.

use std::fmt::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_executor::block_on;
use futures_util::future::try_join_all;
use kvraft::{ReplicatedMap, Role};
use ring::rand::SecureRandom;
use tempfile::TempDir;

use crate::args::Plan;
use crate::member::{self, Member};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// The name of the node that joins.
pub(crate) const GUEST: &str = "d";
/// How long the nodes may take to agree on a leader.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often leadership is moved until it is where it should be: each move is a coin flip.
const MOVES: usize = 50;

/// Where the calls of a measurement are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Leader,
    Follower,
}

/// The nodes under test.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Nodes,
    /// The settings of a node that joins.
    guest: Vec<String>,
    dir: TempDir,
}

#[derive(Debug)]
enum Nodes {
    /// All in this process.
    Here(Vec<ReplicatedMap>),
    /// The one that is measured here, the others in processes of their own.
    Apart { map: ReplicatedMap, settings: Vec<String>, others: Vec<(String, Member)> },
}

impl Cluster {
    /// Starts three nodes under a secret of their own, with the default settings but for the plan's.
    pub(crate) fn start(plan: &Plan) -> anyhow::Result<Self> {
        let dir = match &plan.dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        };
        let dir = dir.context("cannot make a directory for the data")?;
        let (mut all, mut guest) = settings(dir.path())?;
        for settings in all.iter_mut().chain([&mut guest]) {
            settings.extend_from_slice(&plan.settings);
        }
        let nodes = if plan.in_process {
            let maps = all.iter().map(|settings| open(settings));
            Nodes::Here(maps.collect::<anyhow::Result<_>>()?)
        } else {
            let (settings, others) = all.split_first().context("there are three nodes")?;
            let others = others
                .iter()
                .zip(NAMES.iter().skip(1))
                .map(|(settings, name)| anyhow::Ok(((*name).to_owned(), Member::start(settings)?)));
            let others = others.collect::<anyhow::Result<_>>()?;
            Nodes::Apart { map: open(settings)?, settings: settings.clone(), others }
        };
        let cluster = Self { nodes, guest, dir };
        for map in cluster.maps() {
            wait_ready(map)?;
        }
        Ok(cluster)
    }

    /// Returns where the data lies.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the settings of a fourth node, which joins the three.
    pub(crate) fn guest(&self) -> &[String] {
        &self.guest
    }

    /// Returns a node in this process at that place, after moving leadership if need be.
    pub(crate) fn seat(&mut self, place: Place) -> anyhow::Result<ReplicatedMap> {
        for _ in 0..MOVES {
            let seated = self.maps().iter().find(|map| sits(map, place));
            if let Some(map) = seated {
                return Ok(map.clone());
            }
            self.move_leadership()?;
        }
        bail!("leadership was moved {MOVES} times and never came to the node that is measured")
    }

    fn maps(&self) -> &[ReplicatedMap] {
        match &self.nodes {
            Nodes::Here(maps) => maps,
            Nodes::Apart { map, .. } => std::slice::from_ref(map),
        }
    }

    /// Closes the node that leads, which hands leadership over, and opens it again.
    fn move_leadership(&mut self) -> anyhow::Result<()> {
        if let Nodes::Apart { map, settings, others } = &mut self.nodes {
            let leader = map.status().leader;
            let apart = others.iter_mut().find(|(name, _)| Some(name) == leader.as_ref());
            match apart {
                Some((_, member)) => member.reopen()?,
                None if map.status().is_leader() => {
                    block_on(map.close())?;
                    *map = open(settings)?;
                }
                None => {}
            }
        }
        self.maps().iter().try_for_each(wait_ready)
    }

    /// Closes the nodes of this process, then ends the others.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        // All at once: the last one would wait for a majority that is not there any more.
        block_on(try_join_all(self.maps().iter().map(ReplicatedMap::close)))?;
        Ok(())
    }
}

/// Returns whether a node sits there now.
pub(crate) fn sits(map: &ReplicatedMap, place: Place) -> bool {
    let status = map.status();
    let role = match place {
        Place::Leader => Role::Leader,
        Place::Follower => Role::Follower,
    };
    status.ready && status.role == role
}

fn wait_ready(map: &ReplicatedMap) -> anyhow::Result<()> {
    Ok(block_on(map.wait_ready(PATIENCE))?)
}

fn open(settings: &[String]) -> anyhow::Result<ReplicatedMap> {
    Ok(block_on(ReplicatedMap::open(member::config(settings)?))?)
}

/// Makes the settings of three nodes and of one that joins them, each a list of `name=value`.
fn settings(dir: &Path) -> anyhow::Result<(Vec<Vec<String>>, Vec<String>)> {
    let [a, b, c, guest] = free_addresses()?;
    let members = NAMES.into_iter().zip([a, b, c]).collect::<Vec<_>>();
    let list: Vec<_> = members.iter().map(|(name, address)| format!("{name}={address}")).collect();
    let join: Vec<_> = members.iter().map(|(_, address)| address.as_str()).collect();
    let (members_are, joins, secret) = (list.join(","), join.join(","), secret()?);
    let of = |name: &str, address: &str, others: String| {
        vec![
            format!("data_dir={}", dir.join(name).display()),
            format!("name={name}"),
            format!("listen={address}"),
            others,
            format!("cluster_secret={secret}"),
        ]
    };
    let founder =
        |(name, address): &(&str, String)| of(name, address, format!("members={members_are}"));
    let founders = members.iter().map(founder).collect();
    Ok((founders, of(GUEST, &guest, format!("join={joins}"))))
}

/// Finds ports that nobody uses; all are held until the last is found, so that they differ.
fn free_addresses() -> anyhow::Result<[String; 4]> {
    let mut held = Vec::new();
    let mut find = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?.to_string();
        held.push(socket);
        std::io::Result::Ok(address)
    };
    Ok([find()?, find()?, find()?, find()?])
}

fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
