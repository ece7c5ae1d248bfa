"""Codecs: what keys and values are in Python."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import pytest

import kvraft

if TYPE_CHECKING:
    from collections.abc import Callable


class Number:
    """Whole numbers in the order of their size."""

    def encode(self, value: int) -> bytes:
        return value.to_bytes(8, "big")

    def decode(self, data: bytes) -> int:
        return int.from_bytes(data, "big")


def test_text_is_stored_as_utf_8(tmp_path: Path) -> None:
    with kvraft.open(tmp_path, codec="str") as opened:
        opened["schlüssel"] = "größe"
        assert opened["schlüssel"] == "größe"
        assert opened.get("absent", "default") == "default"
        assert list(opened.items("schl")) == [("schlüssel", "größe")]
    with kvraft.open(tmp_path) as opened_as_bytes:
        assert opened_as_bytes["schlüssel".encode()] == "größe".encode()


def test_json_has_text_for_keys_and_any_value(tmp_path: Path) -> None:
    value = {"list": [1, 2.5, None, True], "text": "ü"}
    with kvraft.open(tmp_path, codec="json") as opened:
        opened["k"] = value
        assert opened["k"] == value
        opened["null"] = None
        assert (opened["null"], opened.get("absent", 1)) == (None, 1)
    with kvraft.open(tmp_path) as opened_as_bytes:
        assert json.loads(opened_as_bytes[b"k"]) == value


def test_json_keys_are_those_of_a_typed_map_of_rust(tmp_path: Path) -> None:
    with kvraft.open(tmp_path, codec=("json", "json")) as opened:
        opened.update({"http": 80, "https": 443})
        opened["ftp"] = 21
        assert list(opened.keys("http")) == ["http", "https"]
        with pytest.raises(TypeError, match="prefix"):
            list(opened.keys(7))
    with kvraft.open(tmp_path) as opened_as_bytes:
        assert opened_as_bytes[b'"http"'] == b"80"


def test_the_types_of_a_map_are_those_of_its_codec(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as plain:
        assert_type(plain, kvraft.ReplicatedMap[bytes, bytes])
        assert_type(plain.get(b"k"), bytes | None)
    with kvraft.open(tmp_path, codec="str") as texts:
        assert_type(texts, kvraft.ReplicatedMap[str, str])
    with kvraft.open(tmp_path, codec=("str", Number())) as numbers:
        assert_type(numbers, kvraft.ReplicatedMap[str, int])
        numbers["k"] = 7
        assert_type(numbers.pop("k"), int)
    with kvraft.open(tmp_path, codec=Number()) as both:
        assert_type(both, kvraft.ReplicatedMap[int, int])
    annotated: kvraft.ReplicatedMap[str, dict[str, int]] = kvraft.open(tmp_path, codec="json")
    with annotated:
        annotated["k"] = {"n": 1}
        assert_type(annotated["k"], dict[str, int])


def test_message_pack_is_there_if_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("msgpack")
    with kvraft.open(tmp_path, codec="msgpack") as opened:
        opened["k"] = [1, b"\xff"]
        assert opened["k"] == [1, b"\xff"]


def test_any_object_that_encodes_and_decodes_is_a_codec(tmp_path: Path) -> None:
    with kvraft.open(tmp_path, codec=(Number(), "str")) as opened:
        opened.update({300: "later", 2: "first"})
        assert list(opened.items()) == [(2, "first"), (300, "later")]
        entry = opened.get_entry(2)
        assert entry is not None
        assert (entry.key, entry.value) == (2, "first")
    with kvraft.open(tmp_path, codec=Number()) as both:
        both[1] = 1
        assert both.pop(1) == 1


@pytest.mark.parametrize(
    ("codec", "error", "said"),
    [
        ("pickle", ValueError, "bytes, str, json, msgpack"),
        (7, TypeError, "codec takes a name"),
        (("str", 7), TypeError, "codec takes a name"),
        (("str", "str", "str"), TypeError, "codec takes a name"),
    ],
)
def test_what_is_no_codec_is_refused(
    tmp_path: Path, codec: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        kvraft.open(tmp_path, codec=codec)


def test_a_str_without_a_codec_is_told_of_the_codec(tmp_path: Path) -> None:
    text: Any = "k"
    with kvraft.open(tmp_path) as opened:
        calls: list[Callable[[], object]] = [
            lambda: opened.get(text),
            lambda: opened[text],
            lambda: text in opened,
            lambda: opened.put(text, b"v"),
            lambda: opened.put(b"k", text),
            lambda: opened.put(b"k", b"v", if_value=text),
            lambda: opened.delete(text),
            lambda: opened.pop(text),
            lambda: opened.scan(text),
            lambda: opened.txn(then=[kvraft.Op.put(b"k", text)]),
            lambda: opened.update({text: b"v"}),
        ]
        for call in calls:
            with pytest.raises(TypeError, match='codec="str"'):
                call()


@pytest.mark.parametrize("wrong", [7, b"bytes", None])
def test_what_is_no_str_is_told_so_with_its_parameter(tmp_path: Path, wrong: Any) -> None:
    with kvraft.open(tmp_path, codec="str") as opened:
        with pytest.raises(TypeError, match=r"argument 'key'.*takes str, not"):
            opened.put(wrong, "v")
        with pytest.raises(TypeError, match=r"argument 'value'.*takes str, not"):
            opened.put("k", wrong)
        with pytest.raises(TypeError, match="argument 'key'"):
            opened.get(wrong)


@pytest.mark.parametrize("wrong", [float("nan"), object(), {1, 2}])
def test_what_json_does_not_have_is_a_type_error(tmp_path: Path, wrong: Any) -> None:
    with kvraft.open(tmp_path, codec="json") as opened, pytest.raises(TypeError, match="value"):
        opened["k"] = wrong


def test_bytes_that_are_not_of_the_codec_say_whose_they_are(tmp_path: Path) -> None:
    with kvraft.open(tmp_path) as opened:
        opened[b"k"] = b"\xff"
        opened[b"\xff"] = b"{}"
    with kvraft.open(tmp_path, codec="json") as opened_as_json:
        with pytest.raises(ValueError, match="utf-8") as caught:
            opened_as_json["k"]
        assert "'k'" in caught.value.__notes__[0]
        with pytest.raises(UnicodeDecodeError) as of_key:
            list(opened_as_json)
        assert r"b'\xff'" in of_key.value.__notes__[0]
