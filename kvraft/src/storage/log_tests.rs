//! Tests of `LogStore`, on a simulated disk for its promises, on LMDB for its bytes.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use openraft::EntryPayload;
use openraft::type_config::TypeConfigExt;
use proptest::prelude::*;

use super::super::dir::DataDir;
use super::super::log_lmdb::LmdbLog;
use super::super::sim_disk::{SimBallast, SimDisk};
use super::*;
use crate::command::Payload;
use crate::error::ErrorKind;

const MAP_BYTES: usize = 1 << 30;

fn entry_of(term: u64, index: u64, payload: &[u8]) -> Entry {
    let payload = EntryPayload::Normal(Payload(Bytes::copy_from_slice(payload)));
    Entry::new(LogId::new_term_index(term, index), payload)
}

fn entry(term: u64, index: u64) -> Entry {
    entry_of(term, index, b"payload")
}

fn sim_log(disk: &SimDisk) -> (LogStore, Arc<SimBallast>) {
    let ballast = Arc::new(SimBallast::default());
    let log = LogStore::start(disk.clone(), DiskPressure::default(), ballast.clone()).unwrap();
    (log, ballast)
}

fn lmdb_log(path: &Path, tail_bytes: usize) -> Result<LogStore> {
    let dir = Arc::new(DataDir::open(path)?);
    let disk = LmdbLog::open(Arc::clone(&dir), MAP_BYTES)?;
    LogStore::start_with_tail(disk, DiskPressure::default(), dir, tail_bytes)
}

async fn submit(
    log: &LogStore,
    entries: impl IntoIterator<Item = Entry>,
) -> BoxFuture<'static, io::Result<()>> {
    let (tx, rx) = TypeConfig::oneshot();
    let entries: Vec<_> = entries.into_iter().collect();
    log.clone().append(entries, IOFlushed::signal(tx)).await.unwrap();
    Box::pin(async move { rx.await.unwrap() })
}

async fn append(log: &LogStore, entries: impl IntoIterator<Item = Entry>) {
    submit(log, entries).await.await.unwrap();
}

async fn indexes(log: &LogStore, range: Range<u64>) -> Vec<u64> {
    let entries = log.clone().try_get_log_entries(range).await.unwrap();
    entries.iter().map(|entry| entry.log_id().index()).collect()
}

