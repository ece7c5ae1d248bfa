//! Tests of `State` at its doors, on its real disk and on one that refuses.

use crate::command::{Attach, MAX_LEASES_AT_ONCE, Op, OpResult};
use std::ops::Bound;
use std::path::Path;
use std::sync::Condvar;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use bytes::Bytes;
use futures_executor::block_on;
use openraft::EntryPayload;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use proptest::prelude::*;

use super::*;
use crate::ErrorKind;
use crate::command::{
    Command, Origin, Payload, Rejection, SESSION_TTL_MS, SessionId, Settings, Stamp,
};
use crate::raft::{LogId, Member, Membership, Snapshot, StoredMembership};
use crate::storage::generation::StateOrigin;
use crate::storage::pressure::PressureSide;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded, Order, Stage};
use crate::storage::view::{PageLimits, PageRequest};
use crate::versions::FORMAT_LEVEL;

const SESSION: SessionId = SessionId(5);
/// Long enough for a slow machine, and never waited for in full when all is well.
const DEADLINE: Duration = Duration::from_secs(20);

const SETTINGS: Settings = Settings {
    storage_limit_bytes: 1 << 30,
    max_value_bytes: 4 << 20,
    max_command_bytes: 8 << 20,
    heartbeat_interval_ms: 50,
    election_timeout_ms: 200,
    format_level: 1,
};

/// A log that is durable at once, unless it is stalled.
#[derive(Default)]
struct Log {
    stalled: Mutex<bool>,
    changed: Condvar,
    flushes: AtomicUsize,
}

impl Log {
    fn stall(&self, stalled: bool) {
        *self.stalled.lock().unwrap() = stalled;
        self.changed.notify_all();
    }
}

impl LogBarrier for Log {
    fn flush(&self) -> Result<()> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        drop(self.changed.wait_while(self.stalled.lock().unwrap(), |stalled| *stalled).unwrap());
        Ok(())
    }
}

/// One node's state with a log index and a clock to go on from.
struct Node {
    state: State,
    log: Arc<Log>,
    pressure: DiskPressure,
    released: Arc<AtomicUsize>,
    index: u64,
    now_ms: u64,
}

const MAP_BYTES: usize = 256 << 20;

/// Tests ask for their checkpoints.
const OPTIONS: StateOptions = StateOptions {
    format_level: FORMAT_LEVEL,
    checkpoint_interval: Duration::from_secs(3600),
    checkpoint_bytes: usize::MAX,
    buffer_cap_bytes: usize::MAX,
};

fn disk(dir: &Path) -> Generations {
    Generations::open(dir, MAP_BYTES, 1).unwrap()
}

impl Node {
    fn open(dir: &Path) -> Self {
        Self::with_disk(Box::new(disk(dir)), &OPTIONS)
    }

