"""The asyncio twin: every verb, cancellation, several loops."""

import asyncio
import gc
import inspect
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import kvraft
import kvraft.aio
from kvraft import Compare, Op
from loopback import SECRET

Words = kvraft.aio.ReplicatedMap[str, Any]
FAR_AHEAD = 1 << 60
SECONDS = 30.0


def run(main: Callable[[Words], Coroutine[Any, Any, None]], data_dir: Path) -> None:
    """Run a test on an event loop, with a map of text and JSON that is closed at its end."""

    async def with_map() -> None:
        async with kvraft.aio.open(data_dir, codec="json") as opened:
            await opened.wait_ready(SECONDS)
            await main(opened)
        with pytest.raises(kvraft.ClosedError):
            await opened.get("k")

    asyncio.run(with_map(), debug=True)


def test_it_has_every_verb_of_the_map_that_blocks() -> None:
    blocking = {name for name in dir(kvraft.ReplicatedMap) if not name.startswith("_")}
    awaited = {name for name in dir(kvraft.aio.ReplicatedMap) if not name.startswith("_")}
    assert blocking - awaited == {"copy"}
    assert awaited - blocking == {"contains", "size"}
    for name in sorted(blocking & awaited):
        ours = getattr(kvraft.aio.ReplicatedMap, name)
        if inspect.isfunction(ours) and name not in {"keys", "values", "items"}:
            theirs = getattr(kvraft.ReplicatedMap, name)
            assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]
            assert str(inspect.getdoc(theirs)) in str(inspect.getdoc(ours)), name