fn kind_of(error: &io::Error) -> Option<ErrorKind> {
    error.get_ref()?.downcast_ref::<Error>().map(Error::kind)
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn entries_are_readable_before_they_are_durable() {
    let disk = SimDisk::default();
    disk.stall();
    let (log, _) = sim_log(&disk);
    let durable = submit(&log, [entry(1, 0), entry(1, 1)]).await;
    assert_eq!(indexes(&log, 0..9).await, [0, 1]);
    assert!(disk.durable().entries.is_empty());
    disk.resume();
    durable.await.unwrap();
    assert_eq!(disk.durable().entries.len(), 2);
}

#[tokio::test]
async fn an_acknowledged_append_survives_a_power_cut_and_an_unacknowledged_one_may_not() {
    let disk = SimDisk::default();
    let (log, _) = sim_log(&disk);
    append(&log, [entry(1, 0)]).await;
    disk.stall();
    let lost = submit(&log, [entry(1, 1)]).await;
    let (again, _) = sim_log(&disk.after_power_cut());
    assert_eq!(again.last(), Some(LogId::new_term_index(1, 0)));
    disk.resume();
    lost.await.unwrap();
    let (again, _) = sim_log(&disk.after_power_cut());
    assert_eq!(again.last(), Some(LogId::new_term_index(1, 1)));
}

#[tokio::test]
async fn every_acknowledgement_comes_after_its_flush_also_under_load() {
    let disk = SimDisk::default();
    let (log, _) = sim_log(&disk);
    let mut answers = Vec::new();
    for index in 0..500 {
        let durable = submit(&log, [entry(1, index)]).await;
        let disk = disk.clone();
        answers.push(tokio::spawn(async move {
            durable.await.unwrap();
            assert!(disk.durable().entries.contains_key(&index), "{index}");
        }));
    }
    for answer in answers {
        answer.await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_together_is_flushed_together() {
    let disk = SimDisk::default();
    disk.stall();
    let (log, _) = sim_log(&disk);
    let mut answers = Vec::new();
    for index in 0..100 {
        answers.push(submit(&log, [entry(1, index)]).await);
    }
    disk.resume();
    for answer in answers {
        answer.await.unwrap();
    }
    let stats = log.stats();
    assert_eq!(stats.entries, 100);
    assert!(stats.batches <= 2 && stats.flush_time.count <= 4, "{stats:?}");
}

#[tokio::test]
async fn a_note_that_nobody_waits_for_is_written_with_the_entries_behind_it() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    for index in 0..20 {
        append(&log, [entry(1, index)]).await;
        log.save_committed(Some(LogId::new_term_index(1, index))).await.unwrap();
    }
    // Each note in a batch of its own would make 40; a few may be, if this test was held up.
    assert!(log.stats().batches < 30, "{:?}", log.stats());
    log.close();
    let (mut again, _) = sim_log(&disk.after_power_cut());
    let committed = again.read_committed().await.unwrap();
    assert_eq!(committed, Some(LogId::new_term_index(1, 19)));
}

#[tokio::test]
async fn an_append_does_not_wait_for_company_because_of_a_note_behind_it() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    disk.stall();
    let durable = submit(&log, [entry(1, 0)]).await;
    log.save_committed(Some(LogId::new_term_index(1, 0))).await.unwrap();
    disk.resume();
    durable.await.unwrap();
    assert_eq!(log.stats().entries, 1);
    assert!(log.stats().batches <= 2, "{:?}", log.stats());
}

#[tokio::test]
async fn a_vote_is_durable_when_it_is_saved() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    let vote = Vote::new(3, 7);
    log.save_vote(&vote).await.unwrap();
    let (mut again, _) = sim_log(&disk.after_power_cut());
    assert_eq!(again.read_vote().await.unwrap(), Some(vote));
}

#[tokio::test]
async fn a_flush_waits_for_everything_before_it_truncations_too() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    append(&log, [entry(1, 0), entry(1, 1)]).await;
    disk.stall();
    log.truncate_after(Some(LogId::new_term_index(1, 0))).await.unwrap();
    let flushing = {
        let log = log.clone();
        std::thread::spawn(move || log.flush())
    };
    disk.wait_for_tries(2);
    assert!(!flushing.is_finished());
    assert_eq!(disk.durable().entries.len(), 2);
    disk.resume();
    flushing.join().unwrap().unwrap();
    assert_eq!(disk.durable().entries.len(), 1);
    log.flushed().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_only_delays_and_raises_the_pressure_meanwhile() {
    let disk = SimDisk::default();
    disk.fail_writes([io::ErrorKind::StorageFull; 3]);
    let (log, ballast) = sim_log(&disk);
    let durable = submit(&log, [entry(1, 0)]).await;
    disk.wait_for_tries(2);
    assert!(log.under_pressure());
    durable.await.unwrap();
    assert_eq!(ballast.0.load(Ordering::SeqCst), 1);
    wait_until("the end of the pressure", || !log.under_pressure());
    assert_eq!(disk.durable().entries.len(), 1);
}

#[tokio::test]
async fn a_failed_disk_fails_everything_from_then_on() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    append(&log, [entry(1, 0)]).await;
    disk.fail_writes([io::ErrorKind::Other]);
    let error = submit(&log, [entry(1, 1)]).await.await.unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::Storage), "{error}");
    assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Storage);
    let error = log.save_vote(&Vote::new(1, 1)).await.unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::Storage));
    let error = log.append([entry(1, 2)], IOFlushed::noop()).await.unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::Storage));
    assert_eq!(disk.durable().entries.len(), 1);
}

