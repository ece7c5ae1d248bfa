"""Leases, locks and watches."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kvraft

if TYPE_CHECKING:
    from collections.abc import Callable

Map = kvraft.ReplicatedMap[bytes, bytes]
Words = kvraft.ReplicatedMap[str, Any]
SECONDS = 30.0


def test_a_lease_takes_its_keys_along(single: Map) -> None:
    with single.lease(10) as lease:
        single.put(b"k", b"v", lease=lease)
        single.put(b"l", b"w", lease=lease.id)
        assert (lease.ttl, lease.is_alive()) == (10.0, True)
        entry = single.get_entry(b"k")
        assert entry is not None
        assert entry.lease == lease.id
        info = single.lease_info(lease)
        assert (info.id, info.ttl, info.keys) == (lease.id, 10.0, [b"k", b"l"])
        assert 0 < info.remaining <= 10
        assert lease.id in repr(lease)
        assert not lease.wait_ended(0.01)
    assert b"k" not in single
    assert not lease.is_alive()
    assert lease.wait_ended(SECONDS)
    with pytest.raises(kvraft.ExpiredError):
        lease.revoke()


def test_a_lease_that_nobody_keeps_alive_ends(single: Map) -> None:
    lease = single.grant_lease(0.1)
    with single.watch(key=b"k") as watch:
        single.put(b"k", b"v", lease=lease)
        single.put(b"other", b"v")
        events = [watch.next(SECONDS), watch.next(SECONDS)]
    gone = events[1]
    assert isinstance(gone, kvraft.Changes)
    assert [(change.key, change.entry) for change in gone.changes] == [(b"k", None)]
    calls: list[Callable[[str], object]]
    calls = [single.keep_alive, single.revoke_lease, single.lease_info]
    for call in calls:
        with pytest.raises(kvraft.ExpiredError):
            call(lease)


def test_a_time_to_live_takes_the_key_away(single: Map) -> None:
    with single.watch(key=b"k") as watch:
        single.put(b"k", b"v", ttl=0.1)
        entry = single.get_entry(b"k")
        assert entry is None or entry.lease is not None
        next(watch)
        gone = next(watch)
    assert isinstance(gone, kvraft.Changes)
    assert gone.changes[0].entry is None


def test_a_revoked_lease_ends_the_waits_for_its_end(single: Map) -> None:
    lease = single.lease(30)
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(lease.wait_ended, SECONDS) for _ in range(2)]
        lease.revoke()
        assert [wait.result(SECONDS) for wait in waits] == [True, True]


def test_a_lock_has_one_holder_and_tokens_that_grow(single: Map) -> None:
    with single.lock("report") as first:
        assert (first.name, first.is_held()) == (b"report", True)
        assert single.try_lock(b"report") is None
        with pytest.raises(kvraft.RefusedError):
            single.lock("report", timeout=0.05)
        assert "report" in repr(first)
        assert not first.wait_lost(0.01)
        assert single.lease_info(first.lease).id == first.lease
    second = single.try_lock("report")
    assert second is not None
    assert second.token > first.token
    second.unlock()
    with pytest.raises(kvraft.ExpiredError):
        second.unlock()
    assert second.wait_lost(SECONDS)


def test_a_lock_goes_to_who_waits(single: Map) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = single.lock("report")
        waiting = pool.submit(single.lock, "report", timeout=SECONDS)
        first.unlock()
        with waiting.result(SECONDS) as second:
            assert second.token > first.token


def test_a_dropped_lock_is_given_back(single: Map) -> None:
    held = single.lock("report", ttl=60)
    del held
    single.lock("report", timeout=SECONDS).unlock()


def test_a_block_whose_lock_was_lost_says_so(single: Map) -> None:
    def lose_it() -> None:
        with single.lock("report") as lock:
            single.revoke_lease(lock.lease)
            assert lock.wait_lost(SECONDS)

    with pytest.raises(kvraft.ExpiredError):
        lose_it()


def test_a_block_that_fails_keeps_its_error_and_notes_the_loss(single: Map) -> None:
    def fail() -> None:
        with single.lock("report") as lock:
            single.revoke_lease(lock.lease)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert "lease" in caught.value.__notes__[0]


def test_a_lease_of_the_callers_takes_locks(single: Map) -> None:
    one, two = single.grant_lease(30), single.grant_lease(30)
    token = single.acquire("report", one)
    assert single.acquire("report", one) == token
    with pytest.raises(kvraft.RefusedError):
        single.acquire("report", two)
    single.release("report", one)
    assert single.acquire("report", two, timeout=1) > token
    with pytest.raises(kvraft.ExpiredError):
        single.release("report", one)


@pytest.mark.parametrize(
    ("name", "ttl", "error", "said"),
    [
        ("", 10, kvraft.InvalidArgumentError, "name of the lock"),
        ("n" * 256, 10, kvraft.InvalidArgumentError, "255"),
        (7, 10, TypeError, "name"),
        ("n", "10", TypeError, "ttl takes a number"),
        ("n", 0, kvraft.InvalidArgumentError, "time to live"),
    ],
)
def test_a_wrong_lock_is_told_what_is_wrong(
    single: Map, name: Any, ttl: Any, error: type[Exception], said: str
) -> None:
    for take in (single.lock, single.try_lock):
        with pytest.raises(error, match=said):
            take(name, ttl=ttl)


def test_a_watch_tells_every_change_in_order(words: Words) -> None:
    with words.watch("a/", previous=True) as watch:
        first = words.put("a/1", 1)
        words.put("b/1", 0)
        second = words.put("a/1", 2)
        words.batch([kvraft.Op.put("a/2", 3), kvraft.Op.delete("a/1"), kvraft.Op.put("c", 0)])
        events = [next(watch) for _ in range(3)]
        assert watch.next(0.01) is None
    told = [
        [
            (
                change.key,
                change.entry and change.entry.value,
                change.previous and change.previous.value,
            )
            for change in event.changes
        ]
        for event in events
        if isinstance(event, kvraft.Changes)
    ]
    assert told == [
        [("a/1", 1, None)],
        [("a/1", 2, 1)],
        [("a/2", 3, None), ("a/1", None, 2)],
    ]
    assert [event.revision for event in events[:2] if isinstance(event, kvraft.Changes)] == [
        first,
        second,
    ]


def test_a_watch_begins_where_it_is_told(words: Words) -> None:
    words["k"] = 0
    revision = words.put("k", 1)
    words["k"] = 2
    with words.watch(key="k", from_revision=revision) as watch:
        values = []
        for event in watch:
            assert isinstance(event, kvraft.Changes)
            values += [change.entry and change.entry.value for change in event.changes]
            if len(values) == 2:
                break
    assert values == [1, 2]


def test_a_resync_begins_with_all_entries(words: Words) -> None:
    words.update({f"a/{number:03}": number for number in range(300)})
    with words.watch("a/", resync=True) as watch:
        entries: list[kvraft.Entry[str, Any]] = []
        begin = next(watch)
        assert isinstance(begin, kvraft.SnapshotBegin)
        for event in watch:
            match event:
                case kvraft.SnapshotEntries(some):
                    entries += some
                case kvraft.SnapshotEnd(revision):
                    assert revision == begin.revision
                    break
                case _:
                    pytest.fail(f"{event} is in between")
        assert [entry.value for entry in entries] == list(range(300))
        words["a/more"] = 1
        assert isinstance(next(watch), kvraft.Changes)


def test_a_watch_from_a_revision_that_is_gone_carries_the_oldest(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as opened:
        opened.put(b"k", b"v")
    with kvraft.open(tmp_path) as opened:
        opened.wait_ready(SECONDS)
        opened.put(b"k", b"w")
        with pytest.raises(kvraft.CompactedError) as caught:
            opened.watch(from_revision=1)
        assert caught.value.revision is not None
        assert caught.value.revision > 1


def test_another_thread_ends_a_watch(single: Map) -> None:
    watch = single.watch()
    with ThreadPoolExecutor(1) as pool:
        events = pool.submit(list, watch)
        single.put(b"k", b"v")
        watch.close()
        watch.close()
        assert len(events.result(SECONDS)) <= 1
    assert watch.next(SECONDS) is None
    assert list(watch) == []


def test_closing_the_map_ends_its_watches_with_its_error(tmp_path: Path) -> None:
    opened = kvraft.open(tmp_path)
    watch = opened.watch()
    started = threading.Event()

    def follow() -> None:
        started.set()
        next(watch)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(follow)
        assert started.wait(SECONDS)
        opened.close()
        with pytest.raises(kvraft.ClosedError):
            waiting.result(SECONDS)


def test_of_several_threads_that_watch_each_gets_other_events(words: Words) -> None:
    told: list[int] = []
    all_told = threading.Event()

    def follow() -> None:
        for event in watch:
            assert isinstance(event, kvraft.Changes)
            told.append(event.revision)
            if len(told) == 300:
                all_told.set()

    with words.watch() as watch, ThreadPoolExecutor(4) as pool:
        followers = [pool.submit(follow) for _ in range(4)]
        revisions = [words.put("k", number) for number in range(300)]
        assert all_told.wait(SECONDS)
        watch.close()
        for follower in followers:
            follower.result(SECONDS)
    assert sorted(told) == revisions


@pytest.mark.parametrize("lease", [7, None, object()])
def test_what_is_no_lease_is_told_so(single: Map, lease: Any) -> None:
    calls: list[Callable[[Any], object]] = [
        single.keep_alive,
        single.revoke_lease,
        single.lease_info,
        lambda lease: single.acquire("report", lease),
        lambda lease: single.release("report", lease),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="lease takes a lease or its id, not"):
            call(lease)