    fn with_disk(disk: Box<dyn StateDisk>, options: &StateOptions) -> Self {
        let (log, pressure) = (Arc::new(Log::default()), DiskPressure::default());
        let released = Arc::new(AtomicUsize::new(0));
        let of_hook = Arc::clone(&released);
        let barrier: Arc<dyn LogBarrier> = Arc::<Log>::clone(&log);
        let hooks = StateHooks {
            barrier,
            pressure: pressure.clone(),
            release_ballast: Arc::new(move || {
                of_hook.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let state = State::start(disk, options, hooks).unwrap();
        let view = state.view();
        let index = view.applied().map_or(0, |log_id| log_id.index);
        Self { log, pressure, released, index, now_ms: view.cluster_ms(), state }
    }

    /// Opens a state whose cluster is founded and whose session is open.
    fn founded(dir: &Path) -> Self {
        let mut node = Self::open(dir);
        node.found(SETTINGS);
        node
    }

    fn found(&mut self, settings: Settings) {
        let found = Command::Found { cluster_id: 9, revision_base: 100, settings };
        assert_eq!(self.apply(None, &found), Outcome::Done);
        assert_eq!(self.apply(None, &Command::OpenSession { session: SESSION }), Outcome::Done);
    }

    fn try_apply(&mut self, payload: EntryPayload<Payload, u64, Member>) -> Result<Outcome> {
        self.index += 1;
        let log_id = LogId::new_term_index(1, self.index);
        let outcomes = self.state.shared.apply(vec![Entry { log_id, payload }])?;
        Ok(outcomes.into_iter().next().unwrap())
    }

    fn apply(&mut self, origin: Option<Origin>, command: &Command) -> Outcome {
        let stamp = Stamp { cluster_ms: self.now_ms, wall_ms: 1 };
        let payload = Payload::new(stamp, origin, &command.encode());
        self.try_apply(EntryPayload::Normal(payload)).unwrap()
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Outcome {
        let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value));
        self.apply(None, &Command::put(key, value))
    }

    fn delete(&mut self, key: &str) -> Outcome {
        self.apply(None, &Command::delete(Bytes::copy_from_slice(key.as_bytes())))
    }

    /// Puts under a sequence of the open session.
    fn put_once(&mut self, sequence: u64, key: &str, value: &str) -> Outcome {
        let origin = Origin { session: SESSION, sequence, done_below: 1 };
        let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
        self.apply(Some(origin), &Command::put(key, value))
    }

    fn value(&self, key: &str) -> Option<Bytes> {
        self.state.view().get(key.as_bytes()).unwrap().map(|record| record.value)
    }

    fn checkpoint(&self) {
        self.state.checkpoint_blocking().unwrap();
    }

    fn close(self) {
        self.state.close().unwrap();
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut machine = self.state.state_machine();
        block_on(async { machine.get_snapshot_builder().await.build_snapshot().await }).unwrap()
    }

    /// Sends a snapshot to `target` in chunks of `chunk` bytes.
    fn send_snapshot(&mut self, target: &mut Self, chunk: usize) -> Result<()> {
        let (meta, bytes) = stream(self.snapshot());
        let staged = target.receive(&meta, &bytes, chunk)?;
        target.state.install(SnapshotData::Incoming(staged), &meta)?;
        target.index = self.index;
        Ok(())
    }

    fn receive(&self, meta: &SnapshotMeta, bytes: &[u8], chunk: usize) -> Result<StagedState> {
        let mut sink = self.state.snapshot_sink(meta.clone())?;
        for chunk in bytes.chunks(chunk) {
            sink.write(chunk)?;
        }
        sink.finish()
    }
}

fn stream(snapshot: Snapshot) -> (SnapshotMeta, Vec<u8>) {
    let SnapshotData::Outgoing(mut source) = snapshot.snapshot else { panic!("not outgoing") };
    let mut bytes = Vec::new();
    while let Some(chunk) = source.next_chunk().unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    source.settle();
    (snapshot.meta, bytes)
}

/// What is sent next, of a node that has something to send.
fn current(node: &Node) -> (SnapshotMeta, Box<dyn SnapshotSource>) {
    let mut machine = node.state.state_machine();
    let snapshot = block_on(machine.get_current_snapshot()).unwrap().unwrap();
    let SnapshotData::Outgoing(source) = snapshot.snapshot else { panic!("not outgoing") };
    (snapshot.meta, source)
}

/// Begins to send a snapshot and breaks off; returns what was sent.
fn broken_off(node: &Node, chunks: usize) -> Vec<u8> {
    let (_, mut source) = current(node);
    (0..chunks).flat_map(|_| source.next_chunk().unwrap().unwrap()).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Copies the files of a state as a kill would leave them.
fn crash_image(from: &Path, to: &Path) {
    for generation in names(from) {
        std::fs::create_dir_all(to.join(&generation)).unwrap();
        std::fs::copy(
            from.join(&generation).join("data.mdb"),
            to.join(&generation).join("data.mdb"),
        )
        .unwrap();
    }
}

#[test]
fn what_was_applied_is_there_after_a_clean_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    assert_eq!(
        node.put("a", b"1"),
        Outcome::Written {
            revision: 103,
            result: OpResult::Put { replaced: false, previous: None }
        }
    );
    assert_eq!(
        node.put("a", b"2"),
        Outcome::Written {
            revision: 104,
            result: OpResult::Put { replaced: true, previous: None }
        }
    );
    assert_eq!(
        node.put("b", b"3"),
        Outcome::Written {
            revision: 105,
            result: OpResult::Put { replaced: false, previous: None }
        }
    );
    assert_eq!(
        node.delete("b"),
        Outcome::Written {
            revision: 106,
            result: OpResult::Deleted { existed: true, previous: None }
        }
    );
    assert_eq!(
        node.delete("b"),
        Outcome::Written {
            revision: 107,
            result: OpResult::Deleted { existed: false, previous: None }
        }
    );
    let hash = node.state.view().state_hash();
    node.close();

    let node = Node::open(dir.path());
    let view = node.state.view();
    let record = view.get(b"a").unwrap().unwrap();
    assert_eq!((record.value.as_ref(), record.revision, record.created), (&b"2"[..], 104, 103));
    assert_eq!((view.len(), view.bytes(), view.revision()), (1, 2, 107));
    assert_eq!((view.cluster_id(), view.settings()), (Some(9), Some(SETTINGS)));
    assert_eq!(view.state_hash(), hash);
    assert_eq!(node.value("b"), None);
}

#[test]
fn nothing_is_applied_before_the_cluster_is_founded_and_it_is_founded_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    let out_of_place = Outcome::Rejected(Rejection::OutOfPlace);
    assert_eq!(node.put("a", b"1"), out_of_place);
    node.found(SETTINGS);
    let found = Command::Found { cluster_id: 8, revision_base: 0, settings: SETTINGS };
    assert_eq!(node.apply(None, &found), out_of_place);
    assert_eq!(node.state.view().cluster_id(), Some(9));
    assert_eq!(node.value("a"), None);
}

#[test]
fn blank_and_membership_entries_move_the_applied_id_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.try_apply(EntryPayload::Blank).unwrap();
    let member = Member { name: "a".into(), ..Member::default() };
    let members = std::collections::BTreeMap::from([(1, member)]);
    let membership = Membership::new(vec![[1].into()], members).unwrap();
    node.try_apply(EntryPayload::Membership(membership.clone())).unwrap();
    let log_id = Some(LogId::new_term_index(1, 4));
    node.close();
    let view = Node::open(dir.path()).state.view();
    assert_eq!(view.applied(), log_id);
    assert_eq!(view.membership(), &StoredMembership::new(log_id, membership));
}

