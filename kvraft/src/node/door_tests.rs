//! Tests of `Door`, with a stranger before it that speaks the protocol of the nodes.

use futures_util::stream;
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use tempfile::TempDir;

use super::*;
use crate::command::{Command, Settings, Stamp};
use crate::config::{Config, Insecure, Security};
use crate::environment::Environment;
use crate::identity::Identity;
use crate::node::Node;
use crate::raft::Vote;
use crate::transport::{Pace, Peer, Transport};
use crate::versions::{FORMAT_LEVEL, PROTOCOLS};

const PATIENCE: Duration = Duration::from_secs(10);

/// Says who it is and answers nothing.
struct Stranger(Hello);

impl Greeter for Stranger {
    fn hello(&self) -> Hello {
        self.0.clone()
    }

    fn admit<'a>(&'a self, _peer: &'a Hello) -> BoxFuture<'a, Result<(), Unmet>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// One node that leads itself, and a stranger who may dial it.
struct Scene {
    _dir: TempDir,
    node: Arc<Node>,
    peer: Peer,
    stranger: Transport,
}

impl Scene {
    async fn of(role: HelloRole) -> Self {
        let dir = TempDir::new().unwrap();
        let config =
            Config::new(dir.path()).listen("127.0.0.1:0").insecure(Insecure::Loopback).check();
        let node = Node::open(config.unwrap()).await.unwrap();
        node.wait_ready(node.now() + PATIENCE).await.unwrap();
        let own = node.status().members.remove(0);
        let peer = Peer { node_id: None, name: own.name, address: own.address };
        let hello = Hello {
            protocols: PROTOCOLS,
            role,
            cluster_id: None,
            identity: Identity { name: "stranger".into(), node_id: 99, start: 1, nonce: 1 },
            record: Member::default(),
            initialised: false,
            format_level: FORMAT_LEVEL,
        };
        let stranger = Arc::new(Stranger(hello));
        let stranger =
            Transport::dial_only(&Security::Insecure, &Environment::default(), stranger).unwrap();
        Self { _dir: dir, node, peer, stranger }
    }

    async fn propose(&self, command: &Command) -> Response {
        let request =
            Request::Propose { origin: None, command: command.encode(), timeout_ms: 10_000 };
        self.stranger.request(&self.peer, request, self.node.now() + PATIENCE).await.unwrap()
    }

    async fn works(&self) {
        let command = Command::put(Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        self.node.propose(command, self.node.now() + PATIENCE).await.unwrap();
    }
}

fn settings() -> Settings {
    Settings {
        storage_limit_bytes: 1 << 30,
        max_value_bytes: 4 << 20,
        max_command_bytes: 8 << 20,
        heartbeat_interval_ms: 50,
        election_timeout_ms: 200,
        format_level: FORMAT_LEVEL,
    }
}

#[tokio::test]
async fn settings_that_no_node_could_live_by_never_enter_the_log() {
    let scene = Scene::of(HelloRole::Client).await;
    let wrong = [
        Settings { format_level: FORMAT_LEVEL + 1, ..settings() },
        Settings { heartbeat_interval_ms: 0, ..settings() },
        Settings { election_timeout_ms: 60, ..settings() },
        Settings { max_value_bytes: 65 << 20, ..settings() },
        Settings { max_command_bytes: 1 << 20, ..settings() },
        Settings { storage_limit_bytes: 0, ..settings() },
    ];
    for settings in wrong {
        let answer = scene.propose(&Command::ChangeSettings { settings }).await;
        assert!(matches!(answer, Response::Failed(_)), "{settings:?}: {answer:?}");
    }
    scene.works().await;
}

#[tokio::test]
async fn what_only_a_leader_decides_is_taken_from_nobody_else() {
    let scene = Scene::of(HelloRole::Member).await;
    let commands = [
        Command::ExpireSessions { sessions: vec![] },
        Command::Found { cluster_id: 1, revision_base: 0, settings: settings() },
    ];
    for command in commands {
        let answer = scene.propose(&command).await;
        assert!(matches!(answer, Response::Failed(_)), "{command:?}: {answer:?}");
    }
    scene.works().await;
}

#[tokio::test]
async fn a_stranger_appends_nothing_on_a_stream() {
    let scene = Scene::of(HelloRole::Member).await;
    let record = Member {
        name: scene.peer.name.clone(),
        address: scene.peer.address.clone(),
        ..Member::default()
    };
    let node_id = u64::from_str_radix(&scene.node.status().node_id, 16).unwrap();
    let pace = Arc::new(Pace::new(1 << 20, Environment::default().clock));
    let mut network = scene.stranger.network(pace).new_client(node_id, &record).await;
    let term = scene.node.status().term;
    let payload = crate::command::Payload::new(
        Stamp { cluster_ms: 0, wall_ms: 0 },
        None,
        &Command::delete(Bytes::from_static(b"k")).encode(),
    );
    let last = scene.node.status().last_log;
    let request = AppendRequest {
        vote: Vote::new_committed(term + 7, 99),
        prev_log_id: Some(crate::raft::LogId::new_term_index(term, last)),
        entries: vec![openraft::Entry {
            log_id: crate::raft::LogId::new_term_index(term + 7, last + 1),
            payload: openraft::EntryPayload::Normal(payload),
        }],
        leader_commit: None,
    };
    let requests = stream::iter([request]);
    let mut answers = network.stream_append(requests, RPCOption::new(PATIENCE)).await.unwrap();
    let answer = answers.next().await.unwrap();
    assert!(answer.is_err(), "{answer:?}");
    // The node may write on: it has just founded its cluster. But nobody deposed it.
    assert_eq!(scene.node.status().term, term);
    scene.works().await;
}

#[tokio::test]
async fn a_node_that_may_not_serve_has_no_part_in_consensus_and_appends_nothing() {
    let scene = Scene::of(HelloRole::Client).await;
    let core = scene.node.core.load_full().unwrap();
    core.life.fail(Error::corrupt("a test says so"));
    let answer = scene.propose(&Command::delete(Bytes::from_static(b"k"))).await;
    let Response::Failed(failure) = answer else { panic!("it answered {answer:?}") };
    assert_eq!(failure.reason, FailureReason::Kind(ErrorKind::Unavailable), "nothing is open");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while core.raft.metrics().borrow_watched().running_state.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it goes on to lead");
        tokio::task::yield_now().await;
    }
    drop(core);
    scene.node.close().await.unwrap();
}

#[tokio::test]
async fn a_client_may_read_and_gets_a_typed_error_for_a_key_that_cannot_be() {
    let scene = Scene::of(HelloRole::Client).await;
    scene.works().await;
    for (key, kind) in [
        (vec![], Some(ErrorKind::InvalidArgument)),
        (vec![0; 600], Some(ErrorKind::InvalidArgument)),
    ]
    .into_iter()
    .chain([(b"k".to_vec(), None), (b"none".to_vec(), None)])
    {
        let read = crate::options::ReadOptions::new();
        let query = Query::Get { key: key.clone().into(), read };
        let request = Request::Query(query);
        let deadline = scene.node.now() + PATIENCE;
        let answer = scene.stranger.request(&scene.peer, request, deadline).await.unwrap();
        if let Response::Answer(Answer::Entry(entry)) = answer {
            assert_eq!((entry.is_some(), kind), (key == b"k", None));
            continue;
        }
        let Response::Failed(failure) = answer else { panic!("it answered {answer:?}") };
        assert_eq!(Some(Error::from(failure).kind()), kind);
    }
}