def test_the_verbs_are_awaited(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        first = await m.put("a/1", 1)
        assert await m.get("a/1") == 1
        assert await m.get("absent", default=0) == 0
        assert await m.get("absent", 0, consistency="local", min_revision=first) == 0
        assert await m.contains("a/1")
        assert not await m.contains("absent")
        assert (await m.put_with("a/1", 2, previous=True)).replaced
        assert await m.increment("n", 2) == 2
        assert (await m.increment_with("n")).value == 3
        assert await m.setdefault("a/2", 5) == 5
        assert (await m.size(), await m.count("a/")) == (3, 2)
        assert await m.pop("a/2") == 5
        assert await m.pop("a/2", "gone") == "gone"
        with pytest.raises(KeyError):
            await m.pop("a/2")
        await m.update({"b/1": 1}, c=2)
        assert await m.popitem() == ("n", 3)
        assert [key async for key in m] == ["a/1", "b/1", "c"]
        assert [key async for key in m.keys("b/")] == ["b/1"]
        assert [value async for value in m.values()] == [2, 1, 2]
        assert [item async for item in m.items("a/")] == [("a/1", 2)]
        assert [entry.key async for entry in m.scan(reverse=True, limit=1)] == ["c"]
        assert (await m.page(limit=1)).more
        assert (await m.txn([Compare.present("c")], [Op.delete("c")])).succeeded
        await m.batch([Op.put("d", 1)])
        assert await m.delete("d")
        assert not (await m.delete_with("d")).existed
        assert (await m.delete_range("a/")).deleted == 1
        await m.clear()
        assert await m.size() == 0
        entry = await m.get_entry("absent")
        assert entry is None

    run(main, tmp_path)


def test_the_cluster_is_asked(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        assert m.status()["leader"] == "node"
        assert [member["name"] for member in m.members()] == ["node"]
        assert m.metrics()["log_entries"] > 0
        assert m.max_value_bytes < m.max_command_bytes
        await m.shrink(1)
        verification = await m.verify()
        assert verification["verdict"] == "agreed"
        assert set(verification) == set(kvraft.Verification.__annotations__)
        assert set(verification["members"][0]) == set(kvraft.MemberState.__annotations__)
        with pytest.raises(kvraft.RefusedError):
            await m.refill()
        for change in (m.promote, m.demote, m.remove_member, m.transfer_leadership):
            with pytest.raises(kvraft.RefusedError):
                await change("nobody")

    run(main, tmp_path)


def test_leases_and_locks_are_blocks(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        async with m.lease(10) as lease:
            await m.put("k", 1, lease=lease)
            await m.keep_alive(lease)
            assert (await m.lease_info(lease)).keys == ["k"]
            assert lease.is_alive()
            ended = asyncio.create_task(lease.ended())
        await ended
        assert not await m.contains("k")
        async with m.lock("report") as first:
            assert await m.try_lock("report") is None
            waiting = asyncio.create_task(take(m))
            await asyncio.sleep(0)
        second = await waiting
        assert second.token > first.token
        await second.unlock()
        await second.lost()
        one = await m.grant_lease(10)
        await m.acquire("report", one)
        await m.release("report", one)
        await m.revoke_lease(one)
        with pytest.raises(kvraft.ExpiredError):
            await lose(m)

    async def lose(m: Words) -> None:
        async with m.lock("report") as lock:
            await m.revoke_lease(lock.lease)

    async def take(m: Words) -> kvraft.aio.Lock:
        return await m.lock("report", timeout=SECONDS)

    run(main, tmp_path)


def test_a_watch_is_awaited_a_block_or_a_loop(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        watch = await m.watch("a/")
        revision = await m.put("a/1", 1)
        event = await anext(watch)
        assert isinstance(event, kvraft.Changes)
        assert event.revision == revision
        async for again in m.watch(from_revision=revision):
            assert again == event
            break
        assert await anext(m.watch(from_revision=revision)) == event
        async with m.watch(resync=True) as resync:
            kinds = [type(await anext(resync)) for _ in range(3)]
        assert kinds == [kvraft.SnapshotBegin, kvraft.SnapshotEntries, kvraft.SnapshotEnd]
        assert [event async for event in resync] == []

    run(main, tmp_path)


def test_a_cancelled_watch_loses_no_event(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        async with m.watch() as watch:
            for number in range(20):
                waiting = asyncio.ensure_future(anext(watch))
                for _ in range(number % 4):
                    await asyncio.sleep(0)
                writing = asyncio.create_task(m.put("k", number))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                waiting.cancel()
                done = await asyncio.gather(waiting, return_exceptions=True)
                await writing
                event = done[0] if isinstance(done[0], kvraft.Changes) else await anext(watch)
                assert isinstance(event, kvraft.Changes)
                entry = event.changes[0].entry
                assert entry is not None
                assert entry.value == number

    run(main, tmp_path)


def test_a_cancelled_wait_for_a_lock_gives_the_place_back(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        async with m.lock("report"):
            for _ in range(5):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02), m.lock("report", timeout=SECONDS):
                        pytest.fail("it was held")
        async with m.lock("report", timeout=SECONDS):
            assert m.metrics()["held"]["locks_waiting"] == 0

    run(main, tmp_path)


def test_a_lock_that_comes_with_the_cancellation_is_given_back(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        for turns in range(40):
            taking = asyncio.ensure_future(take(m))
            for _ in range(turns):
                await asyncio.sleep(0.0002)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            del taking
            async with m.lock("report", timeout=SECONDS):
                pass

    async def take(m: Words) -> None:
        await m.lock("report", timeout=SECONDS)

    run(main, tmp_path)


def test_cancelled_reads_leave_the_loop_at_work(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        await m.put("k", "v")
        waiting = [
            asyncio.ensure_future(m.get("k", min_revision=FAR_AHEAD, timeout=SECONDS))
            for _ in range(100)
        ]
        await asyncio.sleep(0.01)
        for one in waiting:
            one.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in done} == {asyncio.CancelledError}
        assert await asyncio.gather(*(m.get("k") for _ in range(100))) == ["v"] * 100

    run(main, tmp_path)


def test_a_thousand_calls_at_once_share_the_wakes(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        await asyncio.gather(*(m.put(f"{number:04}", number) for number in range(1000)))
        assert await m.size() == 1000
        values = await asyncio.gather(*(m.get(f"{number:04}") for number in range(1000)))
        assert values == list(range(1000))

    run(main, tmp_path)


def test_a_task_of_a_task_group_fails_with_the_cores_error(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await both(m)
        assert [type(error) for error in caught.value.exceptions] == [kvraft.UnavailableError]

    async def both(m: Words) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(m.get("k", min_revision=FAR_AHEAD, timeout=0.05))
            group.create_task(m.get("k", min_revision=FAR_AHEAD, timeout=SECONDS))

    run(main, tmp_path)


def test_several_loops_use_one_map(tmp_path: Path) -> None:
    opened = asyncio.run(begin(tmp_path))

    async def count(name: int) -> list[int]:
        return [await opened.increment(f"{name}") for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda name: asyncio.run(count(name)), range(4)))
    assert counts == [list(range(1, 21))] * 4
    asyncio.run(opened.close())


async def begin(data_dir: Path) -> kvraft.aio.ReplicatedMap[str, Any]:
    """Open a map that outlives its loop."""
    return await kvraft.aio.open(data_dir, codec="json")


def test_a_loop_that_ends_drops_what_it_awaited(tmp_path: Path) -> None:
    async def main() -> kvraft.aio.ReplicatedMap[str, Any]:
        opened = await begin(tmp_path)
        waiting = opened.get("k", min_revision=FAR_AHEAD, timeout=SECONDS)
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0.01)
        assert not task.done()
        return opened

    opened = asyncio.run(main())
    asyncio.run(opened.close())


def test_without_a_loop_there_is_nothing_to_await(tmp_path: Path) -> None:
    opened = kvraft.open(tmp_path)
    call = opened._native.close()  # noqa: SLF001
    with pytest.raises(RuntimeError, match="no running event loop"):
        next(call)
    call.wait()
    with pytest.raises(RuntimeError, match="answered"):
        call.wait()


def test_a_map_for_tasks_tells_what_it_is(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        assert repr(m) == "<kvraft.aio.ReplicatedMap 'node', leader, 0 keys>"
        with pytest.raises(TypeError, match="connect"):
            m.__reduce__()

    run(main, tmp_path)


def test_a_backup_goes_to_a_file_and_back(tmp_path: Path) -> None:
    file = tmp_path / "kept"

    async def main(m: Words) -> None:
        await m.put("k", "v")
        info = await m.backup(file)
        assert info["entries"] == 1
        assert (await kvraft.aio.verify_backup(file))["is_sound"]
        await kvraft.aio.restore(file, tmp_path / "new", name="n")

    run(main, tmp_path / "old")

    async def check() -> None:
        assert (await kvraft.aio.verify_data_dir(tmp_path / "new"))["is_sound"]
        await kvraft.aio.recover_quorum(tmp_path / "new", tmp_path / "newer")
        async with kvraft.aio.open(tmp_path / "newer", name="n", codec="json") as opened:
            assert await opened.get("k") == "v"

    asyncio.run(check())


def test_a_loop_that_is_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    opened = asyncio.run(begin(tmp_path))

    async def use() -> None:
        await opened.put("k", "v")

    asyncio.run(use())
    before = len([*Path("/proc/self/fd").iterdir()])

    def in_a_loop_of_its_own() -> weakref.ref[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use())
        loop.close()
        return weakref.ref(loop)

    loops = [in_a_loop_of_its_own() for _ in range(20)]
    gc.collect()
    assert [one() for one in loops] == [None] * 20
    assert len([*Path("/proc/self/fd").iterdir()]) <= before
    asyncio.run(opened.close())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_closed_with_a_task_under_way_gives_its_lock_back(tmp_path: Path) -> None:
    opened = asyncio.run(begin(tmp_path))

    async def start() -> None:
        task = asyncio.ensure_future(take(held.set))
        task.get_loop().set_exception_handler(lambda *_: None)  # It says that the task was pending.
        while not waits():  # noqa: ASYNC110 - a number of the core
            await asyncio.sleep(0.001)

    async def take(done: Callable[[], None]) -> None:
        await opened.lock("report", timeout=SECONDS)
        done()

    def waits() -> int:
        return opened.metrics()["held"]["locks_waiting"]

    held = threading.Event()
    first = asyncio.run(begin_lock(opened))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    asyncio.run(first.unlock())
    asyncio.run(begin_lock(opened))
    assert not held.is_set()
    asyncio.run(opened.close())


async def begin_lock(opened: Words) -> kvraft.aio.Lock:
    """Take the lock that tests are about."""
    return await opened.lock("report", timeout=SECONDS)


def test_of_several_tasks_that_watch_each_gets_other_events(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        async with m.watch() as watch:
            followers = [asyncio.create_task(follow(watch)) for _ in range(5)]
            revisions = [await m.put("k", number) for number in range(200)]
            await all_told.wait()
            watch.close()
            await asyncio.gather(*followers)
        assert told == revisions

    async def follow(watch: kvraft.aio.Watch[str, Any]) -> None:
        async for event in watch:
            assert isinstance(event, kvraft.Changes)
            told.append(event.revision)
            if len(told) == 200:
                all_told.set()

    told: list[int] = []
    all_told = asyncio.Event()
    run(main, tmp_path)


def test_tasks_that_share_a_block_each_leave_their_own(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        block = m.lease(30)
        first_is_out = asyncio.Event()

        async def first() -> None:
            async with block as lease:
                await second_is_in.wait()
            assert not lease.is_alive()
            first_is_out.set()

        async def second() -> None:
            async with block as lease:
                async with block as inner:
                    assert inner.id != lease.id
                second_is_in.set()
                await first_is_out.wait()
                assert lease.is_alive()
                assert not inner.is_alive()

        second_is_in = asyncio.Event()
        await asyncio.gather(first(), second())

    run(main, tmp_path)


def test_what_was_never_awaited_is_warned_of(tmp_path: Path) -> None:
    async def main(m: Words) -> None:
        begins: list[tuple[Callable[[], object], str]] = [
            (lambda: m.lock("report"), "kvraft.aio.ReplicatedMap.lock"),
            (lambda: m.lease(1), "kvraft.aio.ReplicatedMap.lease"),
            (m.watch, "kvraft.aio.ReplicatedMap.watch"),
            (lambda: kvraft.aio.open(tmp_path), "kvraft.aio.open"),
        ]
        for begin, name in begins:
            with pytest.warns(RuntimeWarning, match=f"{name} begins .* was never awaited"):
                begin()

    run(main, tmp_path)


def test_an_open_that_is_cancelled_frees_its_directory(tmp_path: Path) -> None:
    async def main() -> None:
        for turns in range(0, 12, 2):
            opening = asyncio.create_task(begin(tmp_path))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            opening.cancel()
            done = await asyncio.gather(opening, return_exceptions=True)
            if isinstance(done[0], kvraft.aio.ReplicatedMap):
                await done[0].close()
            async with asyncio.timeout(SECONDS):
                opened = await once_free()
            async with opened:
                await opened.put(f"{turns}", "v")

    async def once_free() -> Words:
        while True:
            try:
                return await begin(tmp_path)
            except kvraft.RefusedError:
                await asyncio.sleep(0.001)

    asyncio.run(main())


def test_what_was_lent_is_given_back_while_the_write_is_under_way(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    async def main() -> None:
        async with kvraft.aio.open(
            tmp_path, name="a", listen=addresses["a"], members=addresses, cluster_secret=SECRET
        ) as lonely:
            value = bytearray(1 << 20)
            writing = asyncio.create_task(lonely.put(b"k", value, timeout=SECONDS))
            await asyncio.sleep(0.01)
            value.clear()  # With a `BufferError` if it were still lent.
            assert not writing.done()
            writing.cancel()

    asyncio.run(main())