#[test]
fn an_entry_that_cannot_be_decoded_stops_the_state_and_names_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    let garbage = Payload(Bytes::from_static(b"garbage"));
    let error = node.try_apply(EntryPayload::Normal(garbage)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("log entry 3"), "{error}");
    assert_eq!(node.try_apply(EntryPayload::Blank).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(block_on(node.state.failed()).kind(), ErrorKind::Corrupt);
}

#[test]
fn settings_change_and_their_format_level_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    let settings = Settings { max_value_bytes: 3, format_level: 0, ..SETTINGS };
    node.apply(None, &Command::ChangeSettings { settings });
    let now = node.state.view().settings().unwrap();
    assert_eq!((now.max_value_bytes, now.format_level), (3, 1));
    let too_large = Outcome::Rejected(Rejection::ValueTooLarge { limit: 3 });
    assert_eq!(node.put("a", b"four"), too_large);
    assert_eq!(
        node.put("a", b"abc"),
        Outcome::Written {
            revision: 105,
            result: OpResult::Put { replaced: false, previous: None }
        }
    );
}

#[test]
fn a_raised_format_never_goes_down_and_a_release_that_does_not_know_it_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let newer = StateOptions { format_level: 3, ..OPTIONS };
    let mut node = Node::with_disk(Box::new(disk(dir.path())), &newer);
    node.found(SETTINGS);
    for level in [3, 2] {
        assert_eq!(node.apply(None, &Command::RaiseFormat { level }), Outcome::Done);
        assert_eq!(node.state.view().settings().unwrap().format_level, 3);
    }
    let settings = Settings { format_level: 9, ..SETTINGS };
    node.apply(None, &Command::ChangeSettings { settings });
    assert_eq!(node.state.view().settings().unwrap().format_level, 3);
    node.close();
    let loaded = disk(dir.path()).load().unwrap();
    let error = Replica::new(loaded, 2).err().expect("a newer format");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("format level 3"), "{error}");
    Replica::new(disk(dir.path()).load().unwrap(), 3).unwrap();
}

#[test]
fn a_node_stops_at_the_entry_that_raises_the_format_beyond_its_release() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    let stamp = Stamp { cluster_ms: 0, wall_ms: 1 };
    let raise = Command::RaiseFormat { level: FORMAT_LEVEL + 1 };
    let payload = Payload::new(stamp, None, &raise.encode());
    let error = node.try_apply(EntryPayload::Normal(payload)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("run a newer one"), "{error}");
    assert_eq!(block_on(node.state.failed()).kind(), ErrorKind::Refused);
}

#[test]
fn a_full_map_refuses_growth_takes_the_rest_and_has_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.found(Settings { storage_limit_bytes: 10, ..SETTINGS });
    node.put("a", b"1234");
    node.put("b", b"1234");
    let full = Outcome::Rejected(Rejection::Full { used: 10, limit: 10 });
    assert_eq!(node.put("c", b""), full);
    assert_eq!(node.put("a", b"12345"), full);
    assert!(matches!(
        node.put("a", b"4321"),
        Outcome::Written { result: OpResult::Put { replaced: true, .. }, .. }
    ));
    assert!(matches!(
        node.put("a", b"1"),
        Outcome::Written { result: OpResult::Put { replaced: true, .. }, .. }
    ));
    assert!(matches!(
        node.put("c", b"12"),
        Outcome::Written { result: OpResult::Put { replaced: false, .. }, .. }
    ));
    node.delete("b");
    assert_eq!(node.state.view().bytes(), 5);
}