#[tokio::test]
async fn a_failed_flush_acknowledges_nothing() {
    let disk = SimDisk::default();
    let (log, _) = sim_log(&disk);
    disk.fail_syncs(io::ErrorKind::Other);
    assert!(submit(&log, [entry(1, 0)]).await.await.is_err());
    assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Storage);
}

#[tokio::test]
async fn closing_finishes_what_waits_and_refuses_what_comes() {
    let disk = SimDisk::default();
    let (log, _) = sim_log(&disk);
    let durable = submit(&log, [entry(1, 0)]).await;
    log.close();
    durable.await.unwrap();
    assert_eq!(disk.durable().entries.len(), 1);
    assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn closing_on_a_full_disk_does_not_hang() {
    let disk = SimDisk::default();
    disk.fail_writes([io::ErrorKind::StorageFull; 1000]);
    let (log, _) = sim_log(&disk);
    let lost = submit(&log, [entry(1, 0)]).await;
    disk.wait_for_tries(2);
    log.close();
    assert_eq!(kind_of(&lost.await.unwrap_err()), Some(ErrorKind::Closed));
}

#[tokio::test]
async fn a_node_that_closes_does_not_wait_for_room_on_a_full_disk() {
    let disk = SimDisk::default();
    let (log, _) = sim_log(&disk);
    append(&log, [entry(1, 0)]).await;
    disk.fail_writes(std::iter::repeat_n(io::ErrorKind::StorageFull, 10_000));
    let lost = submit(&log, [entry(1, 1)]).await;
    let barrier = std::thread::spawn({
        let log = log.clone();
        move || log.flush()
    });
    disk.wait_for_tries(3);
    log.hurry();
    assert!(lost.await.is_err());
    assert!(barrier.join().unwrap().is_err(), "a last checkpoint would wait for it");
    log.close();
    assert_eq!(disk.durable().entries.len(), 1);
}

#[tokio::test]
async fn an_append_waits_while_the_queue_is_full() {
    let disk = SimDisk::default();
    disk.stall();
    let (log, _) = sim_log(&disk);
    let large = vec![0; 20 << 20];
    let mut answers = Vec::new();
    for index in 0..3 {
        answers.push(submit(&log, [entry_of(1, index, &large)]).await);
    }
    disk.wait_for_tries(1);
    let waiting = {
        let (log, large) = (log.clone(), large.clone());
        tokio::spawn(async move { submit(&log, [entry_of(1, 3, &large)]).await.await })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(log.last(), Some(LogId::new_term_index(1, 2)));
    disk.resume();
    waiting.await.unwrap().unwrap();
    assert_eq!(disk.durable().entries.len(), 4);
}

#[tokio::test]
async fn a_limited_read_is_never_empty_and_never_has_a_gap() {
    let temp = tempfile::tempdir().unwrap();
    let mut log = lmdb_log(temp.path(), 0).unwrap();
    let large = vec![7; 700 << 10];
    for index in 0..4 {
        append(&log, [entry_of(1, index, &large)]).await;
    }
    append(&log, [entry_of(1, 4, &vec![7; 3 << 20])]).await;
    for start in 0..5 {
        let read = log.limited_get_log_entries(start, 5).await.unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].log_id().index(), start);
    }
    let streamed: Vec<_> = log.entries_stream(1..).await.collect().await;
    let streamed: Vec<_> = streamed.into_iter().map(|e| e.unwrap().log_id().index()).collect();
    assert_eq!(streamed, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_reopened_log_is_as_it_was_left() {
    let temp = tempfile::tempdir().unwrap();
    let vote = Vote::new_committed(2, 9);
    let committed = Some(LogId::new_term_index(2, 4));
    {
        let mut log = lmdb_log(temp.path(), TAIL_BYTES).unwrap();
        append(&log, (0..6).map(|index| entry(2, index))).await;
        log.save_vote(&vote).await.unwrap();
        log.save_committed(committed).await.unwrap();
        log.purge(LogId::new_term_index(2, 1)).await.unwrap();
        log.close();
    }
    let mut log = lmdb_log(temp.path(), TAIL_BYTES).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    assert_eq!(log.read_committed().await.unwrap(), committed);
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(LogId::new_term_index(2, 1)));
    assert_eq!(state.last_log_id, Some(LogId::new_term_index(2, 5)));
    assert_eq!(indexes(&log, 0..99).await, [2, 3, 4, 5]);
}

#[tokio::test]
async fn a_purge_of_many_megabytes_goes_in_chunks_until_all_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(DataDir::open(temp.path()).unwrap());
    let disk = LmdbLog::open(Arc::clone(&dir), MAP_BYTES).unwrap();
    let mut log = LogStore::start(disk.clone(), DiskPressure::default(), dir).unwrap();
    let payload = vec![1; 64 << 10];
    append(&log, (0..100).map(|index| entry_of(1, index, &payload))).await;
    assert!(log.log_bytes() >= 100 * (64 << 10));
    let upto = log.index_keeping_bytes(1 << 20).unwrap();
    log.purge(LogId::new_term_index(1, upto)).await.unwrap();
    assert!((1 << 20..2 << 20).contains(&log.log_bytes()), "{}", log.log_bytes());
    log.flushed().await.unwrap();
    wait_until("the purge", || !disk.outline().unwrap().purge_left);
    assert_eq!(disk.entries(0..100, usize::MAX).unwrap().len() as u64, 99 - upto);
    assert!(log.stats().batches > 4, "{:?}", log.stats());
}

