"""What the verbs of a map answer with."""

from types import GenericAlias
from typing import Generic, NamedTuple, TypeAlias, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Entry(NamedTuple, Generic[K, V]):
    """A key with its value and its history."""

    key: K
    """Unique in the map."""
    value: V
    """Empty in a scan of keys only."""
    revision: int
    """The revision of the last change."""
    created: int
    """The revision at which the key was created; a delete ends its life."""
    lease: str | None
    """The id of the lease that the entry ends with; a put with a time to live has its own."""


class Put(NamedTuple, Generic[K, V]):
    """What a put did."""

    revision: int
    """The revision of the entry now."""
    replaced: bool
    """Whether the key had a value before."""
    previous: Entry[K, V] | None
    """The entry before, if it was asked for and there was one."""


class Deleted(NamedTuple, Generic[K, V]):
    """What a delete did."""

    revision: int
    """The revision of the deletion."""
    existed: bool
    """Whether the key had a value before."""
    previous: Entry[K, V] | None
    """The entry before, if it was asked for and there was one."""


class Incremented(NamedTuple):
    """What an increment did."""

    revision: int
    """The revision of the counter now."""
    value: int
    """Its number now."""


class RangeDeleted(NamedTuple):
    """What the removal of a range did."""

    revision: int
    """The revision of the removal."""
    deleted: int
    """How many keys were in the range."""


class Page(NamedTuple, Generic[K, V]):
    """A part of a scan that is consistent in itself."""

    entries: list[Entry[K, V]]
    """In the order of the scan, all of one moment."""
    more: bool
    """Whether the range holds more: go on with `after=` the last key."""
    revision: int
    """The last revision that this node had applied at that moment."""


class TxnResult(NamedTuple, Generic[K, V]):
    """What a transaction did."""

    revision: int
    """The revision of every change in it."""
    succeeded: bool
    """Whether all comparisons held."""
    results: list["OpResult[K, V]"]
    """What each operation of the branch that ran did, in its order."""


class LeaseInfo(NamedTuple, Generic[K]):
    """What the cluster knows of a lease."""

    id: str
    """16 hexadecimal digits."""
    ttl: float
    """The seconds that it was granted for, and gets anew with every keep-alive."""
    remaining: float
    """How many of them are left."""
    keys: list[K]
    """The keys that end with it, in order."""


class Change(NamedTuple, Generic[K, V]):
    """What became of one key."""

    key: K
    """Which key it is."""
    entry: Entry[K, V] | None
    """The entry now; `None` if the key was deleted, or ended with its lease."""
    previous: Entry[K, V] | None
    """The entry before, if it was asked for and there was one."""


class Changes(NamedTuple, Generic[K, V]):
    """An event of a watch: all changes of one revision in the watched range."""

    revision: int
    """Larger than that of any event before."""
    changes: list[Change[K, V]]
    """Each key at most once."""


class SnapshotBegin(NamedTuple):
    """An event of a watch: all entries follow as they stood; forget what was told before."""

    revision: int
    """The revision of the snapshot."""


class SnapshotEntries(NamedTuple, Generic[K, V]):
    """An event of a watch: some entries of the snapshot, in the order of their keys."""

    entries: list[Entry[K, V]]
    """The next ones."""


class SnapshotEnd(NamedTuple):
    """An event of a watch: the snapshot is complete; changes after its revision follow."""

    revision: int
    """The revision of the snapshot."""


# A type says what its parameters are as `tuple` does: what `typing` makes of both is neither.
_GENERIC = (Entry, Put, Deleted, Page, TxnResult, LeaseInfo, Change, Changes, SnapshotEntries)
for _type in _GENERIC:
    setattr(_type, "__class_getitem__", classmethod(GenericAlias))  # noqa: B010

OpResult: TypeAlias = Entry[K, V] | Put[K, V] | Deleted[K, V] | Incremented | None
"""What one operation of a transaction did: the entry that a get found, or what a write did."""

WatchEvent: TypeAlias = Changes[K, V] | SnapshotBegin | SnapshotEntries[K, V] | SnapshotEnd
"""What a watch tells; take it apart with `match`."""