#[test]
fn cluster_time_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.now_ms = 50;
    node.put("a", b"1");
    node.now_ms = 20;
    node.put("a", b"2");
    assert_eq!(node.state.view().cluster_ms(), 50);
}

#[test]
fn a_retry_applies_once_also_after_a_restart_and_a_snapshot() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    let first = node.put_once(7, "k", "1");
    let refused = node.put_once(3, "big", &"x".repeat(5 << 20));
    assert_eq!(node.put_once(7, "k", "2"), first);
    node.close();

    let mut node = Node::open(dirs[0].path());
    assert_eq!(node.put_once(7, "k", "3"), first);
    let mut other = Node::open(dirs[1].path());
    node.send_snapshot(&mut other, 1000).unwrap();
    assert_eq!(other.put_once(7, "k", "4"), first);
    assert_eq!(other.put_once(3, "big", "small"), refused);
    assert_eq!(other.value("k").unwrap(), "1");
    other.close();

    let mut other = Node::open(dirs[1].path());
    assert_eq!(other.put_once(7, "k", "5"), first);
    assert_eq!(other.value("k").unwrap(), "1");
}

#[test]
fn a_full_map_is_remembered_for_the_retry_that_asks_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.found(Settings { storage_limit_bytes: 2, ..SETTINGS });
    let full = node.put_once(1, "k", "too long");
    assert!(matches!(full, Outcome::Rejected(Rejection::Full { .. })));
    node.apply(None, &Command::ChangeSettings { settings: SETTINGS });
    assert_eq!(node.put_once(1, "k", "too long"), full);
    assert!(matches!(
        node.put_once(2, "k", "too long"),
        Outcome::Written { result: OpResult::Put { .. }, .. }
    ));
}

#[test]
fn an_expired_session_is_gone_after_the_next_checkpoint_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put_once(1, "k", "1");
    node.checkpoint();
    node.now_ms = SESSION_TTL_MS;
    let sessions = node.state.view().expired_sessions(node.now_ms, 10);
    assert_eq!(sessions, [(SESSION, SESSION_TTL_MS)]);
    node.apply(None, &Command::ExpireSessions { sessions });
    node.close();
    let mut node = Node::open(dir.path());
    let expired = Outcome::Rejected(Rejection::SessionExpired);
    assert_eq!(node.put_once(2, "k", "2"), expired);
    assert_eq!(node.put_once(1, "k", "2"), expired);
}

#[test]
fn one_step_of_expiry_ends_at_most_1024_leases_and_takes_at_most_1024_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    let grant = |node: &mut Node| node.apply(None, &Command::GrantLease { ttl_ms: 1000 });
    let Outcome::LeaseGranted { lease } = grant(&mut node) else { panic!("a lease") };
    for n in 0..1500 {
        let key = Bytes::from(format!("k{n}"));
        let attach = Attach::Lease(lease);
        let op = Op::Put { key, value: Bytes::new(), attach, want_previous: false };
        node.apply(None, &Command::Write { op, test: None });
    }
    for _ in 0..1500 {
        grant(&mut node);
    }
    node.now_ms = 1000;
    let mut steps = Vec::new();
    loop {
        let view = node.state.view();
        let leases = view.expired_leases(node.now_ms, MAX_LEASES_AT_ONCE);
        if leases.is_empty() {
            break;
        }
        let due = leases.len();
        node.apply(None, &Command::ExpireLeases { leases });
        steps.push((due, view.len() - node.state.view().len()));
    }
    assert!(steps.len() <= 4, "{steps:?}");
    assert!(steps.iter().all(|(due, taken)| *due <= 1024 && *taken <= 1024), "{steps:?}");
    assert_eq!(steps.iter().map(|(_, taken)| taken).sum::<u64>(), 1500);
    assert!(!node.state.view().has_leases());
}

#[test]
fn a_session_that_ends_itself_is_told_so_and_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    let origin = Origin { session: SESSION, sequence: 1, done_below: 1 };
    let end = Command::EndSession { session: SESSION };
    assert_eq!(node.apply(Some(origin), &end), Outcome::Done);
    assert!(!node.state.view().has_session(SESSION));
    assert_eq!(node.put_once(2, "k", "1"), Outcome::Rejected(Rejection::SessionExpired));
}

