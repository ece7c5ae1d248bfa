"""The map as a dictionary: what `dict` does, it does."""

import io
import pickle
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import kvraft

Words = kvraft.ReplicatedMap[str, Any]
ITEMS: dict[str, Any] = {"a/1": 1, "a/2": [2], "b/1": None}


def test_it_is_a_mutable_mapping_without_a_hash(words: Words) -> None:
    assert isinstance(words, MutableMapping)
    with pytest.raises(TypeError, match="unhashable"):
        hash(words)


def test_it_compares_with_dicts_and_maps_by_its_items(words: Words) -> None:
    assert words == {}
    assert not words
    words.update(ITEMS)
    assert words == ITEMS
    assert words == words.copy()
    assert words != {"a/1": 1}
    assert words


def test_it_iterates_in_the_order_of_its_keys(words: Words) -> None:
    words.update(reversed(ITEMS.items()))
    assert list(words) == list(ITEMS)
    assert list(reversed(words)) == list(reversed(ITEMS))
    assert dict(words) == ITEMS
    assert len(words) == len(ITEMS)


def test_an_iteration_sees_one_moment(words: Words) -> None:
    words.update(ITEMS)
    seen = []
    for key in words:
        words[f"{key}/more"] = 0
        seen.append(key)
    assert seen == list(ITEMS)


def test_views_follow_the_map_and_may_have_a_prefix(words: Words) -> None:
    values, items = words.values("a/"), words.items("a/")
    keys: Any = words.keys()
    assert (len(keys), len(values), len(items)) == (0, 0, 0)
    words.update(ITEMS)
    assert keys == set(ITEMS)
    assert keys & {"a/1", "x"} == {"a/1"}
    assert not words.keys("a/") ^ {"a/1", "a/2"}
    assert list(reversed(words.keys("a/"))) == ["a/2", "a/1"]
    assert list(values) == [1, [2]]
    assert list(reversed(values)) == [[2], 1]
    assert list(items) == [("a/1", 1), ("a/2", [2])]
    assert list(reversed(items)) == [("a/2", [2]), ("a/1", 1)]
    assert (len(keys), len(values), len(items)) == (3, 2, 2)
    assert "a/1" in keys
    assert "b/1" not in words.keys("a/")
    assert [2] in values
    assert None not in values
    assert ("a/1", 1) in items
    assert ("b/1", None) in words.items()
    for other in [("b/1", None), ("a/1", 2), ("x", 1), "a/1"]:
        assert other not in items
    assert repr(items).endswith(".mapitems(prefix='a/')")


def test_pop_takes_a_value_or_gives_the_default(words: Words) -> None:
    words.update(ITEMS)
    assert words.pop("a/2") == [2]
    assert words.pop("b/1", "default") is None
    assert words.pop("b/1", "default") == "default"
    with pytest.raises(KeyError, match="b/1"):
        words.pop("b/1")
    assert words == {"a/1": 1}


def test_popitem_takes_the_last_or_the_first_until_none_is_left(words: Words) -> None:
    words.update(ITEMS)
    assert words.popitem() == ("b/1", None)
    assert words.popitem(last=False) == ("a/1", 1)
    assert words.popitem() == ("a/2", [2])
    with pytest.raises(KeyError, match="empty"):
        words.popitem()


def test_each_of_many_threads_pops_other_items(words: Words) -> None:
    words.update((f"{number:03}", number) for number in range(60))
    with ThreadPoolExecutor(8) as pool:
        popped = list(pool.map(lambda _: words.popitem(last=False)[1], range(60)))
    assert sorted(popped) == list(range(60))
    assert not words


def test_popitem_leaves_what_the_codec_cannot_read(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as opened:
        opened[b"k"] = b"no JSON"
    with kvraft.open(tmp_path, codec="json") as opened_as_json:
        with pytest.raises(ValueError, match="Expecting value"):
            opened_as_json.popitem()
        assert len(opened_as_json) == 1


def test_setdefault_keeps_what_is_there(words: Words) -> None:
    assert words.setdefault("k", [1]) == [1]
    assert words.setdefault("k", [2]) == [1]
    assert words.setdefault("none") is None
    assert words == {"k": [1], "none": None}


def test_of_many_threads_one_sets_the_default(words: Words) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda number: words.setdefault("k", number), range(32)))
    assert got == {words["k"]}


