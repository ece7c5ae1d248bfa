"""`ReplicatedMap` is a dictionary that lives in this process and on the other members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from . import _backup, _kvraft
from ._calls import ALL, lease_id, pairs
from ._facts import Block, MapFacts
from ._held import Lease, Lock, Watch
from ._steps import run
from ._views import MapItemsView, MapKeysView, MapValuesView

if TYPE_CHECKING:
    from typing import Unpack

    from ._buffer import Buffer
    from ._codecs import Codecs
    from ._options import (
        AnyLease,
        DeleteOptions,
        PutOptions,
        ReadOptions,
        RequestOptions,
    )
    from ._progress import Progress
    from ._rows import EntryRow
    from ._status import BackupInfo, Verification
    from ._txn import Compare, Op
    from ._types import (
        Deleted,
        Entry,
        Incremented,
        LeaseInfo,
        Page,
        Put,
        RangeDeleted,
        TxnResult,
    )

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_ABSENT: Any = object()
_LOCK_SECONDS = 10.0


class ReplicatedMap(MapFacts[K, V], Block, MutableMapping[K, V]):
    """An ordered map that lives in this process and on the other members of its cluster.

    `kvraft.open` and `kvraft.connect` make one. It does what a `dict` does, in the order of the
    bytes of its keys, and any thread may use it; each call lets the other threads run while it
    waits. Keys have 1 to 511 bytes, values up to `max_value_bytes`. Without a codec both are
    `bytes`: any object with a buffer goes in, `bytes` come out. A large one is copied from where it
    lies when the call begins, while other threads run: none of them may write to it meanwhile.

    Every call works on every member: writes find the leader, reads are answered here. `pop`,
    `popitem`, `setdefault`, `clear` and an `update` of up to 1024 items are atomic in the whole
    cluster. Iterating, and `keys`, `values`, `items` and `scan`, see one moment, for 30 s.

    After a fork the child cannot use it and gets `ClosedError`; a process that was spawned
    connects. Ctrl-C interrupts every call; a write that it interrupts may still be applied, once.

    Every call may raise `InvalidArgumentError`, `UnavailableError` if no quorum answered in time
    and nothing was applied, `ClosedError` or `StorageError`; every write also `OverloadedError`,
    and `IndeterminateError` if its deadline passed after it was sent.

    >>> import kvraft, tempfile
    >>> with tempfile.TemporaryDirectory() as data_dir:
    ...     with kvraft.open(data_dir, codec="json") as m:
    ...         m["ada"] = {"born": 1815}
    ...         m.setdefault("alan", {"born": 1912})
    ...         sorted(m), len(m), m.pop("ada"), "ada" in m
    {'born': 1912}
    (['ada', 'alan'], 2, {'born': 1815}, False)
    """

    __slots__ = ("_key", "_value_of")

    def __init__(self, native: _kvraft.Map, codecs: Codecs[K, V]) -> None:
        """Make the map of a handle: `kvraft.open` and `kvraft.connect` do."""
        if not isinstance(native, _kvraft.Map):
            raise TypeError("kvraft.open and kvraft.connect make a ReplicatedMap")
        super().__init__(native, codecs)
        # What is no bytes is refused by the core's side, so that nothing has to be done for them.
        self._key = None if codecs.plain else codecs.key
        self._value_of = None if codecs.plain else codecs.value_of

    # --- What a dict does ---

    def __getitem__(self, key: K, /) -> V:
        encoded: Any = key if self._key is None else self._key(key)
        value = _kvraft.value(self._native, encoded)
        if value is None:
            raise KeyError(key)
        return value if self._value_of is None else self._value_of(value, key)  # type: ignore[return-value]

    def __setitem__(self, key: K, value: V, /) -> None:
        self._calls.put(key, value, {}).wait()

    def __delitem__(self, key: K, /) -> None:
        if not self._calls.delete(key, {}).wait().existed:
            raise KeyError(key)

    def __contains__(self, key: object, /) -> bool:
        encoded: Any = key if self._key is None else self._key(key)  # type: ignore[arg-type]
        return _kvraft.value(self._native, encoded) is not None

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def __reversed__(self) -> Iterator[K]:
        return reversed(self.keys())

    def __len__(self) -> int:
        return self._calls.count(ALL, {}).wait()

    @overload
    def get(self, key: K, /, default: None = None, **options: Unpack[ReadOptions]) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | T, **options: Unpack[ReadOptions]) -> V | T: ...
    def get(
        self, key: K, /, default: V | T | None = None, **options: Unpack[ReadOptions]
    ) -> V | T | None:
        """Read the value of `key`, or return `default` if it has none.

        Args:
            key: 1 to 511 bytes.
            default: What to return if the key has no value.
            **options: `consistency`: `"linearizable"` sees every write that was acknowledged
                anywhere before the read began; `"lease"` too, but trusts clocks; `"local"` sees
                what this node has applied, without any network. Default: the setting of `open`.
                `min_revision`: wait until this node has applied that revision; with the revision
                of your last write you read your writes on any node. `timeout`: the deadline of
                the call in seconds, by default `request_timeout`.

        Raises:
            UnavailableError: No quorum answered in time.
            CorruptError: The stored bytes are damaged.
        """
        encoded: Any = key if self._key is None else self._key(key)
        value = _kvraft.value(self._native, encoded, **options)
        if value is None:
            return default
        return value if self._value_of is None else self._value_of(value, key)  # type: ignore[return-value]

    def keys(self, prefix: K | None = None) -> MapKeysView[K, V]:
        """Return a view of the keys, or of those with a prefix; iterating it sees one moment."""
        return MapKeysView(self, prefix)

    def values(self, prefix: K | None = None) -> MapValuesView[K, V]:
        """Return a view of the values, in the order of their keys, or of those with a prefix."""
        return MapValuesView(self, prefix)

    def items(self, prefix: K | None = None) -> MapItemsView[K, V]:
        """Return a view of the items, or of those whose keys have a prefix."""
        return MapItemsView(self, prefix)

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V | T, /) -> V | T: ...
    def pop(self, key: K, default: V | T = _ABSENT, /) -> V | T:
        """Take `key` away and return the value that it had, atomically.

        Raises:
            KeyError: It has none, and no default was given.
        """
        previous = self._calls.delete(key, {"previous": True}).wait().previous
        if previous is not None:
            return previous.value
        if default is _ABSENT:
            raise KeyError(key)
        return default

    def popitem(self, *, last: bool = True) -> tuple[K, V]:
        """Take the last item away and return it, or the first with `last=False`, atomically.

        Of several that do this at once, each gets another item: a queue.

        Raises:
            KeyError: The map is empty.
            OverloadedError: Others were faster a thousand times in a row.
        """
        return run(self._calls.popitem(last))

    @overload
    def setdefault(
        self: ReplicatedMap[K, T | None], key: K, default: None = None, /
    ) -> T | None: ...
    @overload
    def setdefault(self, key: K, default: V, /) -> V: ...
    def setdefault(self, key: K, default: Any = None, /) -> Any:
        """Return the value of `key`, or give it `default` if it has none, atomically."""
        return self._calls.setdefault(key, default, {}).wait()

    def update(  # type: ignore[override]
        self,
        other: Mapping[K, V] | Iterable[tuple[K, V]] = (),
        /,
        *,
        progress: Progress | None = None,
        **keywords: V,
    ) -> None:
        """Give many keys their values, with as few commands as possible.

        Up to 1024 items and `max_command_bytes` are one command, which is atomic; more are
        several, one after another, in the order given; if an exception ends it, what was put
        before stays. `other` is read as it is needed: it may be a generator of more items than
        fit into memory.

        Args:
            other: A mapping, or pairs of keys and values.
            progress: Whose `update(n)` is called after `n` more items are in the map, such as a
                bar of `tqdm`.
            **keywords: More items, for a map with `str` keys.

        Raises:
            StorageFullError: The storage limit is reached.
        """
        run(self._calls.update(pairs(other, keywords), progress, {}))

    def clear(self) -> None:
        """Take every key away, atomically."""
        self._calls.delete_range(ALL, {}).wait()

    def copy(self) -> dict[K, V]:
        """Return a dict of all items, of one moment."""
        return dict(self.items())

    def __ior__(self, other: Mapping[K, V] | Iterable[tuple[K, V]], /) -> Self:
        self.update(other)
        return self

    def __or__(self, other: Mapping[K, V], /) -> dict[K, V]:
        return self.copy() | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[K, V], /) -> dict[K, V]:
        return dict(other) | self.copy() if isinstance(other, Mapping) else NotImplemented

    # --- Reads ---

    def get_entry(self, key: K, /, **options: Unpack[ReadOptions]) -> Entry[K, V] | None:
        """Read the entry of `key` with its revisions and its lease, as `get` does, or `None`."""
        return self._calls.get_entry(key, options).wait()

    def count(
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        end: K | None = None,
        **options: Unpack[ReadOptions],
    ) -> int:
        """Count the keys of a range, as `scan` takes it, at one moment; no value is read.

        The whole map is counted at once, a range by walking it.
        """
        return self._calls.count(self._calls.span(prefix, start=start, end=end), options).wait()

    def scan(  # noqa: PLR0913 - each narrows it
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        after: K | None = None,
        end: K | None = None,
        limit: int | None = None,
        reverse: bool = False,
        keys_only: bool = False,
        **options: Unpack[ReadOptions],
    ) -> Iterator[Entry[K, V]]:
        """Read every entry in a range, in the order of the keys, as it stands at one moment.

        It reads on demand and holds little in memory. It keeps its moment for 30 s; then it
        raises `CompactedError`.

        Args:
            prefix: Only keys that begin with it.
            start: Leave out the keys before it.
            after: Leave out this key and those before it.
            end: Leave out this key and those after it.
            limit: End after this many entries.
            reverse: Go from the last key to the first.
            keys_only: Leave the values out: they are `b""`.
            **options: As for `get`; `timeout` is for the moment to be found.

        >>> import kvraft, tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir:
        ...     with kvraft.open(data_dir, codec="str") as m:
        ...         m.update({"a/2": "two", "a/1": "one", "b/1": "other"})
        ...         [(entry.key, entry.value) for entry in m.scan("a/")]
        [('a/1', 'one'), ('a/2', 'two')]
        """
        span = self._calls.span(prefix, start=start, after=after, end=end)
        flow = self._calls.scan(span, (limit, reverse, keys_only), options).wait()
        return self._entries(flow, keys_only)

    def _entries(
        self,
        flow: _kvraft.Flow[EntryRow],
        keys_only: bool,  # noqa: FBT001
    ) -> Iterator[Entry[K, V]]:
        decode = self._calls.key_only if keys_only else self._calls.codecs.entry
        while rows := flow.some().wait():
            yield from map(decode, rows)

    def page(  # noqa: PLR0913 - each narrows it
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        after: K | None = None,
        end: K | None = None,
        limit: int | None = None,
        reverse: bool = False,
        keys_only: bool = False,
        **options: Unpack[ReadOptions],
    ) -> Page[K, V]:
        """Read one page of a range, as `scan` takes it: at most 10,000 entries and about 8 MiB.

        Each page is of one moment, and no moment is kept between two: go on with `after=` the
        last key, on any node.
        """
        span = self._calls.span(prefix, start=start, after=after, end=end)
        return self._calls.page(span, (limit, reverse, keys_only), options).wait()

    # --- Writes ---

    @overload
    def put(
        self: ReplicatedMap[bytes, bytes],
        key: Buffer,
        value: Buffer,
        /,
        **options: Unpack[PutOptions],
    ) -> int: ...
    @overload
    def put(self, key: K, value: V, /, **options: Unpack[PutOptions]) -> int: ...
    def put(self, key: Any, value: Any, /, **options: Unpack[PutOptions]) -> int:
        """Give `key` the value `value` and return the revision of the change.

        It returns when the write is on the disks of a majority and applied. It is applied once
        or not at all, however often it had to be sent.

        Args:
            key: 1 to 511 bytes.
            value: Up to `max_value_bytes`.
            **options: At most one condition: `if_revision=n`, if the entry was last changed at
                that revision, of which 0 means that there is none; `if_absent=True`;
                `if_present=True`; `if_value=v`. How long it stays: `ttl`, so many seconds of led
                time, or `lease`, until that lease ends; a put without either makes the key stay.
                `request_id`: apply it once whoever sends it again with this id within an hour,
                through any member; `principal`: in whose name the id is. `timeout`: the deadline
                in seconds, by default `request_timeout`.

        Raises:
            ConflictError: The condition does not hold; its `revision` is the current one.
            ExpiredError: The lease has ended.
            StorageFullError: The storage limit is reached.
            OverloadedError: A queue is at its bound.
            IndeterminateError: The deadline passed after the write was sent: it may or may not
                be applied.

        >>> import kvraft, tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir, kvraft.open(data_dir) as m:
        ...     first = m.put(b"leader", b"me", if_absent=True)
        ...     try:
        ...         m.put(b"leader", b"you", if_absent=True)
        ...     except kvraft.ConflictError as late:
        ...         late.revision == first
        True
        """
        return self._calls.put(key, value, options).wait().revision

    def put_with(
        self, key: K, value: V, /, *, previous: bool = False, **options: Unpack[PutOptions]
    ) -> Put[K, V]:
        """Put as `put` does, and say whether the key had a value before.

        Args:
            key: As for `put`.
            value: As for `put`.
            previous: Answer with the entry that was there before, too.
            **options: As for `put`.
        """
        return self._calls.put(key, value, {**options, "previous": previous}).wait()

    def delete(self, key: K, /, **options: Unpack[DeleteOptions]) -> bool:
        """Take `key` and its value away and return whether there was one.

        Args:
            key: 1 to 511 bytes.
            **options: As for `put`, without `ttl` and `lease`.

        Raises:
            ConflictError: The condition does not hold; its `revision` is the current one.
            IndeterminateError: As for `put`.
        """
        return self._calls.delete(key, options).wait().existed

    def delete_with(
        self, key: K, /, *, previous: bool = False, **options: Unpack[DeleteOptions]
    ) -> Deleted[K, V]:
        """Delete as `delete` does, and say at which revision.

        Args:
            key: As for `delete`.
            previous: Answer with the entry that was there before, too.
            **options: As for `delete`.
        """
        return self._calls.delete(key, {**options, "previous": previous}).wait()

    def delete_range(
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        end: K | None = None,
        **options: Unpack[RequestOptions],
    ) -> RangeDeleted:
        """Take every key of a range, as `scan` takes it, away at once."""
        span = self._calls.span(prefix, start=start, end=end)
        return self._calls.delete_range(span, options).wait()

    def increment(self, key: K, delta: int = 1, /, **options: Unpack[DeleteOptions]) -> int:
        """Add `delta` to the decimal number under `key`, and return the sum.

        An absent key counts as 0. Exact however often it had to be sent. The value is text, such
        as `b"42"`, whatever the codec of the map: `"str"` and `"json"` can read it.

        Args:
            key: 1 to 511 bytes.
            delta: A signed number of 64 bits.
            **options: As for `delete`.

        Raises:
            InvalidArgumentError: The value is no such number, or the sum would be none.
        """
        return self._calls.increment(key, delta, options).wait().value

    def increment_with(
        self, key: K, delta: int = 1, /, **options: Unpack[DeleteOptions]
    ) -> Incremented:
        """Increment as `increment` does, and say at which revision."""
        return self._calls.increment(key, delta, options).wait()

    def txn(
        self,
        compares: Iterable[Compare[K, V]] = (),
        then: Iterable[Op[K, V]] = (),
        otherwise: Iterable[Op[K, V]] = (),
        **options: Unpack[RequestOptions],
    ) -> TxnResult[K, V]:
        """Do what `then` says if all comparisons hold, else what `otherwise` says: at once.

        Every operation sees the map as it was before the transaction, and all changes have one
        revision. At most 1024 comparisons and operations in all.

        Args:
            compares: What must hold, made with `Compare.value` and the like.
            then: What is done if it does, made with `Op.put` and the like.
            otherwise: What is done if it does not.
            **options: `request_id`, `principal` and `timeout`, as for `put`.

        Raises:
            InvalidArgumentError: A key stands twice in one branch, or it is too large.
            ExpiredError: A lease has ended.
            StorageFullError: The storage limit is reached.

        >>> import kvraft, tempfile
        >>> from kvraft import Compare, Op
        >>> with tempfile.TemporaryDirectory() as data_dir:
        ...     with kvraft.open(data_dir, codec="str") as m:
        ...         m["from"] = "10"
        ...         m.txn(
        ...             [Compare.value("from", "==", "10")],
        ...             then=[Op.increment("from", -7), Op.increment("to", 7)],
        ...             otherwise=[Op.get("from")],
        ...         ).succeeded
        ...         m["from"], m["to"]
        True
        ('3', '7')
        """
        return self._calls.txn(compares, then, otherwise, options).wait()

    def batch(
        self, ops: Iterable[Op[K, V]], /, **options: Unpack[RequestOptions]
    ) -> TxnResult[K, V]:
        """Apply several operations at once: a `txn` without comparisons."""
        return self._calls.txn((), ops, (), options).wait()

    # --- Leases, locks, watches ---

    def lease(self, ttl: float) -> Lease:
        """Grant a lease and keep it alive for as long as the returned object lives.

        A lease ends once it was not kept alive for `ttl` seconds, 0.1 to ten years, of *led
        time*: a clock that steps, a pause or an outage may lengthen it, never shorten it. Then
        the keys that were put with it are gone, and its locks are free.

        >>> import kvraft, tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir, kvraft.open(data_dir) as m:
        ...     with m.lease(10) as lease:
        ...         revision = m.put(b"workers/7", b"busy", lease=lease)
        ...         lease.is_alive(), b"workers/7" in m
        ...     b"workers/7" in m
        (True, True)
        False
        """
        return Lease(_kvraft.lease(self._native, ttl).wait())

    def grant_lease(self, ttl: float) -> str:
        """Grant a lease that only `keep_alive` keeps alive, and return its id."""
        return _kvraft.grant_lease(self._native, ttl).wait()

    def keep_alive(self, lease: AnyLease) -> None:
        """Begin the time to live of a lease anew.

        Raises:
            ExpiredError: It has ended.
        """
        _kvraft.keep_alive(self._native, lease_id(lease)).wait()

    def revoke_lease(self, lease: AnyLease) -> None:
        """End a lease now: its keys are gone and its locks are free when this returns.

        Raises:
            ExpiredError: It has ended before.
        """
        _kvraft.revoke_lease(self._native, lease_id(lease)).wait()

    def lease_info(self, lease: AnyLease, **options: Unpack[ReadOptions]) -> LeaseInfo[K]:
        """Say how long a lease has left, and which keys end with it.

        Raises:
            ExpiredError: It has ended.
        """
        return self._calls.lease_info(lease, options).wait()

    def lock(
        self, name: str | Buffer, *, ttl: float = _LOCK_SECONDS, timeout: float | None = None
    ) -> Lock:
        """Take the lock `name`; who waits gets it in the order of arrival.

        The lock has a lease of its own, which is kept alive for as long as the returned object
        lives. When the holder's process dies, the next one gets the lock once `ttl` is over.
        Locks have names of their own, which are no keys.

        Args:
            name: 1 to 255 bytes; a str is taken in UTF-8.
            ttl: Seconds of led time that a holder may be silent.
            timeout: How long to wait for it, in seconds. Default: `request_timeout`.

        Raises:
            RefusedError: Others held it all the time.
            ExpiredError: Its lease could not be kept alive while it was waited for.

        >>> import kvraft, tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir, kvraft.open(data_dir) as m:
        ...     with m.lock("report") as first:
        ...         m.try_lock("report") is None
        ...     with m.lock("report") as second:
        ...         second.token > first.token
        True
        True
        """
        return Lock(_kvraft.lock(self._native, name, ttl, timeout).wait())

    def try_lock(self, name: str | Buffer, *, ttl: float = _LOCK_SECONDS) -> Lock | None:
        """Take a lock if it is free; return `None` if it is held."""
        native = _kvraft.try_lock(self._native, name, ttl).wait()
        return None if native is None else Lock(native)

    def acquire(self, name: str | Buffer, lease: AnyLease, *, timeout: float = 0.0) -> int:
        """Take a lock for a lease that the caller keeps alive, and return the fencing token.

        The holder gets its token again. It waits for at most `timeout` seconds; 0 does not wait.

        Raises:
            RefusedError: Another lease holds it.
            ExpiredError: The lease has ended.
        """
        return _kvraft.acquire(self._native, name, lease_id(lease), timeout).wait()

    def release(self, name: str | Buffer, lease: AnyLease) -> None:
        """Give a lock back, or the place in its queue, that a lease has.

        Raises:
            ExpiredError: The lease neither holds the lock nor waits for it.
        """
        _kvraft.release(self._native, name, lease_id(lease)).wait()

    def watch(  # noqa: PLR0913 - each narrows it
        self,
        prefix: K | None = None,
        *,
        key: K | None = None,
        start: K | None = None,
        end: K | None = None,
        from_revision: int | None = None,
        previous: bool = False,
        resync: bool = False,
    ) -> Watch[K, V]:
        """Watch keys: every change that is applied here, in order, none lost and none twice.

        Args:
            prefix: The keys that begin with it. Default: all.
            key: One key alone.
            start: Leave out the keys before it.
            end: Leave out this key and those after it.
            from_revision: Tell changes from this revision on. Default: from now on.
            previous: Tell with each change the entry as it was before.
            resync: Begin with all entries (`SnapshotBegin`, `SnapshotEntries` …, `SnapshotEnd`),
                and do so again when changes were missed, instead of ending as `CompactedError`.

        Raises:
            CompactedError: The revision to begin from is not held any more; its `revision` is the
                oldest that is. Later: the consumer was too slow.
            OverloadedError: 65,536 watch on this node.

        >>> import kvraft, tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir:
        ...     with kvraft.open(data_dir, codec="str") as m, m.watch("config/") as watch:
        ...         m["config/colour"] = "blue"
        ...         event = next(watch)
        ...         event.changes[0].key, event.changes[0].entry.value
        ('config/colour', 'blue')
        """
        span = self._calls.span(prefix, key=key, start=start, end=end)
        flow = _kvraft.watch(self._native, span, from_revision, previous, resync).wait()
        return Watch(self._calls, flow)

    # --- The cluster ---

    def promote(self, name: str) -> None:
        """Give a learner its vote, once it has caught up. Nothing changes if it has one.

        Raises:
            RefusedError: The name is unknown, the learner has not caught up, or a quorum would
                be lost; the message says which.
            IndeterminateError: The change may go on; asking again is safe.
        """
        _kvraft.promote(self._native, name).wait()

    def demote(self, name: str) -> None:
        """Take a voter its vote; it goes on to replicate as a learner. Raises as `promote`."""
        _kvraft.demote(self._native, name).wait()

    def remove_member(self, name: str) -> None:
        """Let a member go, voter or learner, dead or alive. Raises as `promote`."""
        _kvraft.remove_member(self._native, name).wait()

    def transfer_leadership(self, to: str | None = None) -> None:
        """Have another voter lead: the one of this name, or the one that is closest.

        Raises:
            RefusedError: It is a learner, or there is no other voter.
            UnavailableError: It did not take over in time.
        """
        _kvraft.transfer_leadership(self._native, to).wait()

    def shrink(self, voters: int) -> None:
        """Let voters go, those whose names come last, until so many are left.

        Raises as `promote`.
        """
        _kvraft.shrink(self._native, voters).wait()

    def verify(self) -> Verification:
        """Have all members compare the hash of their whole state at one moment.

        A member that has not the state of the majority takes itself out and fetches that one;
        without a majority on one side nobody does. Costs one write, and reads nothing.
        """
        return _kvraft.verify(self._native).wait()

    def refill(self) -> None:
        """Have this member throw its state away and fetch that of another one.

        After a `CorruptError`, or when this node is the wrong one of a `split`. Until it is done it
        serves no reads; its log, votes and name stay.

        Raises:
            RefusedError: It is the only member, or a client.
            UnavailableError: It was not done in ten minutes; it goes on.
        """
        _kvraft.refill(self._native).wait()

    def backup(
        self,
        target: _backup.Target,
        *,
        progress: Progress | None = None,
        **options: Unpack[ReadOptions],
    ) -> BackupInfo:
        """Write the whole map of one moment into a file, while writes go on.

        `kvraft.restore` makes a new cluster of it. Two at a time on a node, each for an hour.

        Args:
            target: The name of a file, which is there once the backup is whole and on the disk;
                or a file that is open for writing bytes, which is neither flushed nor closed.
            progress: Whose `update(n)` is called after `n` more bytes are written.
            **options: As for `get`; `consistency="local"` works without a majority too.

        Raises:
            OverloadedError: Two backups of this node are under way.
        """
        return run(_backup.write(self._native, target, progress, options))

    def wait_ready(self, timeout: float) -> None:
        """Wait until this node has recovered and knows a leader.

        Raises:
            UnavailableError: That took longer than `timeout` seconds.
        """
        self._native.wait_ready(timeout).wait()

    def close(self) -> None:
        """Stop the node: hand leadership over, finish what was begun, close files and socket.

        Calling it again does nothing. The end of the interpreter closes what is still open.

        Raises:
            StorageError: The last writes to the disk failed. The node is stopped all the same.
        """
        self._native.close().wait()

    def _leave(self) -> None:
        self.close()