#[test]
fn a_checkpoint_waits_for_the_log_and_a_kill_before_it_leaves_the_older_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put("a", b"old");
    node.checkpoint();
    let durable = node.state.durable();
    node.put("a", b"new");
    node.log.stall(true);
    let flushes = node.log.flushes.load(Ordering::SeqCst);
    let ticket = node.state.shared.signal.request();
    wait_until("the flush", || node.log.flushes.load(Ordering::SeqCst) > flushes);
    assert_eq!(node.state.durable(), durable);
    assert_eq!(node.value("a").unwrap(), "new");

    let image = tempfile::tempdir().unwrap();
    crash_image(dir.path(), image.path());
    let killed = Node::open(image.path());
    assert_eq!(killed.state.view().applied(), durable);
    assert_eq!(killed.value("a").unwrap(), "old");

    node.log.stall(false);
    wait_until("the checkpoint", || node.state.shared.durable.borrow().ticket >= ticket);
    assert_eq!(node.state.durable(), node.state.view().applied());
    assert_eq!(node.value("a").unwrap(), "new");
}

#[test]
fn a_checkpoint_without_changes_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::founded(dir.path());
    node.checkpoint();
    node.checkpoint();
    assert_eq!(node.state.stats().unwrap().checkpoint_time.count, 1);
    assert_eq!(node.state.stats().unwrap().buffer_bytes, 0);
}

#[test]
fn a_large_buffer_is_written_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let options = StateOptions { checkpoint_bytes: 1000, ..OPTIONS };
    let mut node = Node::with_disk(Box::new(disk(dir.path())), &options);
    node.found(SETTINGS);
    node.put("a", &[0; 2000]);
    wait_until("a checkpoint", || node.state.durable() == node.state.view().applied());
}

#[test]
fn snapshots_survive_any_cut_and_replicas_on_different_paths_have_one_hash() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    let mut plain = Node::founded(dirs[1].path());
    for round in 0..300_u64 {
        for node in [&mut node, &mut plain] {
            let value = vec![round as u8; (round as usize * 7919) % 50_000];
            node.put(&format!("{:03}", round % 200), &value);
            node.put_once(round + 1, "counter", &round.to_string());
            if round % 5 == 0 {
                node.delete(&format!("{:03}", round / 2));
            }
        }
        if round % 40 == 0 {
            node.checkpoint();
        }
    }
    assert_eq!(node.state.view().state_hash(), plain.state.view().state_hash());
    for node in [&mut node, &mut plain] {
        node.put("large", &vec![7; 4 << 20]);
        node.put("larger", &vec![8; (4 << 20) - 1]);
    }
    let hash = plain.state.view().state_hash();
    for chunk in [997, 65_537, 3_999_999, 4 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let mut copy = Node::open(dir.path());
        node.send_snapshot(&mut copy, chunk).unwrap();
        let view = copy.state.view();
        assert_eq!(view.state_hash(), hash);
        assert_eq!(whole(&view), whole(&plain.state.view()));
    }
}

fn whole(view: &View) -> Vec<(Bytes, crate::storage::state_record::Record)> {
    let request = PageRequest {
        range: (Bound::Unbounded, Bound::Unbounded),
        order: Order::Forward,
        limits: PageLimits { entries: usize::MAX, bytes: usize::MAX },
        keys_only: false,
    };
    view.page(&request).unwrap().items
}

#[test]
fn the_bytes_of_a_snapshot_are_golden() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put_once(1, "k", "v");
    let (_, bytes) = stream(node.snapshot());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "6b7672736e6170010000008a013c157cec0100000000000000010000000000000003000000000000\
         00000000000000000000000000000000000001010000000000000000000000000000000900000000\
         000000640000000040000000004000000080000000000032000000c8000100000000000000010000\
         0000000000023dfa1aef66b5bb1ee3f1a41b0a80ba5200000000000000000100010000001e6b013c\
         eb7f34000000000000006700000000000000670000000000000000760200110000002b0100000000\
         000000000000000000000005011630e4da0000000000000000000000000000000100000001000000\
         0000000001020000000000000067000300000000000000010000000000000001874e48e2"
    );
}

