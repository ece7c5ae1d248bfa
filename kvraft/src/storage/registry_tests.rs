//! Tests of `Registry`, through the opening of a log side where that decides.

use super::super::dir::DataDir;
use super::super::log_lmdb::LmdbLog;
use super::super::pressure::DiskPressure;
use super::super::sim_disk::{SimBallast, SimDisk};
use super::*;
use crate::command::Settings;
use crate::error::ErrorKind;
use crate::identity::ClaimedMember;
use crate::raft::Member;
use crate::versions::FORMAT_LEVEL;

const OWN_ID: u64 = 0xb;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn identity() -> Identity {
    Identity { name: "b".into(), node_id: OWN_ID, start: 2, nonce: 3 }
}

fn registry_on(disk: &SimDisk) -> Registry {
    let ballast = Arc::new(SimBallast::default());
    let log = LogStore::start(disk.clone(), DiskPressure::default(), ballast).unwrap();
    Registry::new(Remembered::read(disk).unwrap(), identity(), log)
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

/// A claim of `a` over `a` and `b`, where `a` has the given node id.
fn claim(a: u64) -> Claim {
    let member = |name: &str, node_id| ClaimedMember {
        node_id,
        record: Member { name: name.into(), address: format!("{name}:1"), ..Member::default() },
    };
    Claim {
        cluster_id: u128::from(a),
        claimant: "a".into(),
        members: vec![member("a", a), member("b", OWN_ID)],
        settings: settings(),
    }
}

async fn refusal(registry: &Registry, claim: &Claim) -> String {
    let error = registry.grant(claim).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    error.to_string()
}

#[test]
fn the_bytes_of_identities_and_peers_are_golden() {
    let mut out = BytesMut::new();
    put_identity(&mut out, &identity());
    put_peer(&mut out, PeerStart { start: 4, nonce: 5 });
    assert_eq!(
        hex(&out),
        "0000000162000000000000000b00000000000000020000000000000003\
         00000000000000040000000000000005"
    );
    let mut reader = Reader::new(out.freeze());
    assert_eq!(read_identity(&mut reader).unwrap(), identity());
    assert_eq!(read_peer(&mut reader).unwrap(), PeerStart { start: 4, nonce: 5 });
}

#[test]
fn the_bytes_of_a_claim_are_golden() {
    let mut out = BytesMut::new();
    claim(0xa).encode(&mut out);
    assert_eq!(
        hex(&out),
        "0000000000000000000000000000000a000000016100000002\
         000000000000000a000000016100000003613a31000000000000000000\
         000000000000000b000000016200000003623a31000000000000000000\
         0000000040000000004000000080000000000032000000c80001"
    );
    assert_eq!(Claim::decode(&mut Reader::new(out.freeze())).unwrap(), claim(0xa));
}

#[tokio::test]
async fn a_granted_claim_is_durable_and_may_be_asked_for_again() {
    let disk = SimDisk::default();
    let registry = registry_on(&disk);
    registry.grant(&claim(1)).await.unwrap();
    registry.grant(&claim(1)).await.unwrap();
    assert_eq!(registry_on(&disk.after_power_cut()).claim(), Some(claim(1)));
}

#[tokio::test]
async fn another_claim_is_refused_with_the_difference_named() {
    let registry = registry_on(&SimDisk::default());
    registry.grant(&claim(1)).await.unwrap();
    let mut other = claim(1);
    other.claimant = "b".into();
    assert!(refusal(&registry, &other).await.contains("claimant was a, now it is b"));
    let mut other = claim(1);
    other.members[0].record.address = "z:9".into();
    assert!(refusal(&registry, &other).await.contains("a=a:1,b=b:1, now it is a=z:9,b=b:1"));
    let mut other = claim(1);
    other.settings.max_value_bytes = 7;
    assert!(refusal(&registry, &other).await.contains("settings"));
    let mut other = claim(1);
    other.cluster_id = 99;
    assert!(refusal(&registry, &other).await.contains("cluster id"));
    let mut other = claim(1);
    other.members[1].node_id = 99;
    assert!(refusal(&registry, &other).await.contains("ask for its node id again"));
    other.members.pop();
    assert!(refusal(&registry, &other).await.contains("does not list this node"));
    assert_eq!(registry.claim(), Some(claim(1)));
}

#[tokio::test]
async fn a_claimant_that_lost_its_disk_replaces_its_claim() {
    let registry = registry_on(&SimDisk::default());
    registry.grant(&claim(1)).await.unwrap();
    registry.grant(&claim(2)).await.unwrap();
    assert_eq!(registry.claim(), Some(claim(2)));
}

#[tokio::test]
async fn a_settled_cluster_is_permanent_and_ends_all_claims() {
    let disk = SimDisk::default();
    let registry = registry_on(&disk);
    assert_eq!(registry.cluster_id(), None);
    registry.settle_cluster(7).await.unwrap();
    registry.settle_cluster(7).await.unwrap();
    assert_eq!(registry.settle_cluster(8).await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(refusal(&registry, &claim(1)).await.contains("belongs to a cluster already"));
    assert_eq!(registry_on(&disk.after_power_cut()).cluster_id(), Some(7));
}

#[tokio::test]
async fn a_copy_of_a_peer_is_refused_also_after_a_power_cut() {
    let disk = SimDisk::default();
    let registry = registry_on(&disk);
    registry.admit_peer(5, 3, 30).await.unwrap();
    registry.admit_peer(5, 3, 30).await.unwrap();
    for registry in [registry, registry_on(&disk.after_power_cut())] {
        for (start, nonce) in [(2, 20), (3, 31)] {
            let error = registry.admit_peer(5, start, nonce).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.message().contains("0000000000000005"), "{error}");
        }
        registry.admit_peer(5, 3, 30).await.unwrap();
    }
    let registry = registry_on(&disk.after_power_cut());
    registry.admit_peer(5, 4, 1).await.unwrap();
    assert!(registry.admit_peer(OWN_ID, 9, 9).await.is_err());
}

fn owner(node_id: u64, fresh: bool) -> StateOrigin {
    StateOrigin { node_id, cluster_id: None, fresh, applied: false }
}

/// What opening gives, but for the state.
#[derive(Debug)]
struct LogSide {
    log: LogStore,
    registry: Registry,
}

/// Opens as `Storage` does, beside a state that says of itself what `state` makes of the proposed
/// node id.
fn open(path: &Path, name: &str, state: impl FnOnce(u64) -> StateOrigin) -> Result<LogSide> {
    let dir = Arc::new(DataDir::open(path)?);
    let mut disk = LmdbLog::open(Arc::clone(&dir), 1 << 28)?;
    let remembered = Remembered::read(&disk)?;
    let mut identity = remembered.next_identity(name, dir.path(), &Environment::default())?;
    let origin = state(identity.node_id);
    remembered.settle_owner(&mut identity, &origin, dir.path())?;
    Remembered::write_identity(&mut disk, &identity, &*dir)?;
    let log = LogStore::start(disk, DiskPressure::default(), dir)?;
    let registry = Registry::new(remembered, identity, log.clone());
    Ok(LogSide { log, registry })
}

#[test]
fn a_node_keeps_its_id_and_raises_its_start_at_every_open() {
    let temp = tempfile::tempdir().unwrap();
    let mut before: Option<Identity> = None;
    for start in 1..4 {
        let side = open(temp.path(), "a", |id| owner(id, start == 1)).unwrap();
        let identity = side.registry.identity().clone();
        assert_eq!(identity.start, start);
        if let Some(before) = before {
            assert_eq!(identity.node_id, before.node_id);
            assert_ne!(identity.nonce, before.nonce);
        }
        before = Some(identity);
        side.log.close();
    }
}

#[test]
fn another_name_is_refused_with_both_named() {
    let temp = tempfile::tempdir().unwrap();
    open(temp.path(), "a", |id| owner(id, true)).unwrap().log.close();
    let error = open(temp.path(), "b", |id| owner(id, false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("\"a\"") && error.message().contains("\"b\""), "{error}");
}

#[test]
fn a_half_born_directory_is_completed_under_the_id_of_its_state() {
    let temp = tempfile::tempdir().unwrap();
    let side = open(temp.path(), "a", |_| owner(77, false)).unwrap();
    assert_eq!(side.registry.identity().node_id, 77);
    side.log.close();
}

#[test]
fn a_state_without_its_log_is_refused_and_so_is_a_log_without_its_state() {
    let temp = tempfile::tempdir().unwrap();
    let applied = StateOrigin { applied: true, ..owner(77, false) };
    let error = open(temp.path(), "a", |_| applied).unwrap_err();
    assert!(error.message().contains("without its log"), "{error}");
    open(temp.path(), "a", |id| owner(id, true)).unwrap().log.close();
    let error = open(temp.path(), "a", |id| owner(id, true)).unwrap_err();
    assert!(error.message().contains("without its state"), "{error}");
}

#[tokio::test]
async fn a_directory_of_two_nodes_or_two_clusters_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let side = open(temp.path(), "a", |id| owner(id, true)).unwrap();
    side.registry.settle_cluster(7).await.unwrap();
    side.log.close();
    drop(side);
    let error = open(temp.path(), "a", |id| owner(id ^ 1, false)).unwrap_err();
    assert!(error.message().contains("mixes two nodes"), "{error}");
    let other = |id| StateOrigin { cluster_id: Some(8), ..owner(id, false) };
    let error = open(temp.path(), "a", other).unwrap_err();
    assert!(error.message().contains("mixes two clusters"), "{error}");
}

#[test]
fn a_log_without_an_identity_is_corrupt() {
    let temp = tempfile::tempdir().unwrap();
    {
        let dir = Arc::new(DataDir::open(temp.path()).unwrap());
        let mut disk = LmdbLog::open(dir, 1 << 28).unwrap();
        let vote = Bytes::from_static(&[0; 17]);
        let records = [(Record::Vote, vote)].into();
        disk.write(&Batch { records, ..Batch::default() }).unwrap();
    }
    let error = open(temp.path(), "a", |id| owner(id, true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
