//! `Guide` is what a client knows of the cluster: its members, its leader, whom to ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::proposal::{Leader, peer};
use crate::raft::Member;
use crate::transport::{Peer, PeerMember, Peers};

/// What members have told of their cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) cluster_id: Option<u128>,
    /// Of the newest leader that was told.
    pub(super) term: u64,
    pub(super) leader: Option<u64>,
    /// 0 until it was told.
    pub(super) max_value_bytes: u32,
    /// 0 until it was told.
    pub(super) max_command_bytes: u32,
    pub(super) members: Vec<PeerMember>,
    /// When a member was heard last.
    heard: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Guide {
    /// The addresses that the user gave.
    endpoints: Vec<String>,
    known: watch::Sender<Known>,
    /// Counts on whenever the member that is asked has failed.
    turn: AtomicUsize,
    stale: Notify,
    failed: Mutex<Failed>,
}

/// Who has failed since it was heard last, and how.
#[derive(Debug, Default)]
struct Failed {
    peers: Vec<Peer>,
    /// The last failure, until some member knows a leader.
    why: Option<Error>,
}

impl Known {
    /// Returns the record of the leader.
    pub(super) fn leader_member(&self) -> Option<&Member> {
        let leader = self.leader?;
        self.members.iter().find(|peer| peer.node_id == leader).map(|peer| &peer.member)
    }
}

impl Guide {
    /// Begins with the addresses that the user gave, at any of them: clients spread.
    pub(super) fn new(endpoints: Vec<String>, environment: &Environment) -> Result<Self> {
        let random = environment
            .random_u64()
            .map_err(|error| Error::internal("no random place to begin at").with_source(error))?;
        let count = u64::try_from(endpoints.len().max(1)).unwrap_or(u64::MAX);
        Ok(Self {
            endpoints,
            known: watch::Sender::default(),
            turn: AtomicUsize::new(usize::try_from(random % count).unwrap_or_default()),
            stale: Notify::new(),
            failed: Mutex::default(),
        })
    }

