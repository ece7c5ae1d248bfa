//! The bytes of every command and outcome, which never change.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

fn found() -> Found {
    Found { value: key(), revision: 4, created: 3, lease: 2 }
}

fn settings() -> Settings {
    Settings {
        storage_limit_bytes: 1,
        max_value_bytes: 2,
        max_command_bytes: 3,
        heartbeat_interval_ms: 4,
        election_timeout_ms: 5,
        format_level: 6,
    }
}

fn check<const N: usize>(golden: [(Command, String); N]) {
    for (command, bytes) in golden {
        assert_eq!(hex(&command.encode()), bytes);
        assert_eq!(Command::decode(command.encode()).unwrap(), command);
    }
}

/// The log of an old binary must stay readable: these bytes never change.
#[test]
fn the_bytes_of_every_command_are_golden() {
    let session = SessionId(0xab);
    let id = "000000000000000000000000000000ab";
    let set = "0000000000000001000000020000000300000004000000050006";
    let golden = [
        (
            Command::Found { cluster_id: 0xab, revision_base: 9, settings: settings() },
            format!("01{id}0000000000000009{set}"),
        ),
        (
            Command::put(Bytes::from_static(b"k"), Bytes::from_static(b"vv")),
            "02000000016b000000027676".to_owned(),
        ),
        (Command::delete(Bytes::from_static(b"k")), "03000000016b".to_owned()),
        (Command::OpenSession { session }, format!("04{id}")),
        (Command::EndSession { session }, format!("05{id}")),
        (
            Command::ExpireSessions { sessions: vec![(session, 7)] },
            format!("0600000001{id}0000000000000007"),
        ),
        (Command::ChangeSettings { settings: settings() }, format!("07{set}")),
        (Command::Verify, "12".to_owned()),
        (Command::RaiseFormat { level: 2 }, "130002".to_owned()),
    ];
    check(golden);
}

#[test]
fn the_bytes_of_every_command_of_users_are_golden() {
    let golden = [
        (
            Command::Write {
                op: Op::Put {
                    key: key(),
                    value: key(),
                    attach: Attach::Lease(3),
                    want_previous: true,
                },
                test: Some(Test::Revision(Relation::Equal, 5)),
            },
            "0802000000016b000000016b010000000000000003010101010000000000000005".to_owned(),
        ),
        (
            Command::Write {
                op: Op::Put {
                    key: key(),
                    value: key(),
                    attach: Attach::Ttl(500),
                    want_previous: false,
                },
                test: Some(Test::Exists(false)),
            },
            "0802000000016b000000016b0200000000000001f400010400".to_owned(),
        ),
        (
            Command::Write { op: Op::Increment { key: key(), delta: -1 }, test: None },
            "0804000000016bffffffffffffffff00".to_owned(),
        ),
        (
            Command::Txn(Txn {
                compares: vec![
                    Compare { key: key(), test: Test::Value(Relation::Less, key()) },
                    Compare { key: key(), test: Test::Created(Relation::NotEqual, 1) },
                ],
                then: vec![Op::Get { key: key() }],
                otherwise: vec![Op::Delete { key: key(), want_previous: true }],
            }),
            "0900000002000000016b0303000000016b000000016b02020000000000000001\
             0000000101000000016b0000000103000000016b01"
                .to_owned(),
        ),
        (
            Command::DeleteRange { range: (Bound::Included(key()), Bound::Excluded(key())) },
            "0a01000000016b02000000016b".to_owned(),
        ),
        (Command::DeleteRange { range: (Bound::Unbounded, Bound::Unbounded) }, "0a0000".to_owned()),
        (Command::GrantLease { ttl_ms: 500 }, "0b00000000000001f4".to_owned()),
        (Command::KeepAlive { leases: vec![3] }, "0c000000010000000000000003".to_owned()),
        (Command::RevokeLease { lease: 3 }, "0d0000000000000003".to_owned()),
        (
            Command::ExpireLeases { leases: vec![(3, 7)] },
            "0e0000000100000000000000030000000000000007".to_owned(),
        ),
        (
            Command::Lock { name: key(), lease: 3, wait: true },
            "0f000000016b000000000000000301".to_owned(),
        ),
        (Command::Unlock { name: key(), lease: 3 }, "10000000016b0000000000000003".to_owned()),
        (
            Command::Once {
                request: RequestId { principal: Bytes::new(), id: key() },
                command: Box::new(Command::delete(key())),
            },
            "1100000000000000016b03000000016b".to_owned(),
        ),
    ];
    check(golden);
}

fn check_outcomes<const N: usize>(golden: [(Outcome, &str); N]) {
    for (outcome, bytes) in golden {
        let mut out = BytesMut::new();
        outcome.encode(&mut out);
        assert_eq!(hex(&out), bytes);
        assert_eq!(Outcome::decode(&mut Reader::new(out.freeze())).unwrap(), outcome);
    }
}

