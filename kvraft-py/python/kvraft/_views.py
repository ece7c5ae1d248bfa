"""Views of a map: its keys, values and items, or those with a prefix."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ._map import ReplicatedMap

K = TypeVar("K")
V = TypeVar("V")


class _Part(Generic[K, V]):
    """The part of a map whose keys begin with a prefix; each question is asked anew."""

    __slots__ = ()
    _mapping: ReplicatedMap[K, V]
    _prefix: K | None

    def __len__(self) -> int:
        return self._mapping.count(self._prefix)

    def _has(self, key: Any) -> bool:  # noqa: ANN401
        if self._prefix is None:
            return True
        codecs = self._mapping._calls.codecs  # noqa: SLF001
        return bytes(codecs.key(key)).startswith(bytes(codecs.prefix(self._prefix)))

    def __repr__(self) -> str:
        prefix = "" if self._prefix is None else f"prefix={self._prefix!r}"
        return f"{self._mapping!r}.{type(self).__name__.removesuffix('View').lower()}({prefix})"


class MapKeysView(_Part[K, V], KeysView[K]):
    """The keys of a map; a set that follows it."""

    __slots__ = ("_prefix",)

    def __init__(self, mapping: ReplicatedMap[K, V], prefix: K | None) -> None:
        self._mapping = mapping
        self._prefix = prefix

    def __contains__(self, key: object) -> bool:
        return self._has(key) and key in self._mapping

    def __iter__(self) -> Iterator[K]:
        return (entry.key for entry in self._mapping.scan(self._prefix, keys_only=True))

    def __reversed__(self) -> Iterator[K]:
        scan = self._mapping.scan(self._prefix, keys_only=True, reverse=True)
        return (entry.key for entry in scan)


class MapValuesView(_Part[K, V], ValuesView[V]):
    """The values of a map, in the order of its keys."""

    __slots__ = ("_prefix",)

    def __init__(self, mapping: ReplicatedMap[K, V], prefix: K | None) -> None:
        self._mapping = mapping
        self._prefix = prefix

    def __contains__(self, value: object) -> bool:
        return any(value == one for one in self)

    def __iter__(self) -> Iterator[V]:
        return (entry.value for entry in self._mapping.scan(self._prefix))

    def __reversed__(self) -> Iterator[V]:
        return (entry.value for entry in self._mapping.scan(self._prefix, reverse=True))


class MapItemsView(_Part[K, V], ItemsView[K, V]):
    """The items of a map; a set that follows it."""

    __slots__ = ("_prefix",)

    def __init__(self, mapping: ReplicatedMap[K, V], prefix: K | None) -> None:
        self._mapping = mapping
        self._prefix = prefix

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:  # noqa: PLR2004
            return False
        key, value = item
        found = self._mapping.get_entry(key) if self._has(key) else None
        return found is not None and bool(found.value == value)

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return ((entry.key, entry.value) for entry in self._mapping.scan(self._prefix))

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        scan = self._mapping.scan(self._prefix, reverse=True)
        return ((entry.key, entry.value) for entry in scan)