    pub(super) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Tells of every answer of a member.
    pub(super) fn news(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Returns who leads, as far as was told.
    pub(super) fn leader(&self) -> Leader {
        let known = self.known.borrow();
        match (known.leader, known.leader_member()) {
            (Some(id), Some(member)) => Leader::At(id, member.clone()),
            _ => Leader::Unknown,
        }
    }

    /// Returns everyone that can be asked, each address once.
    pub(super) fn candidates(&self) -> Vec<Peer> {
        let known = self.known.borrow();
        let reachable = known.members.iter().filter(|peer| !peer.member.address.is_empty());
        let mut peers: Vec<_> = reachable.map(|known| peer(known.node_id, &known.member)).collect();
        for address in &self.endpoints {
            if peers.iter().all(|peer| peer.address != *address) {
                let address = address.clone();
                peers.push(Peer { node_id: None, name: String::new(), address });
            }
        }
        peers
    }

    /// Returns the one that is asked now: the same until it fails, and then one that has not.
    pub(super) fn home(&self) -> Result<Peer> {
        let turn = self.turn.load(Ordering::Relaxed);
        let mut peers = self.candidates();
        let first = turn % peers.len().max(1);
        peers.rotate_left(first);
        let failed = self.failed();
        // Asked for with every call: the list is made once. If all have failed, it is the first's turn.
        let well = peers.iter().position(|peer| !failed.peers.contains(peer)).unwrap_or(0);
        peers.into_iter().nth(well).ok_or_else(without_endpoints)
    }

    /// Returns the one whose turn it is.
    pub(super) fn candidate(&self, turn: usize) -> Result<Peer> {
        let mut peers = self.candidates();
        if peers.is_empty() {
            return Err(without_endpoints());
        }
        Ok(peers.swap_remove(turn % peers.len()))
    }

    /// Takes note that a member has failed a call: the next one is asked, and news are due.
    pub(super) fn pass(&self, failed: &Peer, why: &Error) {
        self.fail(failed, why);
        self.ask_for_news();
    }

    /// Takes note that a member has failed: another is asked until it is heard again.
    pub(super) fn fail(&self, peer: &Peer, why: &Error) {
        if self.home().is_ok_and(|home| home == *peer) {
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        let mut failed = self.failed();
        failed.why = Some(why.clone());
        if !failed.peers.contains(peer) {
            failed.peers.push(peer.clone());
        }
        // Who is no candidate any more need not be remembered.
        let candidates = self.candidates();
        failed.peers.retain(|peer| candidates.contains(peer));
    }

    /// Asks for news of the leader soon.
    pub(super) fn ask_for_news(&self) {
        self.stale.notify_one();
    }

    /// Returns when somebody has asked for news.
    pub(super) async fn is_stale(&self) {
        self.stale.notified().await;
    }

    /// Takes note of what a member told. A member that is behind tells of older leaders.
    pub(super) fn note(&self, from: &Peer, peers: Peers, now: Instant) {
        self.known.send_modify(|known| {
            known.heard = Some(now);
            known.cluster_id = known.cluster_id.or(peers.cluster_id);
            let leads = peers.leader.is_some() && peers.term >= known.term;
            if leads {
                known.term = peers.term;
                known.leader = peers.leader;
            }
            if leads || known.members.is_empty() {
                known.members = peers.members;
                known.max_value_bytes = peers.max_value_bytes;
                known.max_command_bytes = peers.max_command_bytes;
            }
        });
        let mut failed = self.failed();
        failed.peers.retain(|peer| peer != from);
        if self.known.borrow().leader.is_some() {
            failed.why = None;
        }
    }

    /// Remembers which cluster was reached first; fails for any other.
    pub(super) fn settle_cluster(&self, cluster_id: u128) -> Result<()> {
        let mut fits = true;
        self.known.send_if_modified(|known| {
            fits = *known.cluster_id.get_or_insert(cluster_id) == cluster_id;
            false
        });
        if fits {
            Ok(())
        } else {
            Err(Error::refused(
                "it belongs to another cluster than the member that was reached first; an address in endpoints is wrong",
            ))
        }
    }

    /// Returns whether a member was heard in the last `patience`.
    pub(super) fn was_heard(&self, now: Instant, patience: Duration) -> bool {
        self.known.borrow().heard.is_some_and(|heard| now.duration_since(heard) <= patience)
    }

    /// Returns why a member could not be reached lately, if one could not.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.failed().why.clone()
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_endpoints() -> Error {
    Error::internal("a client without endpoints")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node_id: u64, address: &str) -> PeerMember {
        let member =
            Member { name: format!("n{node_id}"), address: address.into(), ..Member::default() };
        PeerMember { node_id, voter: true, member }
    }

    fn told(term: u64, leader: Option<u64>, members: &[(u64, &str)]) -> Peers {
        let members = members.iter().map(|(id, address)| member(*id, address)).collect();
        Peers {
            cluster_id: Some(1),
            term,
            leader,
            max_value_bytes: 9,
            max_command_bytes: 10,
            members,
        }
    }

    fn guide(endpoints: &[&str]) -> Guide {
        let endpoints = endpoints.iter().map(|address| (*address).to_owned()).collect();
        Guide::new(endpoints, &Environment::default()).unwrap()
    }

    fn somebody() -> Peer {
        Peer { node_id: None, name: String::new(), address: "a:1".into() }
    }

    #[test]
    fn a_member_that_is_behind_does_not_bring_an_old_leader_back() {
        let (guide, now) = (guide(&["a:1"]), Instant::now());
        let members = [(1, "a:1"), (2, "b:1")];
        guide.note(&somebody(), told(5, Some(2), &members), now);
        guide.note(&somebody(), told(4, Some(1), &members), now);
        guide.note(&somebody(), told(9, None, &members), now);
        assert!(matches!(guide.leader(), Leader::At(2, _)));
        guide.note(&somebody(), told(6, Some(1), &members), now);
        assert!(matches!(guide.leader(), Leader::At(1, _)));
    }

    #[test]
    fn each_address_is_asked_once_and_endpoints_stay_beside_the_members() {
        let guide = guide(&["a:1", "service:1"]);
        assert_eq!(guide.candidates().len(), 2);
        guide.note(
            &somebody(),
            told(1, Some(1), &[(1, "a:1"), (2, "b:1"), (3, "")]),
            Instant::now(),
        );
        let addresses: Vec<_> = guide.candidates().into_iter().map(|peer| peer.address).collect();
        assert_eq!(addresses, ["a:1", "b:1", "service:1"]);
    }

    #[test]
    fn who_has_failed_is_asked_again_only_once_it_was_heard_or_nobody_else_is_left() {
        let (guide, why) = (guide(&["a:1", "b:1"]), Error::unavailable("down"));
        let first = guide.home().unwrap();
        assert_eq!(guide.home().unwrap(), first);
        guide.pass(&first, &why);
        let second = guide.home().unwrap();
        assert_ne!(second, first);
        guide.pass(&second, &why);
        guide.pass(&second, &why);
        assert!([&first, &second].contains(&&guide.home().unwrap()));
        guide.note(&second, told(1, None, &[]), Instant::now());
        assert_eq!(guide.home().unwrap(), second);
    }

    #[test]
    fn the_first_cluster_that_was_reached_is_the_only_one() {
        let guide = guide(&["a:1"]);
        guide.settle_cluster(7).unwrap();
        guide.settle_cluster(7).unwrap();
        assert_eq!(guide.settle_cluster(8).unwrap_err().kind(), crate::ErrorKind::Refused);
    }
}
