//! Opening: from checked settings to a running node.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use openraft::SnapshotPolicy;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::{MAX_CLIENT_COUNTS, MAX_CLIENT_READS};
use super::arrival::Arrivals;
use super::backup::MAX_BACKUPS;
use super::bootstrap::own_record;
use super::contact::Contact;
use super::core::{Core, MAX_PROPOSALS, Raft};
use super::counts::Counts;
use super::door::{Door, blocking};
use super::former::Former;
use super::integrity::Integrity;
use super::lead::Lead;
use super::life::Life;
use super::read::ByProof;
use super::refill::MAX_REFILLS;
use super::{GONE_PATIENCE, Opened};
use crate::command::Settings;
use crate::config::CheckedConfig;
use crate::error::{Error, Result};
use crate::proposal::{Session, new_session_id};
use crate::raft::StoreFailure;
use crate::storage::{Storage, StorageOptions};
use crate::transport::{Network, Pace, Transport, TransportOptions};

/// Entries that one replication message carries at most; the log reader caps its bytes too.
const MAX_ENTRIES_AT_ONCE: u64 = 4096;
/// A follower further behind than this many entries counts as lagging.
const LAG_THRESHOLD: u64 = 50_000;
/// How long a follower may take to install a snapshot's last chunk.
const INSTALL_TIMEOUT_MS: u64 = 30_000;
/// Pauses between attempts to reach a peer that is down.
const PEER_BACKOFF: &str = "50ms 100ms 200ms ...2s";

/// Opens the data directory, binds the socket, starts raft and the tasks of the node.
pub(super) async fn open(config: CheckedConfig) -> Result<Opened> {
    let environment = config.environment.clone();
    let options = StorageOptions {
        data_dir: config.data_dir.clone(),
        name: config.name.clone(),
        checkpoint_interval: config.checkpoint_interval,
    };
    let storage = blocking(move || Storage::open(&options, &environment)).await?;
    let gone = storage.gone.clone();
    let started = start(config, storage).await;
    if started.is_err() {
        // The threads of the storage end by themselves; who corrects a setting opens again at once.
        let free = blocking(move || Ok(gone.wait(GONE_PATIENCE))).await;
        if !free.unwrap_or(false) {
            tracing::info!("the data directory is free a moment after the node failed to start");
        }
    }
    started
}

async fn start(config: CheckedConfig, storage: Storage) -> Result<Opened> {
    let Storage { log, state, registry, gone } = storage;
    let door = Arc::new(Door::new(registry.clone(), config.environment.versions));
    let transport = start_transport(&config, &door)?;
    let settings = state.view().settings().unwrap_or(config.settings);
    let hold = must_hold(&log, &state, registry.identity().node_id);
    // `keep_candidacy` lets it campaign.
    let raft_config = Arc::new(raft_config(settings)?);
    let clock = Arc::clone(&config.environment.clock);
    let pace = Arc::new(Pace::new(config.snapshot_bytes_per_second, clock));
    let network = match &transport {
        Some(transport) => transport.network(Arc::clone(&pace)),
        None => Network::none(Arc::clone(&pace)),
    };
    let node_id = registry.identity().node_id;
    let raft = Raft::new(node_id, raft_config, network, log.clone(), state.state_machine())
        .await
        .map_err(|fatal| match StoreFailure::behind(&fatal) {
        Some(error) => error.context("the log cannot be replayed"),
        None => Error::storage("the log and the state of this node do not fit together")
            .with_source(fatal),
    })?;
    let integrity = Arc::new(Integrity::new(registry.refill()));
    let session = new_session_id(&config.environment)?;
    let now = config.environment.clock.now();
    let core = Arc::new(Core {
        config,
        raft,
        log,
        state,
        registry,
        transport,
        session: Session::new(session),
        lead: Lead::new(),
        own_rounds: ByProof::default(),
        leader_rounds: ByProof::default(),
        proposals: Semaphore::new(MAX_PROPOSALS as usize),
        client_reads: Semaphore::new(MAX_CLIENT_READS),
        client_counts: Semaphore::new(MAX_CLIENT_COUNTS),
        backups: Arc::new(Semaphore::new(MAX_BACKUPS)),
        refills: Arc::new(Semaphore::new(MAX_REFILLS)),
        counts: Counts::default(),
        arrivals: Arrivals::default(),
        pace,
        changing: tokio::sync::Mutex::default(),
        former: Former::default(),
        joining: Mutex::default(),
        refused_since: OnceLock::new(),
        life: Arc::new(Life::new()),
        integrity,
        intake: Arc::default(),
        contact: Contact::new(now),
        held_until: if hold { now + election_timeout_max(settings) } else { now },
        obstacle: Mutex::new("the cluster has not been founded yet".into()),
    });
    door.open(&core);
    let tasks = start_tasks(&core);
    Ok(Opened { core, tasks, gone })
}

