"""Codecs: what keys and values are in Python, and which bytes they are in the map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from ._types import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._buffer import Buffer
    from ._rows import EntryRow

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@runtime_checkable
class Codec(Protocol[T]):
    """What turns objects into bytes and back: any object with these two methods.

    One for keys must give equal keys equal bytes, and keys are in the order of their bytes.
    If it has a method `encode_prefix` too, that is what `prefix=` goes through.
    """

    def encode(self, value: T, /) -> Buffer:
        """Return the bytes of `value`; `TypeError` or `ValueError` if it has none."""
        ...

    def decode(self, data: bytes, /) -> T:
        """Return the object that has these bytes; `ValueError` if none has."""
        ...


class Bytes:
    """Keys and values as they are: `bytes`, or anything with a buffer."""

    def encode(self, value: Buffer, /) -> Buffer:
        """Return `value` itself; `TypeError` if it has no buffer."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            raise TypeError(
                "keys and values are bytes here, not str; encode it, or open the map with "
                'codec="str"'
            )
        try:
            return memoryview(value)
        except TypeError:
            kind = type(value).__name__
            raise TypeError(
                f"keys and values are bytes or have a buffer of them, not {kind}"
            ) from None

    def decode(self, data: bytes, /) -> bytes:
        """Return `data` itself."""
        return data


class Str:
    """Text in UTF-8. The order of the bytes is that of the code points."""

    def encode(self, value: str, /) -> bytes:
        """Return the text in UTF-8."""
        if not isinstance(value, str):
            raise TypeError(f'codec="str" takes str, not {type(value).__name__}')
        return value.encode()

    def decode(self, data: bytes, /) -> str:
        """Return the text that `data` is."""
        return data.decode()


class Json:
    """JSON, in the form that has no spaces; also what a `TypedMap` of Rust stores."""

    def encode(self, value: Any, /) -> bytes:  # noqa: ANN401
        """Return `value` as JSON; `TypeError` for what JSON does not have, NaN included."""
        try:
            text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except ValueError as error:  # NaN, or a list that contains itself
            raise TypeError(f"JSON has no such value: {error}") from error
        return text.encode()

    def decode(self, data: bytes, /) -> Any:  # noqa: ANN401
        """Return what the JSON says."""
        return json.loads(data)

    def encode_prefix(self, prefix: str, /) -> bytes:
        """Return what the JSON of every text with this beginning begins with."""
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix of JSON keys is a str, not {type(prefix).__name__}")
        return self.encode(prefix)[:-1]


class Msgpack:
    """MessagePack, if the package `msgpack` is installed."""

    def __init__(self) -> None:
        try:
            self._msgpack: Any = import_module("msgpack")
        except ImportError as error:
            raise ImportError('codec="msgpack" needs the package msgpack') from error

    def encode(self, value: Any, /) -> bytes:  # noqa: ANN401
        """Return `value` as MessagePack."""
        packed: bytes = self._msgpack.packb(value)
        return packed

    def decode(self, data: bytes, /) -> Any:  # noqa: ANN401
        """Return what the MessagePack says."""
        return self._msgpack.unpackb(data)


_NAMED: dict[str, Callable[[], Codec[Any]]] = {
    "bytes": Bytes,
    "str": Str,
    "json": Json,
    "msgpack": Msgpack,
}
_KEYS_OF = {"json": "str", "msgpack": "str"}
"""The codec of the keys where one name stands for both: text keeps its order and its prefixes."""


def named(name: str) -> Codec[Any]:
    """Return the codec of a name."""
    if name not in _NAMED:
        raise ValueError(f"codec {name!r} is unknown; there are {', '.join(_NAMED)}")
    return _NAMED[name]()


def of(codec: object) -> Codecs[Any, Any]:
    """Return the codecs of keys and values that the argument `codec` of `open` names."""
    if codec is None:
        return Codecs(Bytes(), Bytes())
    if isinstance(codec, str):
        return Codecs(named(_KEYS_OF.get(codec, codec)), named(codec))
    if isinstance(codec, tuple) and len(codec) == 2:  # noqa: PLR2004
        keys, values = codec
        return Codecs(_one(keys), _one(values))
    one = _one(codec)
    return Codecs(one, one)


def _one(codec: object) -> Codec[Any]:
    if isinstance(codec, str):
        return named(codec)
    if isinstance(codec, Codec):
        return codec
    raise TypeError(
        "codec takes a name, an object with encode and decode, or a pair of them for keys and "
        f"values, not {type(codec).__name__}"
    )


@dataclass(frozen=True)
class Codecs(Generic[K, V]):
    """The codec of the keys and that of the values of one map."""

    keys: Codec[K]
    values: Codec[V]

    @property
    def plain(self) -> bool:
        """Whether keys and values are bytes as they are."""
        return isinstance(self.keys, Bytes) and isinstance(self.values, Bytes)

    def key(self, key: K, name: str = "key") -> Buffer:
        """Return the bytes of a key, which is an argument of that name."""
        return _encoded(name, self.keys.encode, key)

    def prefix(self, prefix: Any) -> Buffer:  # noqa: ANN401
        """Return the bytes that keys with this beginning begin with."""
        encode = getattr(self.keys, "encode_prefix", self.keys.encode)
        return _encoded("prefix", encode, prefix)

    def value(self, value: V, name: str = "value") -> Buffer:
        """Return the bytes of a value, which is an argument of that name."""
        return _encoded(name, self.values.encode, value)

    def key_of(self, data: bytes) -> K:
        """Return the key that has these bytes."""
        try:
            return self.keys.decode(data)
        except Exception as error:
            error.add_note(f"the bytes of this key are {data!r}")
            raise

    def value_of(self, data: bytes, key: object = None) -> V:
        """Return the value that has these bytes."""
        try:
            return self.values.decode(data)
        except Exception as error:
            where = "" if key is None else f" of {key!r}"
            error.add_note(f"the value{where} is not one of this map's codec")
            raise

    def entry(self, row: EntryRow) -> Entry[K, V]:
        """Return the entry of a row."""
        data, value, revision, created, lease = row
        key = self.key_of(data)
        return Entry(key, self.value_of(value, key), revision, created, lease)

    def maybe_entry(self, row: EntryRow | None) -> Entry[K, V] | None:
        """Return the entry of a row, if there is one."""
        return None if row is None else self.entry(row)

    def entries(self, rows: Sequence[EntryRow]) -> list[Entry[K, V]]:
        """Return the entries of rows."""
        return [self.entry(row) for row in rows]


def _encoded(name: str, encode: Callable[[T], Buffer], value: T) -> Buffer:
    try:
        return encode(value)
    except TypeError as error:
        raise TypeError(f"argument '{name}': {error}") from error
