"""Calls: each verb of a map as something that a thread waits for and a task awaits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from . import _kvraft
from ._errors import ConflictError, OverloadedError
from ._txn import Compare, Op
from ._types import (
    Change,
    Changes,
    Deleted,
    Incremented,
    LeaseInfo,
    OpResult,
    Page,
    Put,
    RangeDeleted,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotEntries,
    TxnResult,
    WatchEvent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._buffer import Buffer
    from ._codecs import Codecs
    from ._kvraft import Call
    from ._options import AnyLease
    from ._progress import Progress
    from ._rows import (
        ChangeRow,
        CompareRow,
        EntryRow,
        EventRow,
        OpResultRow,
        OpRow,
        PutRow,
        Shape,
        Span,
    )
    from ._types import Entry

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

Steps: TypeAlias = Generator["Call[Any] | Callable[[], Any]", Any, T]
"""Several calls one after another, and work between them that may block: each step is sent back
its answer."""

OPS_AT_ONCE = 1024
"""The most operations of one transaction."""
OP_BYTES = 64
"""What an operation adds to a command at most, beyond its key and value."""
POP_ATTEMPTS = 1000
"""How often `popitem` looks for an entry that nobody else takes: each failure is another's pop."""


class Calls(Generic[K, V]):
    """Encodes what it is given, asks the core, decodes what it answers."""

    __slots__ = ("codecs", "native")

    def __init__(self, native: _kvraft.Map, codecs: Codecs[K, V]) -> None:
        self.native = native
        self.codecs = codecs

    def get_entry(self, key: K, options: Mapping[str, Any]) -> Call[Entry[K, V] | None]:
        call = _kvraft.get(self.native, self.codecs.key(key), **options)
        return call.then(self.codecs.maybe_entry)

    def put(self, key: K, value: V, options: Mapping[str, Any]) -> Call[Put[K, V]]:
        key_bytes, value_bytes = self.codecs.key(key), self.codecs.value(value)
        call = _kvraft.put(self.native, key_bytes, value_bytes, **self._write(options))
        return call.then(self._put)

    def delete(self, key: K, options: Mapping[str, Any]) -> Call[Deleted[K, V]]:
        call = _kvraft.delete(self.native, self.codecs.key(key), **self._write(options))
        return call.then(self._deleted)

    def increment(self, key: K, delta: int, options: Mapping[str, Any]) -> Call[Incremented]:
        key_bytes = self.codecs.key(key)
        call = _kvraft.increment(self.native, key_bytes, delta, **self._write(options))
        return call.then(Incremented._make)

    def delete_range(self, span: Span, options: Mapping[str, Any]) -> Call[RangeDeleted]:
        return _kvraft.delete_range(self.native, span, **options).then(RangeDeleted._make)

    def txn(
        self,
        compares: Iterable[Compare[K, V]],
        then: Iterable[Op[K, V]],
        otherwise: Iterable[Op[K, V]],
        options: Mapping[str, Any],
    ) -> Call[TxnResult[K, V]]:
        compares_rows = [self._compare(compare) for compare in each("compares", Compare, compares)]
        then_rows = [self._op(op) for op in each("then", Op, then)]
        otherwise_rows = [self._op(op) for op in each("otherwise", Op, otherwise)]
        call = _kvraft.txn(self.native, compares_rows, then_rows, otherwise_rows, **options)
        return call.then(self._txn_result)

    def count(self, span: Span, options: Mapping[str, Any]) -> Call[int]:
        return _kvraft.count(self.native, span, **options)

    def page(self, span: Span, shape: Shape, options: Mapping[str, Any]) -> Call[Page[K, V]]:
        call = _kvraft.page(self.native, span, shape, **options)
        decode = self._keys_only if shape[2] else self.codecs.entries
        return call.then(lambda page: Page(decode(page[0]), page[1], page[2]))

    def scan(
        self, span: Span, shape: Shape, options: Mapping[str, Any]
    ) -> Call[_kvraft.Flow[EntryRow]]:
        return _kvraft.scan(self.native, span, shape, **options)

    def lease_info(self, lease: AnyLease, options: Mapping[str, Any]) -> Call[LeaseInfo[K]]:
        call = _kvraft.lease_info(self.native, lease_id(lease), **options)
        return call.then(
            lambda row: LeaseInfo(row[0], row[1], row[2], [*map(self.codecs.key_of, row[3])])
        )

    def setdefault(self, key: K, default: V, options: Mapping[str, Any]) -> Call[V]:
        """Read a key, or give it a value if it has none: one command."""
        key_bytes, value_bytes = self.codecs.key(key), self.codecs.value(default)
        compare: CompareRow = ("absent", key_bytes, "==", None)
        put: OpRow = ("put", key_bytes, value_bytes, False, None, None)
        get: OpRow = ("get", key_bytes, None, False, None, None)

        def value(row: tuple[int, bool, list[OpResultRow]]) -> V:
            _revision, was_absent, (result,) = row
            return default if was_absent else self.codecs.value_of(result[1][1], key)

        return _kvraft.txn(self.native, [compare], [put], [get], **options).then(value)

    def popitem(self, last: bool) -> Steps[tuple[K, V]]:  # noqa: FBT001
        """Take the last entry away, or the first, unless another is faster: then the next."""
        if not isinstance(last, bool):
            raise TypeError(f"last takes a bool, not {type(last).__name__}")
        shape = (1, last, False)
        for _attempt in range(POP_ATTEMPTS):
            # Whatever the map's own consistency is: an old view shows what others took.
            page = _kvraft.page(self.native, ALL, shape, consistency="linearizable")
            entries, _more, _revision = yield page
            if not entries:
                raise KeyError("popitem(): the map is empty")
            # What cannot be decoded stays.
            entry = self.codecs.entry(entries[0])
            try:
                yield _kvraft.delete(self.native, entries[0][0], if_revision=entry.revision)
            except ConflictError:
                continue
            return entry.key, entry.value
        raise OverloadedError(f"{POP_ATTEMPTS} entries were taken or changed by others meanwhile")

    def update(
        self, items: Iterable[tuple[K, V]], progress: Progress | None, options: Mapping[str, Any]
    ) -> Steps[None]:
        """Put the items, as many as fit into one command at a time."""
        check_progress(progress)
        limit = self.native.max_command_bytes() - 4096
        batch: dict[bytes, OpRow] = {}
        size = 0
        for key, value in items:
            # As they are now: who gives them may fill the same memory with the next ones.
            key_bytes, value_bytes = kept(self.codecs.key(key)), kept(self.codecs.value(value))
            added = len(key_bytes) + len(value_bytes) + OP_BYTES
            if batch and (len(batch) >= OPS_AT_ONCE or size + added > limit):
                yield from self._put_all(batch, progress, options)
                batch, size = {}, 0
            batch[key_bytes] = ("put", key_bytes, value_bytes, False, None, None)
            size += added
        if batch:
            yield from self._put_all(batch, progress, options)

    def _put_all(
        self,
        batch: dict[bytes, OpRow],
        progress: Progress | None,
        options: Mapping[str, Any],
    ) -> Steps[None]:
        yield _kvraft.txn(self.native, [], [*batch.values()], [], **options)
        if progress is not None:
            progress.update(len(batch))

    def event(self, row: EventRow) -> WatchEvent[K, V]:
        """Return the event of a row."""
        if row[0] == "changes":
            return Changes(row[1], [self._change(change) for change in row[2]])
        if row[0] == "entries":
            return SnapshotEntries(self.codecs.entries(row[1]))
        return SnapshotBegin(row[1]) if row[0] == "begin" else SnapshotEnd(row[1])

    def span(
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        after: K | None = None,
        end: K | None = None,
        key: K | None = None,
    ) -> Span:
        """Return the bytes of the ends of a range."""
        codecs = self.codecs
        return (
            None if key is None else codecs.key(key),
            None if prefix is None else codecs.prefix(prefix),
            None if start is None else codecs.key(start, "start"),
            None if after is None else codecs.key(after, "after"),
            None if end is None else codecs.key(end, "end"),
        )

    def _keys_only(self, rows: Sequence[EntryRow]) -> list[Any]:
        return [self.key_only(row) for row in rows]

    def key_only(self, row: EntryRow) -> Any:  # noqa: ANN401
        """Return the entry of a row without a value, whose codec knows nothing of no bytes."""
        from ._types import Entry  # noqa: PLC0415

        return Entry(self.codecs.key_of(row[0]), row[1], *row[2:])

    def _write(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        if not options:
            return options
        options = dict(options)
        if options.get("if_value") is not None:
            options["if_value"] = self.codecs.value(options["if_value"], "if_value")
        if options.get("lease") is not None:
            options["lease"] = lease_id(options["lease"])
        return options

    def _compare(self, compare: Compare[K, V]) -> CompareRow:
        operand = compare.operand
        if compare.kind == "value":
            operand = self.codecs.value(operand)
        return (compare.kind, self.codecs.key(compare.key), compare.cmp, operand)

    def _op(self, op: Op[K, V]) -> OpRow:
        operand = self.codecs.value(op.operand) if op.kind == "put" else op.operand
        lease = None if op.lease is None else lease_id(op.lease)
        return (op.kind, self.codecs.key(op.key), operand, op.previous, op.ttl, lease)

    def _put(self, row: PutRow) -> Put[K, V]:
        return Put(row[0], row[1], self.codecs.maybe_entry(row[2]))

    def _deleted(self, row: PutRow) -> Deleted[K, V]:
        return Deleted(row[0], row[1], self.codecs.maybe_entry(row[2]))

    def _txn_result(self, row: tuple[int, bool, list[OpResultRow]]) -> TxnResult[K, V]:
        return TxnResult(row[0], row[1], [self._op_result(result) for result in row[2]])

    def _op_result(self, result: OpResultRow) -> OpResult[K, V]:
        kind, row = result
        if kind == "got":
            return self.codecs.maybe_entry(row)
        if kind == "put":
            return self._put(row)
        return self._deleted(row) if kind == "deleted" else Incremented._make(row)

    def _change(self, row: ChangeRow) -> Change[K, V]:
        maybe_entry = self.codecs.maybe_entry
        return Change(self.codecs.key_of(row[0]), maybe_entry(row[1]), maybe_entry(row[2]))


ALL: Span = (None, None, None, None, None)
"""Every key."""


def lease_id(lease: AnyLease) -> str:
    """Return the id of a lease."""
    found = lease if isinstance(lease, str) else getattr(lease, "id", None)
    if not isinstance(found, str):
        raise TypeError(f"lease takes a lease or its id, not {type(lease).__name__}")
    return found


def kept(octets: Buffer) -> bytes:
    """Return bytes that nobody changes."""
    return octets if isinstance(octets, bytes) else memoryview(octets).tobytes()


def each(name: str, kind: type[T], given: Iterable[T]) -> Iterable[T]:
    """Return the items of the argument of that name, which are all of one kind."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{name} takes a list of {kind.__name__}, not {type(given).__name__}")
    for number, item in enumerate(given):
        if not isinstance(item, kind):
            found = type(item).__name__
            raise TypeError(f"{name}[{number}] takes a {kind.__name__}, not {found}")
        yield item


def check_progress(progress: Progress | None) -> None:
    """Refuse what cannot be told how far it is, before anything is done."""
    if progress is not None and not callable(getattr(progress, "update", None)):
        found = type(progress).__name__
        raise TypeError(f"progress takes an object with a method update(n), not {found}")


def pairs(other: Any, keywords: Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:  # noqa: ANN401
    """Return what `dict.update` would take of the same arguments."""
    if isinstance(other, Mapping):
        yield from other.items()
    elif hasattr(other, "keys"):
        for key in other.keys():  # noqa: SIM118 - all that is known of it
            yield key, other[key]
    else:
        yield from other
    yield from keywords.items()