fn start_transport(config: &CheckedConfig, door: &Arc<Door>) -> Result<Option<Transport>> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let options = TransportOptions { listen: endpoint.listen, security: endpoint.security.clone() };
    let transport = Transport::start(&options, &config.environment, door.clone())?;
    door.introduce(own_record(config, transport.local_addr().port()));
    tracing::info!(name = config.name, address = %transport.local_addr(), "listens");
    Ok(Some(transport))
}

fn start_tasks(core: &Arc<Core>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(core).keep_office());
    tasks.spawn(Arc::clone(core).look_after());
    tasks.spawn(Arc::clone(core).expire());
    tasks.spawn(Arc::clone(core).find_cluster());
    tasks.spawn(Arc::clone(core).recover());
    tasks.spawn(Arc::clone(core).watch_state());
    tasks.spawn(Arc::clone(core).watch_consensus());
    tasks.spawn(Arc::clone(core).withdraw());
    tasks.spawn(Arc::clone(core).keep_membership());
    tasks.spawn(Arc::clone(core).compare_states());
    tasks.spawn(Arc::clone(core).refill_when_out());
    tasks.spawn(Arc::clone(core).remember_members());
    tasks.spawn(Arc::clone(core).keep_candidacy());
    tasks
}

/// Returns whether this node may have confirmed a lease before its start, of which it knows
/// nothing any more: it has voted before, and is not the only voter.
fn must_hold(log: &crate::storage::LogStore, state: &crate::storage::State, node_id: u64) -> bool {
    let view = state.view();
    let others = view.membership().membership().voter_ids().any(|id| id != node_id);
    // The state of the last checkpoint may be from before others came; the vote is not.
    let voted_for = log.voted_for();
    let alone = view.applied().is_some() && !others && voted_for == Some(node_id);
    voted_for.is_some() && !alone
}

fn election_timeout_max(settings: Settings) -> Duration {
    Duration::from_millis(u64::from(settings.election_timeout_ms) * 2)
}

/// See the engine's notes in ARCHITECTURE.md for why each value is what it is.
fn raft_config(settings: Settings) -> Result<openraft::Config> {
    let heartbeat = u64::from(settings.heartbeat_interval_ms);
    let (least, most) =
        (u64::from(settings.election_timeout_ms), u64::from(settings.election_timeout_ms) * 2);
    let config = openraft::Config {
        cluster_name: "kvraft".to_owned(),
        heartbeat_interval: heartbeat,
        // Replication proves the same as a heartbeat; suppress it while both fit into an election.
        heartbeat_min_interval: Some(heartbeat),
        election_timeout_min: least,
        election_timeout_max: most,
        max_payload_entries: MAX_ENTRIES_AT_ONCE,
        max_append_entries: Some(MAX_ENTRIES_AT_ONCE),
        api_batch_capacity: MAX_ENTRIES_AT_ONCE,
        api_batch_linger_ms: 0,
        broadcast_submitted_on_append: Some(true),
        enable_pre_vote: Some(true),
        // A leader killed between append and flush must not go on in its term with a shorter log.
        enable_leader_restore: Some(false),
        quorum_loss_probe_interval: Some(2 * most + heartbeat),
        snapshot_policy: SnapshotPolicy::Never,
        // Purging is ours, by bytes: openraft's own would purge up to every snapshot.
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: LAG_THRESHOLD,
        install_snapshot_timeout: INSTALL_TIMEOUT_MS,
        backoff: PEER_BACKOFF.to_owned(),
        enable_elect: false,
        ..openraft::Config::default()
    };
    config.validate().map_err(|error| {
        Error::invalid("heartbeat_interval and election_timeout do not fit").with_source(error)
    })
}