#[test]
fn the_bytes_of_every_outcome_are_golden() {
    let golden = [
        (Outcome::Done, "01"),
        (
            Outcome::Written {
                revision: 5,
                result: OpResult::Put { replaced: true, previous: None },
            },
            "02000000000000000501",
        ),
        (
            Outcome::Written {
                revision: 5,
                result: OpResult::Deleted { existed: false, previous: None },
            },
            "03000000000000000500",
        ),
        (Outcome::AppliedAt { revision: 5 }, "040000000000000005"),
        (
            Outcome::Written {
                revision: 5,
                result: OpResult::Put { replaced: true, previous: Some(found()) },
            },
            "060000000000000005020101000000016b000000000000000400000000000000030000000000000002",
        ),
        (
            Outcome::Txn {
                revision: 5,
                succeeded: true,
                results: vec![OpResult::Got(None), OpResult::Incremented(-1)],
            },
            "0700000000000000050100000002010004ffffffffffffffff",
        ),
        (Outcome::RangeDeleted { revision: 5, deleted: 2 }, "0800000000000000050000000000000002"),
        (Outcome::LeaseGranted { lease: 3 }, "090000000000000003"),
        (Outcome::KeptAlive { gone: vec![3] }, "0a000000010000000000000003"),
        (Outcome::LeaseRevoked { keys_left: 3 }, "0b0000000000000003"),
        (Outcome::Locked { token: 3 }, "0c0000000000000003"),
        (Outcome::Queued { revision: 5, ahead: 2 }, "0d00000000000000050000000000000002"),
        (Outcome::Sampled { revision: 5 }, "0f0000000000000005"),
        (
            Outcome::StepRejected { succeeded: true, step: 2, rejection: Rejection::NotANumber },
            "0e01000000020d",
        ),
    ];
    check_outcomes(golden);
}

#[test]
fn the_bytes_of_every_rejection_are_golden() {
    let golden = [
        (Outcome::Rejected(Rejection::SessionExpired), "0501"),
        (Outcome::Rejected(Rejection::Stale), "0502"),
        (
            Outcome::Rejected(Rejection::Full { used: 1, limit: 2 }),
            "050300000000000000010000000000000002",
        ),
        (Outcome::Rejected(Rejection::TooManySessions), "0504"),
        (Outcome::Rejected(Rejection::ValueTooLarge { limit: 3 }), "050500000003"),
        (Outcome::Rejected(Rejection::OutOfPlace), "0506"),
        (Outcome::Rejected(Rejection::Conflict { revision: 3 }), "05070000000000000003"),
        (Outcome::Rejected(Rejection::LeaseNotFound { lease: 3 }), "05080000000000000003"),
        (Outcome::Rejected(Rejection::TooManyLeases { limit: 3 }), "05090000000000000003"),
        (Outcome::Rejected(Rejection::LockHeld { token: 3 }), "050a0000000000000003"),
        (Outcome::Rejected(Rejection::TooManyWaiters { limit: 3 }), "050b0000000000000003"),
        (Outcome::Rejected(Rejection::NotLockHolder), "050c"),
        (Outcome::Rejected(Rejection::NotANumber), "050d"),
        (Outcome::Rejected(Rejection::Overflow { value: -1 }), "050effffffffffffffff"),
        (Outcome::Rejected(Rejection::ResultTooLarge { limit: 3 }), "050f00000003"),
        (Outcome::Rejected(Rejection::RequestReused), "0510"),
        (Outcome::Rejected(Rejection::TooManyRequests { limit: 3 }), "05110000000000000003"),
        (Outcome::Rejected(Rejection::TooManyLocks { limit: 3 }), "05120000000000000003"),
    ];
    check_outcomes(golden);
}

#[test]
fn the_bytes_of_a_proposal_are_golden() {
    let origin = Origin { session: SessionId(1), sequence: 2, done_below: 1 };
    let command = Command::delete(Bytes::from_static(b"k"));
    let payload =
        Payload::new(Stamp { cluster_ms: 3, wall_ms: 4 }, Some(origin), &command.encode());
    assert_eq!(
        hex(&payload.0),
        "0000000000000003000000000000000401000000000000000000000000000000010000000000000002000000000000000103000000016b"
    );
    let proposal = payload.proposal().unwrap();
    assert_eq!((proposal.origin, proposal.command), (Some(origin), command));
}

#[test]
fn an_unknown_command_and_a_longer_one_are_refused() {
    assert!(Command::decode(Bytes::from_static(&[200])).is_err());
    assert!(Command::decode(Bytes::from_static(b"\x03\0\0\0\x01kx")).is_err());
    assert!(Command::decode(Bytes::from_static(b"\x03\0\0\0\0")).is_err());
}

#[test]
fn what_no_user_may_send_has_no_request_id() {
    let request = RequestId { principal: Bytes::new(), id: key() };
    let once = |command| Command::Once { request: request.clone(), command: Box::new(command) };
    let nested = once(once(Command::delete(key())));
    for command in [nested, once(Command::KeepAlive { leases: vec![1] })] {
        assert!(Command::decode(command.encode()).is_err(), "{command:?}");
    }
}

#[test]
fn a_transaction_that_is_none_is_refused() {
    let get = |key: u16| Op::Get { key: Bytes::copy_from_slice(&key.to_be_bytes()) };
    let twice = Txn { then: vec![get(1), get(1)], ..Txn::default() };
    let many = Txn { then: (0..1025).map(get).collect(), ..Txn::default() };
    for txn in [twice, many] {
        assert!(Command::decode(Command::Txn(txn).encode()).is_err());
    }
    let most = Txn { then: (0..1024).map(get).collect(), ..Txn::default() };
    assert!(Command::decode(Command::Txn(most).encode()).is_ok());
    let both = Txn { then: vec![get(1)], otherwise: vec![get(1)], ..Txn::default() };
    assert!(Command::decode(Command::Txn(both).encode()).is_ok());
}

#[test]
fn times_to_live_leases_and_names_out_of_bounds_are_refused() {
    let wrong = [
        Command::GrantLease { ttl_ms: MIN_TTL_MS - 1 },
        Command::GrantLease { ttl_ms: MAX_TTL_MS + 1 },
        Command::RevokeLease { lease: 0 },
        Command::Lock { name: Bytes::new(), lease: 1, wait: true },
        Command::Lock { name: vec![b'n'; 256].into(), lease: 1, wait: true },
        Command::KeepAlive { leases: vec![1; MAX_LEASES_AT_ONCE + 1] },
    ];
    for command in wrong {
        assert!(Command::decode(command.encode()).is_err(), "{command:?}");
    }
}