#[test]
fn a_damaged_or_shortened_snapshot_is_refused_and_leaves_nothing_behind() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    node.put_once(1, "k", "v");
    let (meta, bytes) = stream(node.snapshot());
    let target = Node::open(dirs[1].path());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let error = target.receive(&meta, &flipped, 64).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
    }
    for len in [0, 5, 20, bytes.len() / 2, bytes.len() - 1] {
        let error = target.receive(&meta, &bytes[..len], 64).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(target.receive(&meta, &longer, 64).unwrap_err().kind(), ErrorKind::Corrupt);
    let other = SnapshotMeta { last_log_id: Some(LogId::new_term_index(9, 9)), ..meta };
    assert_eq!(target.receive(&other, &bytes, 64).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(names(dirs[1].path()), ["1"]);
}

#[test]
fn only_the_newest_snapshot_goes_on_and_an_unused_one_is_removed() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    let (meta, bytes) = stream(node.snapshot());
    let target = Node::open(dirs[1].path());
    let mut older = target.state.snapshot_sink(meta.clone()).unwrap();
    older.write(&bytes[..10]).unwrap();
    let staged = target.receive(&meta, &bytes, 1 << 20).unwrap();
    assert_eq!(older.write(&bytes[10..]).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(names(dirs[1].path()), ["1", "3.new"]);
    drop(staged);
    assert_eq!(names(dirs[1].path()), ["1"]);
}

#[test]
fn a_snapshot_that_broke_off_goes_on_from_any_byte_whatever_was_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    for n in 0..80_u8 {
        node.put(&format!("k{n}"), &vec![n; 500_000]);
    }
    let (meta, whole) = stream(node.snapshot());
    broken_off(&node, 25);
    node.put("k0", b"changed since");
    node.checkpoint();
    for at in [0, 1, 20_000_000, 33_554_432, 39_000_000, whole.len()] {
        let (again, mut source) = current(&node);
        assert_eq!((again, source.is_sent_again()), (meta.clone(), true));
        assert!(source.skip(at as u64).unwrap());
        let mut rest = Vec::new();
        while let Some(chunk) = source.next_chunk().unwrap() {
            rest.extend_from_slice(&chunk);
        }
        assert!(rest == whole[at..], "behind {at}");
    }
    assert!(!current(&node).1.skip(whole.len() as u64 + 1).unwrap());
    current(&node).1.settle();
    let (newer, source) = current(&node);
    assert!(!source.is_sent_again() && newer != meta);
}

#[test]
fn a_snapshot_that_broke_off_is_kept_for_a_minute_unless_its_log_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put("k", &vec![1; 3 << 20]);
    node.checkpoint();
    let resend = Arc::clone(node.state.resend());
    let kept = |node: &Node| current(node).1.is_sent_again();
    assert!(!kept(&node), "nothing of it was sent");
    assert_eq!(resend.lowest(), None);
    let start = Instant::now();
    broken_off(&node, 1);
    let second = |second| resend.tick(start + Duration::from_secs(second));
    second(10);
    second(69);
    assert!(kept(&node));
    assert_eq!(resend.lowest(), Some(node.index));
    // One that comes no further is not kept for longer.
    broken_off(&node, 1);
    second(70);
    assert!(!kept(&node));
    broken_off(&node, 2);
    resend.purge(node.index);
    assert!(kept(&node), "what follows is still there");
    resend.clear();
    assert!(!kept(&node));
    let (_, mut source) = current(&node);
    source.next_chunk().unwrap();
    node.put("k", b"2");
    node.checkpoint();
    resend.purge(node.index);
    drop(source);
    assert!(!kept(&node));
}

#[test]
fn an_install_replaces_everything_and_older_views_stay_readable() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    node.put("new", b"1");
    let mut target = Node::founded(dirs[1].path());
    target.put("old", b"0");
    target.checkpoint();
    target.put("buffered", b"0");
    let before = target.state.view();
    node.put("new", b"2");
    node.put("new", b"3");
    node.send_snapshot(&mut target, 100).unwrap();
    assert_eq!(target.value("old"), None);
    assert_eq!(target.value("buffered"), None);
    assert_eq!(target.value("new").unwrap(), "3");
    assert_eq!(before.get(b"old").unwrap().unwrap().value, "0");
    assert_eq!(*target.state.applied().borrow(), Some(node.index));
    assert_eq!(target.state.durable(), node.state.view().applied());
    assert_eq!(names(dirs[1].path()), ["3"]);
    drop(before);
    target.put("after", b"4");
    target.close();
    let target = Node::open(dirs[1].path());
    assert_eq!(target.value("after").unwrap(), "4");
    assert_eq!(target.value("new").unwrap(), "3");
}

#[test]
fn what_a_crash_left_of_an_install_is_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put("a", b"1");
    node.close();
    std::fs::rename(dir.path().join("1"), dir.path().join("4")).unwrap();
    for leftover in ["2", "5.new", "unrelated"] {
        std::fs::create_dir(dir.path().join(leftover)).unwrap();
        std::fs::write(dir.path().join(leftover).join("data.mdb"), b"half").unwrap();
    }
    let node = Node::open(dir.path());
    assert_eq!(node.value("a").unwrap(), "1");
    assert_eq!(names(dir.path()), ["4", "unrelated"]);
}

