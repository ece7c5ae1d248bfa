//! The model test: whatever is applied, replicas and a plain map say the same.
//!
//! Random commands of every kind go to three replicas, which checkpoint, restart and install each
//! other's snapshots in between, and to a `Model` that knows nothing of buffers and disks.

mod fuzz;
mod plain;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use openraft::EntryPayload;
use proptest::prelude::*;
use tempfile::TempDir;

use self::plain::Model;
use self::steps::{Step, step};
use crate::command::{Command, Found, Outcome, Payload, Settings, Stamp};
use crate::raft::{Entry, LogId, SnapshotSource as _};
use crate::storage::apply::Replica;
use crate::storage::generation::Generations;
use crate::storage::resend::Resend;
use crate::storage::snapshot_sink::SnapshotSink;
use crate::storage::state_disk::{Checkpoint, Order, StateDisk as _};
use crate::storage::view::{PageLimits, PageRequest, View};
use crate::versions::FORMAT_LEVEL;

pub(super) const SETTINGS: Settings = Settings {
    storage_limit_bytes: 160,
    max_value_bytes: 40,
    max_command_bytes: 400,
    heartbeat_interval_ms: 50,
    election_timeout_ms: 200,
    format_level: 1,
};
const MAP_BYTES: usize = 16 << 20;

/// A replica with its disk, and a checkpoint that may be under way.
struct Node {
    dir: TempDir,
    parts: Option<(Replica, Generations)>,
    frozen: Option<Checkpoint>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Generations::open(dir.path(), MAP_BYTES, 1).unwrap();
        let replica = Replica::new(disk.load().unwrap(), FORMAT_LEVEL).unwrap();
        Self { dir, parts: Some((replica, disk)), frozen: None }
    }

    fn parts(&mut self) -> (&mut Replica, &mut Generations) {
        let (replica, disk) = self.parts.as_mut().unwrap();
        (replica, disk)
    }

    fn view(&mut self) -> View {
        self.parts().0.view()
    }

    fn freeze(&mut self) {
        self.frozen = Some(self.parts().0.freeze());
    }

    fn commit(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            let (replica, disk) = self.parts();
            let view = disk.commit(&frozen).unwrap();
            replica.thaw(view);
        }
    }

    /// Loses what was not committed, and replays the log behind it.
    fn restart(&mut self, log: &[Entry]) {
        self.frozen = None;
        self.parts = None;
        let disk = Generations::open(self.dir.path(), MAP_BYTES, 1).unwrap();
        let mut replica = Replica::new(disk.load().unwrap(), FORMAT_LEVEL).unwrap();
        let applied = replica.applied().map_or(0, |log_id| log_id.index);
        for entry in log.iter().filter(|entry| entry.log_id.index > applied) {
            replica.apply(entry.clone()).unwrap();
        }
        self.parts = Some((replica, disk));
    }

    fn install(&mut self, from: View) {
        self.frozen = None;
        let meta = from.snapshot_meta();
        let (replica, disk) = self.parts();
        let mut sink = SnapshotSink::new(disk.stage().unwrap(), meta, Arc::new(AtomicU64::new(0)));
        let mut source = Arc::new(Resend::default()).begin(Arc::new(from));
        while let Some(chunk) = source.next_chunk().unwrap() {
            sink.write(&chunk).unwrap();
        }
        *replica =
            Replica::new(disk.install(sink.finish().unwrap()).unwrap(), FORMAT_LEVEL).unwrap();
    }
}

