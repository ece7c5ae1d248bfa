"""Each verb of the map, on a single node."""

import os
import re
import signal
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import kvraft
from interrupts import interrupted
from kvraft import Compare, Op

Map = kvraft.ReplicatedMap[bytes, bytes]
FAR_AHEAD = 1 << 60
PATIENCE = 60.0


def test_a_value_that_was_put_is_read_back(single: Map) -> None:
    assert single.get(b"k") is None
    first = single.put(b"k", b"one")
    second = single.put(b"k", b"two")
    assert 0 < first < second
    assert single.get(b"k") == b"two"


def test_the_map_reads_and_writes_like_a_dictionary(single: Map) -> None:
    single[b"k"] = b"v"
    assert single[b"k"] == b"v"
    assert b"k" in single
    del single[b"k"]
    assert b"k" not in single


def test_an_absent_key_is_a_default_or_a_key_error(single: Map) -> None:
    default = object()
    assert single.get(b"absent", default) is default
    assert single.get(b"absent", default=7) == 7
    assert single.get_entry(b"absent") is None
    with pytest.raises(KeyError, match="absent"):
        single[b"absent"]
    with pytest.raises(KeyError, match="absent"):
        del single[b"absent"]


def test_a_present_key_does_not_give_the_default(single: Map) -> None:
    single.put(b"empty", b"")
    assert single.get(b"empty", b"default") == b""


def test_a_delete_says_whether_there_was_a_value(single: Map) -> None:
    single.put(b"k", b"v")
    assert single.delete(b"k") is True
    assert single.delete(b"k") is False


def test_an_entry_tells_the_revisions_of_its_life(single: Map) -> None:
    created = single.put(b"k", b"one")
    changed = single.put(b"k", b"two")
    entry = single.get_entry(b"k")
    assert entry is not None
    assert (entry.key, entry.value) == (b"k", b"two")
    assert (entry.created, entry.revision) == (created, changed)
    assert repr(entry) == (
        f"Entry(key=b'k', value=b'two', revision={changed}, created={created}, lease=None)"
    )


@pytest.mark.parametrize("value", [b"", bytes(range(256)), b"\0" * 3, os.urandom(1 << 20)])
def test_any_bytes_are_a_value(single: Map, value: bytes) -> None:
    single.put(b"\0\xff/\xc3", value)
    assert single[b"\0\xff/\xc3"] == value


@pytest.mark.parametrize(
    "form", [bytes, bytearray, memoryview, lambda text: array("B", text)], ids=str
)
def test_any_object_with_bytes_is_a_key_and_a_value(
    single: Map,
    form: Callable[[bytes], Any],
) -> None:
    single.put(form(b"key"), form(b"value"))
    assert single.get(form(b"key")) == b"value"
    assert single.delete(form(b"key"))


def test_a_view_with_steps_is_read_step_by_step(single: Map) -> None:
    single.put(b"k", memoryview(b"a-b-c")[::2])
    assert single[b"k"] == b"abc"


@pytest.mark.parametrize("count", [1, 100_000], ids=["copied", "lent"])
def test_the_memory_of_any_object_is_a_value(single: Map, count: int) -> None:
    numbers = array("d", [0.5]) * count
    square = memoryview(bytes(range(4)) * count).cast("B", (2, 2 * count))
    values: list[Any] = [numbers, memoryview(numbers), square, bytearray(count), b"v" * count]
    for value in values:
        single.put(b"k", value)
        assert single[b"k"] == bytes(memoryview(value).cast("B"))
    single.put(b"k", memoryview(bytearray(b"-ab" * count))[::-3])
    assert single[b"k"] == b"b" * count
    single.put(b"k", memoryview(b""))
    assert single[b"k"] == b""


@pytest.mark.parametrize("key", [b"", b"k" * 512])
def test_a_key_too_short_or_too_long_is_an_invalid_argument(
    single: Map,
    key: bytes,
) -> None:
    with pytest.raises(kvraft.InvalidArgumentError, match="511") as caught:
        single.put(key, b"v")
    assert isinstance(caught.value, ValueError)
    assert caught.value.kind == "invalid_argument"
    assert caught.value.revision is None


def test_a_scan_gives_a_range_in_order(single: Map) -> None:
    for key in [b"b/1", b"a/2", b"a/1", b"a/3"]:
        single.put(key, b"=" + key)

    def keys(*args: bytes, **options: Any) -> list[bytes]:
        return [entry.key for entry in single.scan(*args, **options)]

    assert keys() == [b"a/1", b"a/2", b"a/3", b"b/1"]
    assert keys(b"a/") == [b"a/1", b"a/2", b"a/3"]
    assert keys(b"a/", reverse=True, limit=2) == [b"a/3", b"a/2"]
    assert keys(start=b"a/2", end=b"b") == [b"a/2", b"a/3"]
    assert keys(b"c") == []
    assert [entry.value for entry in single.scan(b"b")] == [b"=b/1"]


