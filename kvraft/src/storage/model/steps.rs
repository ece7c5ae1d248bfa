//! `Step` is one thing that happens to the replicas, drawn at random.

use std::ops::Bound;

use bytes::Bytes;
use proptest::prelude::*;

use super::plain::Model;
use crate::command::{Attach, Command, Compare, Op, Relation, RequestId, Test, Txn};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Apply(Make),
    /// Cluster time goes on.
    Wait(u64),
    Freeze(usize),
    Commit(usize),
    Restart(usize),
    Install(usize, usize),
}

/// A command whose leases are places in the model's list of them: they are known only when it runs.
#[derive(Debug, Clone)]
pub(super) enum Make {
    Plain(Command),
    /// Ends what is due, as the leader would.
    Expire,
}

impl Make {
    pub(super) fn command(self, model: &Model) -> Command {
        match self {
            Self::Plain(command) => with_leases(command, model),
            Self::Expire => Command::ExpireLeases { leases: model.expired() },
        }
    }
}

/// Replaces small numbers by leases that are there; some stay as they are, which none is.
fn with_leases(command: Command, model: &Model) -> Command {
    let ids: Vec<_> = model.leases.keys().copied().collect();
    let real = |place: u64| {
        let place = usize::try_from(place).unwrap_or(usize::MAX).checked_rem(ids.len() + 1);
        place.and_then(|place| ids.get(place)).copied().unwrap_or(1)
    };
    let step = |op: Op| match op {
        Op::Put { key, value, attach: Attach::Lease(place), want_previous } => {
            Op::Put { key, value, attach: Attach::Lease(real(place)), want_previous }
        }
        other @ (Op::Get { .. } | Op::Put { .. } | Op::Delete { .. } | Op::Increment { .. }) => {
            other
        }
    };
    let steps = |ops: Vec<Op>| ops.into_iter().map(step).collect();
    match command {
        Command::Write { op, test } => Command::Write { op: step(op), test },
        Command::Txn(Txn { compares, then, otherwise }) => {
            Command::Txn(Txn { compares, then: steps(then), otherwise: steps(otherwise) })
        }
        Command::KeepAlive { leases } => {
            Command::KeepAlive { leases: leases.into_iter().map(real).collect() }
        }
        Command::RevokeLease { lease } => Command::RevokeLease { lease: real(lease) },
        Command::Lock { name, lease, wait } => Command::Lock { name, lease: real(lease), wait },
        Command::Unlock { name, lease } => Command::Unlock { name, lease: real(lease) },
        Command::Once { request, command } => {
            Command::Once { request, command: Box::new(with_leases(*command, model)) }
        }
        other @ (Command::Found { .. }
        | Command::DeleteRange { .. }
        | Command::OpenSession { .. }
        | Command::EndSession { .. }
        | Command::ExpireSessions { .. }
        | Command::ChangeSettings { .. }
        | Command::RaiseFormat { .. }
        | Command::GrantLease { .. }
        | Command::ExpireLeases { .. }
        | Command::Verify) => other,
    }
}

fn key() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => (0..8_u8).prop_map(|byte| Bytes::from(vec![byte])),
        1 => proptest::collection::vec(0..3_u8, 1..4).prop_map(Bytes::from),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        2 => any::<i8>().prop_map(|number| Bytes::from(number.to_string())),
        1 => Just(Bytes::from(i64::MAX.to_string())),
        2 => proptest::collection::vec(any::<u8>(), 0..24).prop_map(Bytes::from),
    ]
}

fn ttl() -> impl Strategy<Value = u64> {
    100..2_000_u64
}

fn op() -> impl Strategy<Value = Op> {
    let attach = prop_oneof![
        3 => Just(Attach::None),
        2 => (1..6_u64).prop_map(Attach::Lease),
        1 => ttl().prop_map(Attach::Ttl),
    ];
    prop_oneof![
        1 => key().prop_map(|key| Op::Get { key }),
        5 => (key(), value(), attach, any::<bool>()).prop_map(
            |(key, value, attach, want_previous)| Op::Put { key, value, attach, want_previous }
        ),
        2 => (key(), any::<bool>())
            .prop_map(|(key, want_previous)| Op::Delete { key, want_previous }),
        2 => (key(), -3..9_i64).prop_map(|(key, delta)| Op::Increment { key, delta }),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let relation = || {
        prop_oneof![
            Just(Relation::Equal),
            Just(Relation::NotEqual),
            Just(Relation::Less),
            Just(Relation::Greater)
        ]
    };
    prop_oneof![
        (relation(), 0..40_u64).prop_map(|(relation, revision)| Test::Revision(relation, revision)),
        (relation(), 0..40_u64).prop_map(|(relation, revision)| Test::Created(relation, revision)),
        (relation(), value()).prop_map(|(relation, value)| Test::Value(relation, value)),
        any::<bool>().prop_map(Test::Exists),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), 0..5).prop_map(|mut ops| {
        ops.sort_by(|a, b| a.key().cmp(b.key()));
        ops.dedup_by(|a, b| a.key() == b.key());
        ops
    })
}

fn txn() -> impl Strategy<Value = Command> {
    let compare = (key(), test()).prop_map(|(key, test)| Compare { key, test });
    (proptest::collection::vec(compare, 0..2), ops(), ops())
        .prop_map(|(compares, then, otherwise)| Command::Txn(Txn { compares, then, otherwise }))
}

fn bound() -> impl Strategy<Value = Bound<Bytes>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

/// A range that holds a key or none, but is no nonsense: the plain map takes none.
fn range() -> impl Strategy<Value = (Bound<Bytes>, Bound<Bytes>)> {
    (bound(), bound())
}

fn written() -> impl Strategy<Value = Command> {
    let name = prop_oneof![Just(Bytes::from("x")), Just(Bytes::from("y"))];
    let lease = || 0..6_u64;
    prop_oneof![
        8 => (op(), proptest::option::weighted(0.3, test()))
            .prop_map(|(op, test)| Command::Write { op, test }),
        3 => txn(),
        1 => range().prop_map(|range| Command::DeleteRange { range }),
        2 => ttl().prop_map(|ttl_ms| Command::GrantLease { ttl_ms }),
        1 => lease().prop_map(|lease| Command::RevokeLease { lease }),
        3 => (name.clone(), lease(), any::<bool>())
            .prop_map(|(name, lease, wait)| Command::Lock { name, lease, wait }),
        2 => (name, lease()).prop_map(|(name, lease)| Command::Unlock { name, lease }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let request = (0..2_u8, 0..6_u8).prop_map(|(principal, id)| RequestId {
        principal: vec![b'p'; principal.into()].into(),
        id: vec![id].into(),
    });
    prop_oneof![
        8 => written(),
        1 => proptest::collection::vec(0..6_u64, 0..4)
            .prop_map(|leases| Command::KeepAlive { leases }),
        2 => (request, written()).prop_map(|(request, command)| Command::Once {
            request,
            command: Box::new(command),
        }),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => command().prop_map(|command| Step::Apply(Make::Plain(command))),
        1 => Just(Step::Apply(Make::Expire)),
        1 => (0..1_500_u64).prop_map(Step::Wait),
        1 => (0..3_usize).prop_map(Step::Freeze),
        1 => (0..3_usize).prop_map(Step::Commit),
        1 => (0..2_usize).prop_map(Step::Restart),
        1 => (0..3_usize, 0..2_usize).prop_map(|(from, to)| Step::Install(from, to)),
    ]
}