#[test]
fn a_state_keeps_the_owner_it_was_born_for_and_says_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let born = Generations::open(dir.path(), MAP_BYTES, 1).unwrap();
    let origin = StateOrigin { node_id: 1, cluster_id: None, fresh: true, applied: false };
    assert_eq!(born.origin().unwrap(), origin);
    drop(born);
    let again = Generations::open(dir.path(), MAP_BYTES, 2).unwrap();
    assert_eq!(again.origin().unwrap(), StateOrigin { fresh: false, ..origin });
    drop(again);
    Node::founded(dir.path()).close();
    let used = Generations::open(dir.path(), MAP_BYTES, 2).unwrap().origin().unwrap();
    let founded = StateOrigin { cluster_id: Some(9), fresh: false, applied: true, ..origin };
    assert_eq!(used, founded);
}

#[test]
fn a_received_state_belongs_to_the_receiver() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut node = Node::founded(dirs[0].path());
    let receiver = Generations::open(dirs[1].path(), MAP_BYTES, 2).unwrap();
    let mut target = Node::with_disk(Box::new(receiver), &OPTIONS);
    node.send_snapshot(&mut target, 100).unwrap();
    target.close();
    assert_eq!(disk(dirs[1].path()).origin().unwrap().node_id, 2);
}

#[test]
fn a_flipped_byte_in_the_file_is_corrupt_and_not_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.put("needle-key", b"needle-value");
    node.close();
    let file = dir.path().join("1").join("data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - 12).filter(|at| &bytes[*at..at + 12] == b"needle-value").collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    let mut node = Node::open(dir.path());
    let error = node.state.view().get(b"needle-key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("10 bytes"), "{error}");
    let delete = Command::delete(Bytes::from_static(b"needle-key"));
    let payload = Payload::new(Stamp { cluster_ms: 0, wall_ms: 0 }, None, &delete.encode());
    let error = node.try_apply(EntryPayload::Normal(payload)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// A disk that refuses commits the way it is told to.
struct Sick {
    disk: Generations,
    refusals: Arc<Mutex<Vec<ErrorKind>>>,
}

impl StateDisk for Sick {
    fn load(&self) -> Result<Loaded> {
        self.disk.load()
    }

    fn commit(&self, checkpoint: &Checkpoint) -> Result<Arc<dyn DiskView>> {
        if let Some(kind) = self.refusals.lock().unwrap().pop() {
            return Err(Error::new(kind, "refused"));
        }
        self.disk.commit(checkpoint)
    }

    fn stage(&self) -> Result<Box<dyn Stage>> {
        self.disk.stage()
    }

    fn install(&self, staged: StagedState) -> Result<Loaded> {
        self.disk.install(staged)
    }

    fn used_bytes(&self) -> Result<u64> {
        self.disk.used_bytes()
    }

    fn room(&self) -> Result<u64> {
        self.disk.room()
    }
}

fn sick(dir: &Path, refusals: &[ErrorKind]) -> (Node, Arc<Mutex<Vec<ErrorKind>>>) {
    let refusals = Arc::new(Mutex::new(refusals.to_vec()));
    let disk = Box::new(Sick { disk: disk(dir), refusals: Arc::clone(&refusals) });
    let mut node = Node::with_disk(disk, &OPTIONS);
    node.found(SETTINGS);
    (node, refusals)
}

#[test]
fn a_full_disk_is_waited_out_with_its_ballast_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut node, refusals) = sick(dir.path(), &[ErrorKind::Full; 1000]);
    node.put("a", b"1");
    node.state.shared.signal.request();
    wait_until("the ballast", || node.released.load(Ordering::SeqCst) > 0);
    assert!(node.pressure.is_raised());
    node.put("b", b"2");
    node.delete("a");
    assert_eq!(node.value("a"), None);
    refusals.lock().unwrap().clear();
    node.checkpoint();
    assert!(!node.pressure.is_raised_by(PressureSide::State));
    assert_eq!(node.state.durable(), node.state.view().applied());
    assert_eq!((node.value("a"), node.value("b").unwrap().as_ref()), (None, &b"2"[..]));
}

#[test]
fn a_full_map_of_lmdb_is_left_by_deleting_what_did_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let small = Generations::open(dir.path(), 1 << 20, 1).unwrap();
    let mut node = Node::with_disk(Box::new(small), &OPTIONS);
    node.found(SETTINGS);
    node.checkpoint();
    for key in 0..30 {
        node.put(&key.to_string(), &[1; 100_000]);
    }
    node.state.shared.signal.request();
    wait_until("the pressure", || node.pressure.is_raised());
    for key in 1..30 {
        node.delete(&key.to_string());
    }
    node.checkpoint();
    assert!(!node.pressure.is_raised_by(PressureSide::State));
    node.close();
    let node = Node::open(dir.path());
    assert_eq!(node.value("0").unwrap().len(), 100_000);
    assert_eq!(node.state.view().len(), 1);
}