/// All replicas, the log that they share, and the model.
struct World {
    nodes: [Node; 3],
    log: Vec<Entry>,
    model: Model,
    /// What a watcher on the first node has been told, laid over each other.
    watched: BTreeMap<Bytes, Bytes>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            nodes: [Node::new(), Node::new(), Node::new()],
            log: Vec::new(),
            model: Model::default(),
            watched: BTreeMap::new(),
        };
        world.apply(&Command::Found { cluster_id: 1, revision_base: 5, settings: SETTINGS });
        world
    }

    fn apply(&mut self, command: &Command) -> Vec<Outcome> {
        let index = self.log.len() as u64 + 1;
        let stamp = Stamp { cluster_ms: self.model.now_ms, wall_ms: 0 };
        let payload = Payload::new(stamp, None, &command.encode());
        let log_id = LogId::new_term_index(1, index);
        let entry = Entry { log_id, payload: EntryPayload::Normal(payload) };
        self.log.push(entry.clone());
        let outcomes: Vec<_> = self
            .nodes
            .iter_mut()
            .map(|node| node.parts().0.apply(entry.clone()).unwrap())
            .collect();
        for revision in self.nodes[0].parts().0.take_changes() {
            assert!(revision.complete && revision.revision == 5 + index);
            for change in revision.changes.iter() {
                let before = self.watched.get(&change.key);
                assert_eq!(change.before.as_ref().map(|record| &record.value), before);
                match &change.now {
                    Some(now) => self.watched.insert(change.key.clone(), now.value.clone()),
                    None => self.watched.remove(&change.key),
                };
            }
        }
        outcomes
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Apply(make) => {
                let command = make.command(&self.model);
                let expected = self.model.apply(5 + self.log.len() as u64 + 1, &command);
                for outcome in self.apply(&command) {
                    assert_eq!(outcome, expected, "{command:?}");
                }
            }
            Step::Wait(ms) => self.model.now_ms += ms,
            Step::Freeze(node) => self.nodes[node].freeze(),
            Step::Commit(node) => self.nodes[node].commit(),
            Step::Restart(node) => self.nodes[1 + node % 2].restart(&self.log),
            Step::Install(from, to) => {
                let view = self.nodes[from].view();
                self.nodes[1 + to % 2].install(view);
            }
        }
    }

    fn check(&mut self) {
        let hashes: Vec<_> = self.nodes.iter_mut().map(|node| node.view().state_hash()).collect();
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        let expected: Vec<_> = self.model.entries.clone().into_iter().collect();
        for node in &mut self.nodes {
            let view = node.view();
            assert_eq!(entries(&view), expected);
            assert_eq!((view.len(), view.bytes()), (expected.len() as u64, self.model.bytes()));
            for (id, lease) in &self.model.leases {
                let found = view.lease(*id).unwrap();
                assert_eq!((found.ttl_ms, found.expire_at), (lease.ttl_ms, lease.expire_at));
                assert_eq!(view.lease_keys(*id), self.model.keys_of(*id));
            }
            for (name, (token, leases)) in &self.model.locks {
                assert_eq!(view.lock_holder(name), Some((leases[0], *token)));
            }
            let (counts, locks) = (view.table_counts(), &self.model.locks);
            let waiting: usize = locks.values().map(|(_, leases)| leases.len() - 1).sum();
            assert_eq!(
                (counts.locks_held, counts.locks_waiting),
                (locks.len() as u64, waiting as u64)
            );
            assert_eq!(counts.leases, self.model.leases.len() as u64);
        }
        let told: Vec<_> = self.watched.iter().collect();
        let held: Vec<_> = expected.iter().map(|(key, found)| (key, &found.value)).collect();
        assert_eq!(told, held);
    }
}

fn entries(view: &View) -> Vec<(Bytes, Found)> {
    let request = PageRequest {
        range: (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
        order: Order::Forward,
        limits: PageLimits { entries: 10_000, bytes: 1 << 20 },
        keys_only: false,
    };
    let page = view.page(&request).unwrap();
    page.items.into_iter().map(|(key, record)| (key, record.found())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn replicas_and_a_plain_map_agree_whatever_is_applied_written_and_installed(
        steps in proptest::collection::vec(step(), 1..90)
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.check();
        for node in 0..3 {
            world.nodes[node].freeze();
            world.nodes[node].commit();
        }
        let log = world.log.clone();
        world.nodes[1].restart(&log);
        world.check();
    }
}