#[tokio::test]
async fn a_full_map_recovers_by_the_purge_that_waits_behind_the_append() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Arc::new(DataDir::open(temp.path()).unwrap());
    let disk = LmdbLog::open(Arc::clone(&dir), 4 << 20).unwrap();
    let mut log = LogStore::start(disk, DiskPressure::default(), dir).unwrap();
    let payload = vec![1; 64 << 10];
    for index in 0..40 {
        append(&log, [entry_of(1, index, &payload)]).await;
    }
    let mut answers = Vec::new();
    for index in 40..70 {
        answers.push(submit(&log, [entry_of(1, index, &payload)]).await);
    }
    wait_until("the pressure", || log.under_pressure());
    log.purge(LogId::new_term_index(1, 39)).await.unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    append(&log, [entry(1, 70)]).await;
    wait_until("the end of the pressure", || !log.under_pressure());
    assert_eq!(indexes(&log, 0..99).await, (40..71).collect::<Vec<_>>());
    log.close();
}

/// Flips one bit wherever `needle` stands in the log's file.
fn flip(path: &Path, needle: &[u8]) {
    let file = path.join("log/data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    let found: Vec<_> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, w)| *w == needle)
        .map(|f| f.0)
        .collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at] ^= 1;
    }
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_an_entry_is_corrupt_and_never_cut_away() {
    let temp = tempfile::tempdir().unwrap();
    {
        let log = lmdb_log(temp.path(), TAIL_BYTES).unwrap();
        let texts: [&[u8]; 3] = [b"the first one", b"the middle one", b"the last one"];
        append(&log, (0..).zip(texts).map(|(index, text)| entry_of(1, index, text))).await;
        log.close();
    }
    flip(temp.path(), b"the middle one");
    {
        let mut log = lmdb_log(temp.path(), TAIL_BYTES).unwrap();
        let error = log.try_get_log_entries(0..3).await.unwrap_err();
        assert_eq!(kind_of(&error), Some(ErrorKind::Corrupt));
        let text = error.to_string();
        assert!(text.contains("log entry 1") && text.contains("new node id"), "{text}");
        assert_eq!(log.last(), Some(LogId::new_term_index(1, 2)));
        log.close();
    }
    flip(temp.path(), b"the last one");
    assert_eq!(lmdb_log(temp.path(), TAIL_BYTES).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_flipped_bit_in_the_vote_is_corrupt() {
    let temp = tempfile::tempdir().unwrap();
    let vote = Vote::new(0x0102_0304_0506_0708, 0x1112_1314_1516_1718);
    {
        let mut log = lmdb_log(temp.path(), TAIL_BYTES).unwrap();
        log.save_vote(&vote).await.unwrap();
        log.close();
    }
    flip(temp.path(), &0x0102_0304_0506_0708_u64.to_be_bytes());
    assert_eq!(lmdb_log(temp.path(), TAIL_BYTES).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn the_bytes_of_every_raft_record_are_golden() {
    let disk = SimDisk::default();
    let (mut log, _) = sim_log(&disk);
    log.save_vote(&Vote::new_committed(3, 9)).await.unwrap();
    log.save_committed(Some(LogId::new_term_index(2, 4))).await.unwrap();
    append(&log, (0..3).map(|index| entry(1, index))).await;
    log.purge(LogId::new_term_index(1, 1)).await.unwrap();
    log.put(Record::Cluster, Bytes::copy_from_slice(&7_u128.to_be_bytes())).unwrap().await.unwrap();
    let hex = |record| {
        let body = disk.durable().records[&record].clone();
        body.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(hex(Record::Vote), "0000000000000003000000000000000901");
    assert_eq!(hex(Record::Committed), "0100000000000000020000000000000004");
    assert_eq!(hex(Record::Purged), "00000000000000010000000000000001");
    assert_eq!(hex(Record::Cluster), "00000000000000000000000000000007");
}

#[derive(Debug, Clone)]
enum Action {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Flush,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (1..8_u64).prop_map(Action::Append),
        2 => (0..6_u64).prop_map(Action::Truncate),
        2 => (0..9_u64).prop_map(Action::Purge),
        2 => Just(Action::Flush),
        1 => Just(Action::Reopen),
    ]
}

/// Runs `actions` on a log in `path`, and on a `Vec` that says what it must hold.
async fn compare(path: &Path, actions: Vec<Action>) -> Result<(), TestCaseError> {
    const TAIL: usize = 400;
    let mut log = lmdb_log(path, TAIL).unwrap();
    let (mut model, mut purged): (Vec<Entry>, Option<LogId>) = (Vec::new(), None);
    for (term, action) in (1_u64..).zip(actions) {
        let last = model.last().map(|entry| entry.log_id()).or(purged);
        let next = last.map_or(0, |id| id.index() + 1);
        match action {
            Action::Append(count) => {
                let entries: Vec<_> =
                    (next..next + count).map(|index| entry(term, index)).collect();
                model.extend(entries.clone());
                log.append(entries, IOFlushed::noop()).await.unwrap();
            }
            Action::Truncate(back) => {
                model.truncate(model.len().saturating_sub(back as usize));
                let last = model.last().map(|entry| entry.log_id()).or(purged);
                log.truncate_after(last).await.unwrap();
            }
            Action::Purge(ahead) => {
                let at = purged.map_or(0, |id| id.index() + 1) + ahead;
                let known = model.iter().find(|entry| entry.log_id().index() == at);
                let upto = known.map_or_else(|| LogId::new_term_index(term, at), |e| e.log_id());
                model.retain(|entry| entry.log_id().index() > at);
                purged = Some(upto);
                log.purge(upto).await.unwrap();
            }
            Action::Flush => log.flushed().await.unwrap(),
            Action::Reopen => {
                log.close();
                drop(log);
                log = lmdb_log(path, TAIL).unwrap();
            }
        }
        let last = model.last().map(|entry| entry.log_id()).or(purged);
        let state = log.get_log_state().await.unwrap();
        prop_assert_eq!(state.last_log_id, last);
        prop_assert_eq!(state.last_purged_log_id, purged);
        prop_assert_eq!(&log.try_get_log_entries(0..=u64::MAX).await.unwrap(), &model);
        if let Some(from) = model.get(model.len() / 2) {
            let start = from.log_id().index();
            let read = log.limited_get_log_entries(start, start + 3).await.unwrap();
            prop_assert!(!read.is_empty() && model[model.len() / 2..].starts_with(&read));
        }
    }
    log.close();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn appending_truncating_purging_or_reopening_never_shows_another_log(
        actions in prop::collection::vec(action(), 1..30)
    ) {
        let temp = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(temp.path(), actions))?;
    }
}