#[test]
fn one_failed_write_is_repeated_and_the_second_stops_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (mut node, refusals) = sick(dir.path(), &[ErrorKind::Storage]);
    node.checkpoint();
    node.put("a", b"1");
    refusals.lock().unwrap().extend([ErrorKind::Storage; 2]);
    assert_eq!(node.state.checkpoint_blocking().err().unwrap().kind(), ErrorKind::Storage);
    assert_eq!(node.try_apply(EntryPayload::Blank).unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(node.value("a").unwrap(), "1");
}

#[test]
fn a_closed_state_takes_nothing_more_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::founded(dir.path());
    node.state.close().unwrap();
    node.state.close().unwrap();
    assert_eq!(node.try_apply(EntryPayload::Blank).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(node.state.checkpoint_blocking().err().unwrap().kind(), ErrorKind::Closed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_arrives_however_it_is_cut(
        values in proptest::collection::vec(0..300_000_usize, 1..20),
        cuts in proptest::collection::vec(1..400_000_usize, 1..30),
    ) {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut node = Node::founded(dirs[0].path());
        for (at, len) in values.into_iter().enumerate() {
            node.put_once(at as u64 + 1, &format!("{at:03}"), "small");
            node.put(&format!("{at:03}-large"), &vec![at as u8; len]);
        }
        let (meta, bytes) = stream(node.snapshot());
        let target = Node::open(dirs[1].path());
        let mut sink = target.state.snapshot_sink(meta.clone()).unwrap();
        let mut rest = &bytes[..];
        for cut in cuts.into_iter().cycle() {
            let (chunk, behind) = rest.split_at(cut.min(rest.len()));
            sink.write(chunk).unwrap();
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let staged = SnapshotData::Incoming(sink.finish().unwrap());
        target.state.install(staged, &meta).unwrap();
        prop_assert_eq!(whole(&target.state.view()), whole(&node.state.view()));
        let hashes = [&target, &node].map(|node| node.state.view().state_hash());
        prop_assert_eq!(hashes[0], hashes[1]);
    }
}

#[tokio::test]
async fn apply_waits_for_the_checkpoint_when_the_buffer_is_at_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let options = StateOptions { buffer_cap_bytes: 1000, ..OPTIONS };
    let mut node = Node::with_disk(Box::new(disk(dir.path())), &options);
    node.found(SETTINGS);
    node.put("a", &[0; 2000]);
    let mut machine = node.state.state_machine();
    let mut applied = node.state.applied();
    let blank = |index| {
        let log_id = LogId::new_term_index(1, index);
        futures_util::stream::iter([Ok((Entry { log_id, payload: EntryPayload::Blank }, None))])
    };
    // Nothing is being written yet: there is no one to wait for.
    machine.apply(blank(4)).await.unwrap();
    node.log.stall(true);
    node.state.shared.signal.request();
    wait_until("the flush", || node.log.flushes.load(Ordering::SeqCst) > 0);
    let waiting = tokio::spawn(async move { machine.apply(blank(5)).await });
    tokio::task::yield_now().await;
    assert_eq!(*applied.borrow_and_update(), Some(4));
    assert!(!waiting.is_finished());
    node.log.stall(false);
    waiting.await.unwrap().unwrap();
    assert_eq!(*applied.borrow_and_update(), Some(5));
}

#[tokio::test]
async fn openraft_applies_builds_and_installs() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes = [Node::open(dirs[0].path()), Node::open(dirs[1].path())];
    let [mut from, mut to] = nodes.each_ref().map(|node| node.state.state_machine());
    let entries = (1..=3).map(|index| {
        let log_id = LogId::new_term_index(1, index);
        Ok((Entry { log_id, payload: EntryPayload::Blank }, None))
    });
    assert!(from.get_current_snapshot().await.unwrap().is_none());
    from.apply(futures_util::stream::iter(entries)).await.unwrap();
    assert_eq!(nodes[0].state.durable(), None, "answers never wait for the disk");
    let built = from.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let current = from.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(built.meta, current.meta);
    to.install_snapshot(&current.meta, current.snapshot).await.unwrap();
    assert_eq!(to.applied_state().await.unwrap(), from.applied_state().await.unwrap());
}