def test_update_takes_what_dict_takes(words: Words) -> None:
    class Odd:
        def keys(self) -> Iterator[str]:
            return iter(["odd"])

        def __getitem__(self, key: str) -> str:
            return key + "!"

    odd: Any = Odd()
    words.update({"a": 1}, b=2)
    words.update([("c", 3), ("a", 4)])
    words.update(odd)
    words.update()
    words |= {"d": 5}
    assert words == {"a": 4, "b": 2, "c": 3, "d": 5, "odd": "odd!"}
    assert words | {"a": 0} == {**words, "a": 0}
    assert {"a": 0, "z": 1} | words == {"z": 1, **words}


def test_an_update_of_up_to_1024_items_has_one_revision(words: Words) -> None:
    words.update((f"{number:05}", number) for number in range(1024))
    assert len({entry.revision for entry in words.scan()}) == 1


def test_a_bulk_update_reads_what_it_needs_and_tells_how_far_it_is(words: Words) -> None:
    class Bar:
        def __init__(self) -> None:
            self.steps: list[int] = []

        def update(self, n: int) -> None:
            self.steps.append(n)

    bar = Bar()
    words.update(((f"{number:05}", number) for number in range(2500)), progress=bar)
    assert bar.steps == [1024, 1024, 452]
    assert len(words) == 2500
    assert words["02499"] == 2499


def test_a_bar_of_tqdm_follows_an_update_and_a_backup(words: Words, tmp_path: Path) -> None:
    tqdm: Any = pytest.importorskip("tqdm")
    with tqdm.tqdm(total=2000, file=io.StringIO()) as bar:
        words.update(((f"{number:05}", number) for number in range(2000)), progress=bar)
        assert bar.n == bar.total
    with tqdm.tqdm(unit="B", unit_scale=True, file=io.StringIO()) as bar:
        words.backup(tmp_path / "kept", progress=bar)
        assert bar.n == (tmp_path / "kept").stat().st_size


def test_an_update_takes_what_memory_held_when_it_was_given(tmp_path: Path) -> None:
    memory = bytearray(1)

    def numbers() -> Iterator[tuple[bytes, Any]]:
        for number in range(3):
            memory[0] = number
            yield b"%d" % number, memory

    with kvraft.open(tmp_path) as opened:
        opened.update(numbers())
        assert [*opened.values()] == [b"\0", b"\1", b"\2"]


def test_large_items_are_split_by_their_bytes(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as opened:
        opened.update({b"%d" % number: bytes(3 << 20) for number in range(5)})
        assert [len(value) for value in opened.values()] == [3 << 20] * 5


def test_the_later_of_two_items_with_one_key_counts(words: Words) -> None:
    words.update([("k", 1), ("other", 0), ("k", 2)])
    assert words["k"] == 2


def test_clear_takes_everything_away_at_once(words: Words) -> None:
    words.update(ITEMS)
    words.clear()
    assert (len(words), list(words)) == (0, [])


def test_pickling_is_refused_with_a_reason(words: Words) -> None:
    with pytest.raises(TypeError, match="connect"):
        pickle.dumps(words)


# Not `test_values` and `test_items`: they want views without a prefix.
CPYTHON = [
    "test_read",
    "test_write",
    "test_constructor",
    "test_bool",
    "test_keys",
    "test_len",
    "test_getitem",
    "test_update",
    "test_get",
    "test_setdefault",
    "test_popitem",
    "test_pop",
]


@pytest.mark.parametrize("name", CPYTHON)
def test_it_passes_the_tests_of_cpython_for_mappings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter's own suite makes many small maps: each is the one map, emptied."""
    suite: Any = pytest.importorskip("test.mapping_tests")
    with kvraft.open(tmp_path, codec=(Repr(), Repr())) as opened:

        class Emptied:
            def __new__(cls, *args: Any, **keywords: Any) -> Any:
                opened.clear()
                opened.update(*args, **keywords)
                return opened

        tests: Any = suite.BasicTestMappingProtocol(name)
        monkeypatch.setattr(tests, "type2test", Emptied)
        monkeypatch.setattr(tests, "_reference", lambda: {"1": "2", "key1": "value1", "k": (1, 2)})
        run: Callable[[], object] = getattr(tests, name)
        run()


class Repr:
    """Any literal of Python, as its text."""

    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes) -> Any:
        import ast  # noqa: PLC0415

        return ast.literal_eval(data.decode())
