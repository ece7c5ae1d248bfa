"""Writes under conditions, transactions, counters, request ids."""

from collections.abc import Callable
from typing import Any

import pytest

import kvraft
from kvraft import Compare, Op

Map = kvraft.ReplicatedMap[bytes, bytes]


def test_a_put_under_a_condition_is_a_conflict_if_it_does_not_hold(single: Map) -> None:
    first = single.put(b"k", b"1", if_absent=True)
    for condition in [{"if_absent": True}, {"if_revision": first + 1}, {"if_value": b"2"}]:
        options: Any = condition
        with pytest.raises(kvraft.ConflictError) as caught:
            single.put(b"k", b"x", **options)
        assert caught.value.revision == first
    second = single.put(b"k", b"2", if_revision=first)
    third = single.put(b"k", b"3", if_value=b"2")
    assert first < second < third < single.put(b"k", b"4", if_present=True)
    with pytest.raises(kvraft.ConflictError):
        single.put(b"absent", b"x", if_present=True)
    assert single.put(b"absent", b"x", if_revision=0) > 0
    assert single[b"k"] == b"4"


def test_a_false_flag_and_none_are_no_option(single: Map) -> None:
    single.put(b"k", b"v", if_absent=False, if_revision=None, ttl=None, lease=None, timeout=None)
    single.put(b"k", b"w", if_present=True, if_absent=False)


def test_a_write_has_one_condition(single: Map) -> None:
    with pytest.raises(kvraft.InvalidArgumentError, match="one condition"):
        single.put(b"k", b"v", if_absent=True, if_revision=0)


def test_the_long_forms_tell_what_was_there_before(single: Map) -> None:
    first = single.put_with(b"k", b"1")
    assert (first.replaced, first.previous) == (False, None)
    second = single.put_with(b"k", b"2", previous=True)
    assert second.replaced
    assert second.previous is not None
    assert (second.previous.value, second.previous.revision) == (b"1", first.revision)
    gone = single.delete_with(b"k", previous=True)
    assert gone.existed
    assert gone.previous is not None
    assert gone.previous.value == b"2"
    assert single.delete_with(b"k") == (single.status()["revision"], False, None)


def test_a_delete_has_conditions_too(single: Map) -> None:
    revision = single.put(b"k", b"v")
    with pytest.raises(kvraft.ConflictError):
        single.delete(b"k", if_revision=revision - 1)
    assert single.delete(b"k", if_revision=revision)


def test_a_counter_counts(single: Map) -> None:
    assert single.increment(b"n") == 1
    assert single.increment(b"n", 41) == 42
    counted = single.increment_with(b"n", -2)
    assert (counted.value, counted.revision) == (40, single.status()["revision"])
    assert single[b"n"] == b"40"
    single.put(b"text", b"x")
    calls: list[Callable[[], object]] = [
        lambda: single.increment(b"text"),
        lambda: single.increment(b"n", (1 << 63) - 1),
        lambda: single.increment(b"n", 1 << 63),
    ]
    for call in calls:
        with pytest.raises(kvraft.InvalidArgumentError):
            call()


def test_a_range_is_deleted_and_counted(single: Map) -> None:
    single.update({b"a/1": b"", b"a/2": b"", b"a/3": b"", b"b/1": b""})
    assert (single.count(), single.count(b"a/"), single.count(start=b"a/2", end=b"b")) == (4, 3, 2)
    assert single.delete_range(b"a/", start=b"a/2").deleted == 2
    assert list(single) == [b"a/1", b"b/1"]


def test_a_page_says_whether_there_is_more(single: Map) -> None:
    single.update({b"a/1": b"1", b"a/2": b"2", b"a/3": b"3"})
    first = single.page(b"a/", limit=2)
    assert ([entry.key for entry in first.entries], first.more) == ([b"a/1", b"a/2"], True)
    assert first.revision == single.status()["revision"]
    rest = single.page(b"a/", after=first.entries[-1].key, keys_only=True)
    assert [(entry.key, entry.value) for entry in rest.entries] == [(b"a/3", b"")]
    assert not rest.more


def test_a_transaction_does_one_branch_at_once(single: Map) -> None:
    single.put(b"from", b"10")
    done = single.txn(
        [Compare.value(b"from", "==", b"10"), Compare.absent(b"to"), Compare.present(b"from")],
        then=[
            Op.increment(b"from", -7),
            Op.increment(b"to", 7),
            Op.put(b"log", b"moved", previous=True),
            Op.get(b"absent"),
            Op.delete(b"nothing"),
        ],
        otherwise=[Op.get(b"from")],
    )
    assert done.succeeded
    assert done.results == [
        (done.revision, 3),
        (done.revision, 7),
        (done.revision, False, None),
        None,
        (done.revision, False, None),
    ]
    again = single.txn([Compare.revision(b"from", "<", done.revision)], otherwise=[Op.get(b"from")])
    assert not again.succeeded
    (found,) = again.results
    assert isinstance(found, kvraft.Entry)
    assert (found.value, found.revision) == (b"3", done.revision)


def test_a_batch_is_applied_at_once(single: Map) -> None:
    single.put(b"c", b"old")
    done = single.batch([Op.put(b"a", b"1"), Op.put(b"b", b"2"), Op.delete(b"c", previous=True)])
    assert [type(result) for result in done.results] == [kvraft.Put, kvraft.Put, kvraft.Deleted]
    assert {entry.revision for entry in single.scan()} == {done.revision}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.txn([Compare("value", b"k", "~", b"v")]), "take one of"),  # type: ignore[arg-type]
        (lambda m: m.batch([Op.put(b"k", b"1"), Op.delete(b"k")]), r"then\[1\]"),
        (lambda m: m.batch([Op.get(b"")]), r"then\[0\]"),
        (lambda m: m.batch([Op.get(b"%d" % n) for n in range(1025)]), "1024"),
    ],
)
def test_a_wrong_transaction_says_where(
    single: Map, call: Callable[[Map], object], said: str
) -> None:
    with pytest.raises(kvraft.InvalidArgumentError, match=said):
        call(single)


def test_a_request_id_applies_a_write_once(single: Map) -> None:
    first = single.increment(b"n", request_id="5f2c")
    assert single.increment(b"n", request_id=b"5f2c") == first
    assert single.increment(b"n", request_id="5f2c", principal="another") == first + 1
    with pytest.raises(kvraft.InvalidArgumentError):
        single.put(b"n", b"1", request_id="5f2c")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"if_revision": "1"}, TypeError, "if_revision takes an int, not str"),
        ({"if_revision": True}, TypeError, "if_revision takes an int, not bool"),
        ({"if_revision": -1}, kvraft.InvalidArgumentError, "if_revision is -1"),
        ({"if_absent": 1}, TypeError, "if_absent takes a bool, not int"),
        ({"if_value": 7}, TypeError, "argument 'if_value'"),
        ({"ttl": "1"}, TypeError, "ttl takes a number of seconds"),
        ({"ttl": 0.001}, kvraft.InvalidArgumentError, "100 ms"),
        ({"lease": "x"}, kvraft.InvalidArgumentError, "lease id"),
        ({"lease": "00000000000000ff"}, kvraft.ExpiredError, "lease"),
        ({"request_id": 7}, TypeError, "argument 'request_id'"),
        ({"request_id": ""}, kvraft.InvalidArgumentError, "request id"),
        ({"timeout": None, "time_out": 1}, TypeError, r"put\(\) got .*'time_out'"),
    ],
)
def test_a_wrong_option_is_named(
    single: Map, options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        single.put(b"k", b"v", **options)
    assert b"k" not in single
