//! Frames as bytes: what they are forever, and what garbage does to their readers.

use crate::command::OpResult;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::frame::{Frame, check_len};
use super::super::greeting::Refusal;
use super::super::message::SnapshotPart;
use super::*;
use crate::command::{Origin, Outcome, SessionId, Settings};
use crate::error::ErrorKind;
use crate::identity::{Claim, ClaimedMember};
use crate::options::{
    BackupInfo, Change, Changes, Consistency, Entry, KeyRange, LeaseId, LeaseInfo,
    MembershipChange, Page, ReadOptions, ScanOptions,
};
use crate::raft::{
    LogId, Member, Membership, StoredMembership, TransferError, TransferRequest, VoteRequest,
};

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Undoes the framing as a stream would.
pub(super) fn unframed(bytes: &Bytes) -> Frame {
    let len = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(len as usize, bytes.len() - 5);
    Frame { kind: bytes[4], body: bytes.slice(5..) }
}

fn member(name: &str) -> Member {
    Member { name: name.into(), address: "h:1".into(), ..Member::default() }
}

fn snapshot_meta() -> SnapshotMeta {
    let nodes = BTreeMap::from([(7, member("a"))]);
    let membership = Membership::new(vec![[7].into()], nodes).unwrap();
    SnapshotMeta {
        last_log_id: Some(log_id(9)),
        last_membership: StoredMembership::new(Some(log_id(8)), membership),
    }
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

fn vote() -> Vote {
    Vote::new_committed(3, 7)
}

fn lease() -> LeaseId {
    LeaseId::of(4).unwrap()
}

fn read() -> ReadOptions {
    let read = ReadOptions::new().consistency(Consistency::Lease).min_revision(2);
    read.timeout(Duration::from_millis(9))
}

fn range() -> KeyRange {
    KeyRange::prefix("a").after("ab")
}

fn scan() -> ScanOptions {
    ScanOptions::new().read(read()).limit(5).keys_only()
}

fn an_entry() -> Entry {
    let (key, value) = ("k".into(), "v".into());
    Entry { key, value, revision: 5, created: 3, lease: Some(lease()) }
}

fn change(change: MembershipChange) -> Request {
    Request::Change { change, again: true, timeout_ms: 9 }
}

fn requests() -> Vec<Request> {
    let vote_request =
        VoteRequest { vote: vote(), last_log_id: Some(log_id(4)), leadership_transfer: true };
    let append = AppendRequest {
        vote: vote(),
        prev_log_id: Some(log_id(4)),
        entries: vec![entry(5, &[1]), entry(6, b"\x02xy")],
        leader_commit: None,
    };
    let claim = Claim {
        cluster_id: 1,
        claimant: "a".into(),
        members: vec![ClaimedMember { node_id: 7, record: member("a") }],
        settings: settings(),
    };
    let origin = Origin { session: SessionId(1), sequence: 2, done_below: 3 };
    vec![
        Request::Append(append),
        Request::Vote(vote_request.clone()),
        Request::PreVote(vote_request),
        Request::TransferLeader(TransferRequest::new(vote(), 8, Some(log_id(4)))),
        Request::Propose { origin: Some(origin), command: "cmd".into(), timeout_ms: 9 },
        Request::ReadIndex { timeout_ms: 9 },
        Request::LeaseIndex { timeout_ms: 9 },
        Request::Claim(claim),
        Request::Peers,
        Request::Query(Query::Get { key: "k".into(), read: read() }),
        Request::Query(Query::Page { range: range(), options: scan() }),
        Request::Query(Query::Count { range: range(), read: read() }),
        Request::Query(Query::Lease { lease: lease(), read: read() }),
        Request::Query(Query::AwaitLock {
            name: "n".into(),
            lease: lease(),
            revision: 3,
            timeout: Duration::from_millis(9),
        }),
        Request::Query(Query::Scan { range: range(), options: scan() }),
        Request::Query(Query::Watch { range: range(), from: Some(3), previous: true }),
        Request::Query(Query::StateHash { revision: 3, timeout: Duration::from_millis(9) }),
        Request::Query(Query::Backup { read: read() }),
        Request::Query(Query::Refill { revision: 3 }),
        Request::Join { record: member("a"), auto_promote: true },
        change(MembershipChange::Promote { name: "a".into() }),
        change(MembershipChange::Demote { name: "a".into() }),
        change(MembershipChange::Remove { name: "a".into() }),
        change(MembershipChange::Transfer { to: Some("a".into()) }),
        change(MembershipChange::Shrink { voters: 3 }),
        Request::StreamAppend,
        Request::Snapshot { vote: vote(), meta: snapshot_meta(), resumes: false },
        Request::Snapshot { vote: vote(), meta: snapshot_meta(), resumes: true },
    ]
}

fn responses() -> Vec<Response> {
    let failed =
        |reason| Response::Failed(Failure { reason, message: "why".into(), revision: Some(3) });
    let peer = PeerMember { node_id: 7, voter: true, member: member("a") };
    vec![
        Response::Append(AppendResponse::Success),
        Response::Append(AppendResponse::PartialSuccess(Some(log_id(4)))),
        Response::Append(AppendResponse::Conflict),
        Response::Append(AppendResponse::HigherVote(vote())),
        Response::Vote(VoteResponse::new(vote(), Some(log_id(4)), true)),
        Response::TransferLeader(Ok(())),
        Response::TransferLeader(Err(TransferError::VoteChanged {
            expected: vote(),
            actual: Vote::new(4, 8),
        })),
        Response::TransferLeader(Err(TransferError::LogNotFlushed {
            expected: Some(log_id(4)),
            actual: None,
        })),
        Response::Proposed(Outcome::Written {
            revision: 5,
            result: OpResult::Put { replaced: true, previous: None },
        }),
        Response::ReadIndex(6),
        Response::ClaimGranted,
        Response::Peers(Peers {
            cluster_id: Some(1),
            term: 3,
            leader: Some(7),
            max_value_bytes: 5,
            max_command_bytes: 6,
            members: vec![peer],
        }),
        Response::Answer(Answer::Entry(Some(an_entry()))),
        Response::Answer(Answer::Page(Page { entries: vec![an_entry()], more: true, revision: 9 })),
        Response::Answer(Answer::Count(9)),
        Response::Answer(Answer::Lease(LeaseInfo {
            id: lease(),
            ttl: Duration::from_millis(8),
            remaining: Duration::from_millis(7),
            keys: vec!["k".into()],
        })),
        Response::Answer(Answer::Locked(9)),
        Response::Answer(Answer::Changes(Changes {
            revisions: vec![(
                9,
                vec![Change { key: "k".into(), entry: None, previous: Some(an_entry()) }],
            )],
            upto: 10,
        })),
        Response::Answer(Answer::StateHash(Some(9))),
        Response::Answer(Answer::Backup(BackupInfo::new(1, 9, (2, 3), 4))),
        Response::Answer(Answer::Refill { vote: vote(), meta: snapshot_meta().into() }),
        Response::Answer(Answer::Chunk("bytes".into())),
        Response::Joined(1),
        Response::Changed,
        Response::StreamAppend(Ok(Some(log_id(4)))),
        Response::StreamAppend(Err(StreamAppendError::Conflict(log_id(4)))),
        Response::StreamAppend(Err(StreamAppendError::HigherVote(vote()))),
        Response::SnapshotInstalled(SnapshotResponse::new(vote())),
        Response::SnapshotHeld(9),
        failed(FailureReason::NotLeader { leader: Some((7, member("a"))) }),
        failed(FailureReason::Kind(ErrorKind::Indeterminate)),
    ]
}

const GOLDEN_REQUESTS: [&str; 28] = [
    "000000531000000000000000030000000000000007010100000000000000010000000000000004000000\
     000200000000000000050000000900000000000000010100000000000000060000000b00000000000000\
     01027879",
    "00000023110000000000000003000000000000000701010000000000000001000000000000000401",
    "00000023120000000000000003000000000000000701010000000000000001000000000000000401",
    "0000002a1300000000000000030000000000000007010000000000000008010000000000000001000000\
     0000000004",
    "000000281400000009010000000000000000000000000000000100000000000000020000000000000003\
     636d64",
    "000000041500000009",
    "000000041c00000009",
    "000000501600000000000000000000000000000001000000016100000001000000000000000700000001\
     6100000003683a3100000000000000000000000000000000010000000200000003000000040000000500\
     06",
    "0000000017",
    "000000121d02000000000000000200000009000000016b",
    "000000251e02000000000000000200000009020000000261620200000001620100000000000000050001",
    "0000001a1f0200000000000000020000000902000000026162020000000162",
    "0000001520020000000000000002000000090000000000000004",
    "000000192100000009000000016e00000000000000040000000000000003",
    "000000252202000000000000000200000009020000000261620200000001620100000000000000050001",
    "00000017230200000002616202000000016201000000000000000301",
    "0000000c28000000090000000000000003",
    "0000000d2902000000000000000200000009",
    "000000082a0000000000000003",
    "0000001625000000016100000003683a3100000000000000000001",
    "0000000b260000000901010000000161",
    "0000000b260000000901020000000161",
    "0000000b260000000901030000000161",
    "0000000c26000000090104010000000161",
    "0000000a2600000009010500000003",
    "0000000018",
    "000000641900000000000000030000000000000007010100000000000000010000000000000009010000\
     000000000001000000000000000800000001000000010000000000000007000000010000000000000007\
     000000016100000003683a31000000000000000000",
    "000000642700000000000000030000000000000007010100000000000000010000000000000009010000\
     000000000001000000000000000800000001000000010000000000000007000000010000000000000007\
     000000016100000003683a31000000000000000000",
];

const GOLDEN_RESPONSES: [&str; 31] = [
    "000000014001",
    "0000001240020100000000000000010000000000000004",
    "000000014003",
    "0000001240040000000000000003000000000000000701",
    "00000023410000000000000003000000000000000701010100000000000000010000000000000004",
    "000000014201",
    "00000023420200000000000000030000000000000007010000000000000004000000000000000800",
    "000000134203010000000000000001000000000000000400",
    "0000000a4302000000000000000501",
    "00000008440000000000000006",
    "0000000045",
    "0000004c4601000000000000000000000000000000010000000000000003010000000000000007000000\
     050000000600000001000000000000000701000000016100000003683a31000000000000000000",
    "000000234901000000016b0000000176000000000000000500000000000000030000000000000004",
    "0000002f4a00000000000000090100000001000000016b00000001760000000000000005000000000000\
     00030000000000000004",
    "000000084b0000000000000009",
    "000000214c00000000000000040000000000000008000000000000000700000001000000016b",
    "000000084d0000000000000009",
    "000000414e000000000000000a00000001000000000000000900000001000000016b0001000000016b00\
     00000176000000000000000500000000000000030000000000000004",
    "0000000952010000000000000009",
    "00000044530000002030303030303030303030303030303030303030303030303030303030303030310000\
     000000000009000000000000000200000000000000030000000000000004",
    "00000064540000000000000003000000000000000701010000000000000001000000000000000901000000\
     00000000010000000000000008000000010000000100000000000000070000000100000000000000070000\
     00016100000003683a31000000000000000000",
    "00000005566279746573",
    "000000104f00000000000000000000000000000001",
    "0000000050",
    "0000001247010100000000000000010000000000000004",
    "00000011470200000000000000010000000000000004",
    "0000001247030000000000000003000000000000000701",
    "00000011480000000000000003000000000000000701",
    "00000008510000000000000009",
    "0000002f7f00010000000000000007000000016100000003683a31000000000000000000000000037768\
     79010000000000000003",
    "000000117f0400000003776879010000000000000003",
];

#[test]
fn the_bytes_of_every_request_are_golden() {
    let encoded: Vec<_> = requests().iter().map(Request::encode).collect();
    let hexes: Vec<_> = encoded.iter().map(|bytes| hex(bytes)).collect();
    assert_eq!(hexes, GOLDEN_REQUESTS);
    for bytes in encoded {
        assert_eq!(Request::decode(unframed(&bytes)).unwrap().encode(), bytes);
    }
}

#[test]
fn the_bytes_of_every_response_are_golden() {
    let encoded: Vec<_> = responses().iter().map(Response::encode).collect();
    let hexes: Vec<_> = encoded.iter().map(|bytes| hex(bytes)).collect();
    assert_eq!(hexes, GOLDEN_RESPONSES);
    for bytes in encoded {
        assert_eq!(Response::decode(unframed(&bytes)).unwrap().encode(), bytes);
    }
}

#[test]
fn the_bytes_of_greetings_and_snapshot_parts_are_golden() {
    let record = Member { address: "127.0.0.1:1".to_owned(), ..Member::default() };
    let hello = Hello { record, ..hello("a", 7) };
    let refusal = Refusal { reason: Reason::Superseded, text: "why".into() };
    let chunk = SnapshotPart::Chunk("xy".into());
    let bytes = hello.encode();
    assert_eq!(
        hex(&bytes),
        "0000005201000101010000000000000000000000000000004d0000000161000000000000000700000000\
         000000010000000000000005000000000000000b3132372e302e302e313a310000000000000000000100010002"
    );
    assert_eq!(Hello::decode(unframed(&bytes)).unwrap(), hello);
    assert_eq!(hex(&refusal.encode()), "00000008020000000377687902");
    assert_eq!(Refusal::decode(&unframed(&refusal.encode())).unwrap(), Some(refusal));
    assert_eq!(hex(&chunk.encode()), "000000021a7879");
    assert_eq!(SnapshotPart::decode(unframed(&chunk.encode())).unwrap(), chunk);
    assert_eq!(hex(&SnapshotPart::End.encode()), "000000001b");
}

#[test]
fn an_append_whose_entries_do_not_follow_each_other_is_refused() {
    let id = LogId::new_term_index;
    let append = |prev_log_id, ids: &[LogId]| {
        let entries = ids
            .iter()
            .map(|id| openraft::Entry { log_id: *id, payload: openraft::EntryPayload::Blank });
        let request = AppendRequest {
            vote: vote(),
            prev_log_id,
            entries: entries.collect(),
            leader_commit: None,
        };
        Request::decode(unframed(&Request::Append(request).encode()))
    };
    append(None, &[id(0, 0), id(1, 1)]).unwrap();
    append(Some(id(1, 4)), &[id(1, 5), id(2, 6)]).unwrap();
    append(Some(id(1, 4)), &[]).unwrap();
    append(None, &[id(1, 1)]).unwrap_err();
    append(Some(id(1, 4)), &[id(1, 6)]).unwrap_err();
    append(Some(id(1, 4)), &[id(1, 5), id(1, 7)]).unwrap_err();
    append(Some(id(1, 4)), &[id(1, 4)]).unwrap_err();
    append(Some(id(2, 4)), &[id(1, 5)]).unwrap_err();
    append(Some(id(1, u64::MAX)), &[id(1, 0)]).unwrap_err();
}

#[test]
fn every_error_kind_survives_the_wire() {
    for kind in ErrorKind::ALL {
        let failure =
            Failure { reason: FailureReason::Kind(kind), message: "why".into(), revision: None };
        let bytes = Response::Failed(failure.clone()).encode();
        let Response::Failed(read) = Response::decode(unframed(&bytes)).unwrap() else { panic!() };
        assert_eq!(read, failure);
        assert_eq!(Error::from(read).kind(), kind);
    }
}

#[test]
fn a_long_text_is_cut_to_fit_its_frame() {
    let refusal = Refusal { reason: Reason::Other, text: "ä".repeat(1 << 20) };
    assert!(refusal.encode().len() < 8 << 10);
    assert!(check_len(&refusal.encode()).is_ok());
}

/// Lets every reader have a go: they may refuse, never panic.
fn read_by_all(kind: u8, body: &[u8]) {
    let frame = Frame { kind, body: Bytes::copy_from_slice(body) };
    Request::decode(frame.clone()).map(|request| request.encode()).ok();
    Response::decode(frame.clone()).map(|response| response.encode()).ok();
    Hello::decode(frame.clone()).ok();
    Refusal::decode(&frame).ok();
    SnapshotPart::decode(frame).ok();
}

proptest! {
    #[test]
    fn garbage_in_a_frame_is_an_error_and_never_a_panic(
        kind: u8,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        read_by_all(kind, &body);
    }

    #[test]
    fn a_damaged_frame_is_an_error_and_never_a_panic(
        which in 0..52_usize,
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut frames: Vec<_> = requests().iter().map(Request::encode).collect();
        frames.extend(responses().iter().map(Response::encode));
        let frame = &frames[which];
        let mut body = frame[5..].to_vec();
        if !body.is_empty() {
            let place = at.index(body.len());
            body[place] = byte;
            read_by_all(frame[4], &body);
            body.truncate(cut.index(body.len()));
        }
        read_by_all(frame[4], &body);
    }
}