def test_a_scan_keeps_its_moment(single: Map) -> None:
    single.put(b"a", b"old")
    scan = single.scan()
    single.put(b"a", b"new")
    single.put(b"b", b"new")
    assert [(entry.key, entry.value) for entry in scan] == [(b"a", b"old")]


def test_a_read_waits_for_the_revision_it_was_told(single: Map) -> None:
    revision = single.put(b"k", b"v")
    assert single.get(b"k", consistency="local", min_revision=revision) == b"v"


def test_a_read_that_cannot_be_fresh_enough_in_time_is_unavailable(
    single: Map,
) -> None:
    with pytest.raises(kvraft.UnavailableError) as caught:
        single.get(b"k", min_revision=FAR_AHEAD, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)


def test_other_threads_run_while_one_waits(single: Map) -> None:
    revision = single.put(b"k", b"old")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            single.get, b"k", consistency="local", min_revision=revision + 1, timeout=PATIENCE
        )
        single.put(b"k", b"new")
        assert waiting.result(PATIENCE) == b"new"


def test_many_threads_write_at_once(single: Map) -> None:
    keys = [b"%d" % number for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        revisions = list(pool.map(lambda key: single.put(key, key), keys))
        assert len(set(revisions)) == len(keys)
        assert list(pool.map(single.get, keys)) == keys


def test_a_signal_ends_a_wait(single: Map) -> None:
    class Interruption(Exception):  # noqa: N818
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interruption):
            interrupted(lambda: single.get(b"k", min_revision=FAR_AHEAD), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    single.put(b"k", b"still works")


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_timeout_that_is_no_time_span_is_an_invalid_argument(
    single: Map,
    timeout: float,
) -> None:
    with pytest.raises(kvraft.InvalidArgumentError, match="timeout"):
        single.get(b"k", timeout=timeout)


def test_a_timeout_longer_than_any_clock_harms_nothing(single: Map) -> None:
    single.wait_ready(1e19)
    single.put(b"k", b"v", timeout=1e19)
    assert single.get(b"k", timeout=1e19) == b"v"


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda m: m.get(7), "argument 'key': .* not int"),
    (lambda m: m[7], "argument 'key': .* not int"),
    (lambda m: m.put(b"k", 7), "argument 'value': .* not int"),
    (lambda m: m.put(b"k", b"v", lease=7), "lease takes a lease or its id, not int"),
    (lambda m: m.scan(7), "argument 'prefix': .* not int"),
    (lambda m: m.scan(start=7), "argument 'start': .* not int"),
    (lambda m: m.scan(end=7), "argument 'end': .* not int"),
    (lambda m: m.page(after=7), "argument 'after': .* not int"),
    (lambda m: m.scan(limit="7"), "limit takes an int, not str"),
    (lambda m: m.scan(limit=True), "limit takes an int, not bool"),
    (lambda m: m.scan(reverse=1), "reverse takes a bool, not int"),
    (lambda m: m.page(keys_only=1), "keys_only takes a bool, not int"),
    (lambda m: m.watch(previous=1), "previous takes a bool, not int"),
    (lambda m: m.watch(resync=1), "resync takes a bool, not int"),
    (lambda m: m.watch(from_revision="1"), "from_revision takes an int, not str"),
    (lambda m: m.popitem(last=1), "last takes a bool, not int"),
    (lambda m: m.update({}, progress=7), r"progress takes an object with a method update\(n\)"),
    (lambda m: m.backup(7), "target takes a path or a file"),
    (lambda m: m.backup("x", progress=7), "progress takes"),
    (lambda m: m.wait_ready("7"), "timeout takes a number of seconds, not str"),
    (lambda m: m.get(b"k", timeout=True), "timeout takes a number of seconds, not bool"),
    (lambda m: m.promote(7), "name takes a str, not int"),
    (lambda m: m.transfer_leadership(7), "to takes a str, not int"),
    (lambda m: m.shrink("1"), "voters takes an int, not str"),
    (lambda m: m.txn(Compare.absent(b"k")), "compares takes a list of Compare, not Compare"),
    (lambda m: m.txn([Op.get(b"k")]), r"compares\[0\] takes a Compare, not Op"),
    (lambda m: m.txn(then=[Op.get(b"k"), 7]), r"then\[1\] takes a Op, not int"),
    (lambda m: m.batch(7), "then takes a list of Op, not int"),
    (lambda _: kvraft.ReplicatedMap(7, 7), "kvraft.open and kvraft.connect"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_a_wrong_type_is_a_type_error_that_names_the_parameter(
    single: Map, call: Callable[[Any], object], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        call(single)
    assert not single


def test_numbers_of_other_libraries_are_numbers(single: Map) -> None:
    class Number:
        def __index__(self) -> int:
            return 2

    two: Any = Number()
    assert single.increment(b"n", two) == 2
    assert single.page(limit=two).entries


def test_an_unknown_consistency_is_told_the_known_ones(single: Map) -> None:
    word: Any = "eventual"
    with pytest.raises(kvraft.InvalidArgumentError, match="linearizable"):
        single.get(b"k", consistency=word)


def test_the_status_has_the_documented_shape(single: Map) -> None:
    single.put(b"k", b"v")
    status = single.status()
    assert set(status) == set(kvraft.Status.__annotations__)
    assert (status["name"], status["leader"], status["role"]) == ("single", "single", "leader")
    assert (status["is_leader"], status["ready"], status["failure"]) == (True, True, None)
    assert (status["keys"], status["version"]) == (1, kvraft.__version__)
    (member,) = status["members"]
    assert single.members() == [member]
    assert set(member) == set(kvraft.MemberStatus.__annotations__)
    assert (member["name"], member["node_id"]) == ("single", status["node_id"])
    assert repr(single) == "<kvraft.ReplicatedMap 'single', leader, 1 keys>"


def test_a_closed_map_refuses_every_call_but_close(tmp_path: Path) -> None:
    opened = kvraft.open(tmp_path)
    scan = opened.scan()
    opened.close()
    opened.close()
    calls: list[Callable[[], object]] = [
        lambda: opened.get(b"k"),
        lambda: opened.put(b"k", b"v"),
        lambda: opened.delete(b"k"),
        opened.scan,
        lambda: opened.wait_ready(1),
    ]
    for call in calls:
        with pytest.raises(kvraft.ClosedError):
            call()
    assert opened.status()["role"] == "stopped"
    del scan


def test_closing_ends_the_waits_of_other_threads(tmp_path: Path) -> None:
    opened = kvraft.open(tmp_path)
    opened.put(b"k", b"v")
    with ThreadPoolExecutor(1) as pool:
        started = threading.Event()

        def wait_long() -> bytes | None:
            started.set()
            return opened.get(b"k", min_revision=FAR_AHEAD, timeout=PATIENCE)

        waiting = pool.submit(wait_long)
        assert started.wait(PATIENCE)
        opened.close()
        with pytest.raises(kvraft.ClosedError):
            waiting.result(PATIENCE)


def test_a_reopened_directory_holds_what_was_acknowledged(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as opened:
        revision = opened.put(b"k", b"v")
    with kvraft.open(tmp_path) as opened:
        entry = opened.get_entry(b"k")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"v", revision)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with kvraft.open(tmp_path), pytest.raises(kvraft.RefusedError, match=re.escape(str(tmp_path))):
        kvraft.open(tmp_path)


def test_the_metrics_have_the_documented_shape(single: Map) -> None:
    before = single.metrics()
    single.put(b"k", b"v")
    after = single.metrics()
    assert set(after) == set(kvraft.Metrics.__annotations__)
    for part in ("held", "watches", "proposals", "reads"):
        names = get_type_hints(kvraft.Metrics)[part].__annotations__
        assert set(after[part]) == set(names)
    assert after["log_entries"] > before["log_entries"]
    assert (after["held"]["keys"], after["held"]["key_bytes"]) == (1, 2)


def test_the_limits_of_the_cluster_are_told(tmp_path: Path) -> None:
    with kvraft.open(tmp_path, max_value_bytes=1000) as opened:
        opened.wait_ready(PATIENCE)
        assert opened.max_value_bytes == 1000
        assert opened.max_command_bytes == 8 << 20


def test_ctrl_c_interrupts_at_once_what_waits_for_ever(single: Map) -> None:
    def far(watch: kvraft.Watch[bytes, bytes]) -> list[Callable[[], object]]:
        return [
            lambda: next(watch),
            lambda: watch.next(PATIENCE),
            lambda: single.get(b"k", min_revision=FAR_AHEAD, timeout=PATIENCE),
            lambda: single.lock("held", timeout=PATIENCE),
            lambda: next(single.scan(min_revision=FAR_AHEAD, timeout=PATIENCE)),
        ]

    with single.lock("held"), single.watch() as watch:
        for wait in far(watch):
            with pytest.raises(KeyboardInterrupt):
                interrupted(wait, signal.SIGINT)
    assert single.try_lock("held") is not None, "the place in the queue was given back"
