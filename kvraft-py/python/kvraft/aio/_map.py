"""`ReplicatedMap` for asyncio: the same map, whose verbs are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from kvraft import _backup, _kvraft, _map
from kvraft._calls import ALL, lease_id, pairs
from kvraft._facts import AsyncBlock, MapFacts

from ._awaited import Begins, document, run
from ._held import BeginsWatch, Lease, Lock, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from typing import Unpack

    from kvraft._buffer import Buffer
    from kvraft._options import (
        AnyLease,
        DeleteOptions,
        PutOptions,
        ReadOptions,
        RequestOptions,
    )
    from kvraft._progress import Progress
    from kvraft._status import BackupInfo, Verification
    from kvraft._txn import Compare, Op
    from kvraft._types import (
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


class ReplicatedMap(MapFacts[K, V], AsyncBlock):
    """A `kvraft.ReplicatedMap` for asyncio: the same verbs, awaited on the caller's own loop.

    `kvraft.aio.open` and `kvraft.aio.connect` make one. Several event loops may use it, each from
    its own thread. The verbs are cancel-safe: a read has no effect, a lock or a place in its queue
    is given back, a watch loses no event; a write that is cancelled may still be applied, once.

    What needs an `await` is no operator: `await m.get(k)` instead of `m[k]`, `await m.put(k, v)`,
    `await m.contains(k)`, `await m.size()`, `async for key in m`.

    >>> import asyncio, kvraft.aio, tempfile
    >>> async def main(data_dir):
    ...     async with kvraft.aio.open(data_dir, codec="str") as m:
    ...         await m.put("greeting", "hello")
    ...         async with m.lock("report") as lock:
    ...             assert lock.is_held()
    ...         return [(entry.key, entry.value) async for entry in m.scan()]
    >>> with tempfile.TemporaryDirectory() as data_dir:
    ...     asyncio.run(main(data_dir))
    [('greeting', 'hello')]
    """

    __slots__ = ()

    # --- Reads ---

    @overload
    async def get(
        self, key: K, /, default: None = None, **options: Unpack[ReadOptions]
    ) -> V | None: ...
    @overload
    async def get(self, key: K, /, default: V | T, **options: Unpack[ReadOptions]) -> V | T: ...
    async def get(
        self, key: K, /, default: V | T | None = None, **options: Unpack[ReadOptions]
    ) -> V | T | None:
        """Await what `kvraft.ReplicatedMap.get` does."""
        entry = await self._calls.get_entry(key, options)
        return default if entry is None else entry.value

    async def get_entry(self, key: K, /, **options: Unpack[ReadOptions]) -> Entry[K, V] | None:
        """Await what `kvraft.ReplicatedMap.get_entry` does."""
        return await self._calls.get_entry(key, options)

    async def contains(self, key: K, /, **options: Unpack[ReadOptions]) -> bool:
        """Return whether `key` has a value: `key in m` for tasks; options as for `get`."""
        return await self._calls.get_entry(key, options) is not None

    async def size(self, **options: Unpack[ReadOptions]) -> int:
        """Return how many keys there are, without reading them: `len(m)` for tasks."""
        return await self._calls.count(ALL, options)

    async def count(
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        end: K | None = None,
        **options: Unpack[ReadOptions],
    ) -> int:
        """Await what `kvraft.ReplicatedMap.count` does."""
        return await self._calls.count(self._calls.span(prefix, start=start, end=end), options)

    async def scan(  # noqa: PLR0913 - each narrows it
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
    ) -> AsyncIterator[Entry[K, V]]:
        """For `async for`: its moment is that of the first step."""
        span = self._calls.span(prefix, start=start, after=after, end=end)
        flow = await self._calls.scan(span, (limit, reverse, keys_only), options)
        decode = self._calls.key_only if keys_only else self._calls.codecs.entry
        while rows := await flow.some():
            for row in rows:
                yield decode(row)

    async def __aiter__(self) -> AsyncIterator[K]:
        async for entry in self.scan(keys_only=True):
            yield entry.key

    async def keys(self, prefix: K | None = None) -> AsyncIterator[K]:
        """For `async for`: the keys, or those with a prefix, of one moment."""
        async for entry in self.scan(prefix, keys_only=True):
            yield entry.key

    async def values(self, prefix: K | None = None) -> AsyncIterator[V]:
        """For `async for`: the values in the order of their keys, of one moment."""
        async for entry in self.scan(prefix):
            yield entry.value

    async def items(self, prefix: K | None = None) -> AsyncIterator[tuple[K, V]]:
        """For `async for`: the items, or those whose keys have a prefix, of one moment."""
        async for entry in self.scan(prefix):
            yield entry.key, entry.value

    async def page(  # noqa: PLR0913 - each narrows it
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
        """Await what `kvraft.ReplicatedMap.page` does."""
        span = self._calls.span(prefix, start=start, after=after, end=end)
        return await self._calls.page(span, (limit, reverse, keys_only), options)

    # --- Writes ---

    @overload
    async def put(
        self: ReplicatedMap[bytes, bytes],
        key: Buffer,
        value: Buffer,
        /,
        **options: Unpack[PutOptions],
    ) -> int: ...
    @overload
    async def put(self, key: K, value: V, /, **options: Unpack[PutOptions]) -> int: ...
    async def put(self, key: Any, value: Any, /, **options: Unpack[PutOptions]) -> int:
        """Await what `kvraft.ReplicatedMap.put` does."""
        return (await self._calls.put(key, value, options)).revision

    async def put_with(
        self, key: K, value: V, /, *, previous: bool = False, **options: Unpack[PutOptions]
    ) -> Put[K, V]:
        """Await what `kvraft.ReplicatedMap.put_with` does."""
        return await self._calls.put(key, value, {**options, "previous": previous})

    async def delete(self, key: K, /, **options: Unpack[DeleteOptions]) -> bool:
        """Await what `kvraft.ReplicatedMap.delete` does."""
        return (await self._calls.delete(key, options)).existed

    async def delete_with(
        self, key: K, /, *, previous: bool = False, **options: Unpack[DeleteOptions]
    ) -> Deleted[K, V]:
        """Await what `kvraft.ReplicatedMap.delete_with` does."""
        return await self._calls.delete(key, {**options, "previous": previous})

    async def delete_range(
        self,
        prefix: K | None = None,
        *,
        start: K | None = None,
        end: K | None = None,
        **options: Unpack[RequestOptions],
    ) -> RangeDeleted:
        """Await what `kvraft.ReplicatedMap.delete_range` does."""
        span = self._calls.span(prefix, start=start, end=end)
        return await self._calls.delete_range(span, options)

    async def increment(self, key: K, delta: int = 1, /, **options: Unpack[DeleteOptions]) -> int:
        """Await what `kvraft.ReplicatedMap.increment` does."""
        return (await self._calls.increment(key, delta, options)).value

    async def increment_with(
        self, key: K, delta: int = 1, /, **options: Unpack[DeleteOptions]
    ) -> Incremented:
        """Await what `kvraft.ReplicatedMap.increment_with` does."""
        return await self._calls.increment(key, delta, options)

    async def txn(
        self,
        compares: Iterable[Compare[K, V]] = (),
        then: Iterable[Op[K, V]] = (),
        otherwise: Iterable[Op[K, V]] = (),
        **options: Unpack[RequestOptions],
    ) -> TxnResult[K, V]:
        """Await what `kvraft.ReplicatedMap.txn` does."""
        return await self._calls.txn(compares, then, otherwise, options)

    async def batch(
        self, ops: Iterable[Op[K, V]], /, **options: Unpack[RequestOptions]
    ) -> TxnResult[K, V]:
        """Await what `kvraft.ReplicatedMap.batch` does."""
        return await self._calls.txn((), ops, (), options)

    @overload
    async def pop(self, key: K, /) -> V: ...
    @overload
    async def pop(self, key: K, default: V | T, /) -> V | T: ...
    async def pop(self, key: K, default: V | T = _ABSENT, /) -> V | T:
        """Await what `kvraft.ReplicatedMap.pop` does."""
        previous = (await self._calls.delete(key, {"previous": True})).previous
        if previous is None and default is _ABSENT:
            raise KeyError(key)
        return default if previous is None else previous.value

    async def popitem(self, *, last: bool = True) -> tuple[K, V]:
        """Await what `kvraft.ReplicatedMap.popitem` does."""
        return await run(self._calls.popitem(last))

    @overload
    async def setdefault(
        self: ReplicatedMap[K, T | None], key: K, default: None = None, /
    ) -> T | None: ...
    @overload
    async def setdefault(self, key: K, default: V, /) -> V: ...
    async def setdefault(self, key: K, default: Any = None, /) -> Any:
        """Await what `kvraft.ReplicatedMap.setdefault` does."""
        return await self._calls.setdefault(key, default, {})

    async def update(
        self,
        other: Mapping[K, V] | Iterable[tuple[K, V]] = (),
        /,
        *,
        progress: Progress | None = None,
        **keywords: V,
    ) -> None:
        """Await what `kvraft.ReplicatedMap.update` does."""
        await run(self._calls.update(pairs(other, keywords), progress, {}))

    async def clear(self) -> None:
        """Await what `kvraft.ReplicatedMap.clear` does."""
        await self._calls.delete_range(ALL, {})

    # --- Leases, locks, watches ---

    def lease(self, ttl: float) -> Begins[Lease]:
        """For `await` or `async with`."""

        async def begin() -> Lease:
            return Lease(await _kvraft.lease(self._native, ttl))

        return Begins(begin)

    async def grant_lease(self, ttl: float) -> str:
        """Await what `kvraft.ReplicatedMap.grant_lease` does."""
        return await _kvraft.grant_lease(self._native, ttl)

    async def keep_alive(self, lease: AnyLease) -> None:
        """Await what `kvraft.ReplicatedMap.keep_alive` does."""
        await _kvraft.keep_alive(self._native, lease_id(lease))

    async def revoke_lease(self, lease: AnyLease) -> None:
        """Await what `kvraft.ReplicatedMap.revoke_lease` does."""
        await _kvraft.revoke_lease(self._native, lease_id(lease))

    async def lease_info(self, lease: AnyLease, **options: Unpack[ReadOptions]) -> LeaseInfo[K]:
        """Await what `kvraft.ReplicatedMap.lease_info` does."""
        return await self._calls.lease_info(lease, options)

    def lock(
        self, name: str | Buffer, *, ttl: float = _LOCK_SECONDS, timeout: float | None = None
    ) -> Begins[Lock]:
        """For `await` or `async with`."""

        async def begin() -> Lock:
            return Lock(await _kvraft.lock(self._native, name, ttl, timeout))

        return Begins(begin)

    async def try_lock(self, name: str | Buffer, *, ttl: float = _LOCK_SECONDS) -> Lock | None:
        """Await what `kvraft.ReplicatedMap.try_lock` does."""
        native = await _kvraft.try_lock(self._native, name, ttl)
        return None if native is None else Lock(native)

    async def acquire(
        self,
        name: str | Buffer,
        lease: AnyLease,
        *,
        timeout: float = 0.0,  # noqa: ASYNC109 - the core gives the place in the queue back
    ) -> int:
        """Await what `kvraft.ReplicatedMap.acquire` does."""
        return await _kvraft.acquire(self._native, name, lease_id(lease), timeout)

    async def release(self, name: str | Buffer, lease: AnyLease) -> None:
        """Await what `kvraft.ReplicatedMap.release` does."""
        await _kvraft.release(self._native, name, lease_id(lease))

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
    ) -> BeginsWatch[K, V]:
        """For `await`, `async with` or `async for`, where it begins with the first step."""
        span = self._calls.span(prefix, key=key, start=start, end=end)

        async def begin() -> Watch[K, V]:
            flow = _kvraft.watch(self._native, span, from_revision, previous, resync)
            return Watch(self._calls, await flow)

        return BeginsWatch(begin)

    # --- The cluster ---

    async def promote(self, name: str) -> None:
        """Await what `kvraft.ReplicatedMap.promote` does."""
        await _kvraft.promote(self._native, name)

    async def demote(self, name: str) -> None:
        """Await what `kvraft.ReplicatedMap.demote` does."""
        await _kvraft.demote(self._native, name)

    async def remove_member(self, name: str) -> None:
        """Await what `kvraft.ReplicatedMap.remove_member` does."""
        await _kvraft.remove_member(self._native, name)

    async def transfer_leadership(self, to: str | None = None) -> None:
        """Await what `kvraft.ReplicatedMap.transfer_leadership` does."""
        await _kvraft.transfer_leadership(self._native, to)

    async def shrink(self, voters: int) -> None:
        """Await what `kvraft.ReplicatedMap.shrink` does."""
        await _kvraft.shrink(self._native, voters)

    async def verify(self) -> Verification:
        """Await what `kvraft.ReplicatedMap.verify` does."""
        return await _kvraft.verify(self._native)

    async def refill(self) -> None:
        """Await what `kvraft.ReplicatedMap.refill` does."""
        await _kvraft.refill(self._native)

    async def backup(
        self,
        target: _backup.Target,
        *,
        progress: Progress | None = None,
        **options: Unpack[ReadOptions],
    ) -> BackupInfo:
        """Await what `kvraft.ReplicatedMap.backup` does; a file is written by other threads."""
        return await run(_backup.write(self._native, target, progress, options))

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109 - the core's
        """Await what `kvraft.ReplicatedMap.wait_ready` does."""
        await self._native.wait_ready(timeout)

    async def close(self) -> None:
        """Await what `kvraft.ReplicatedMap.close` does."""
        await self._native.close()

    async def _leave(self) -> None:
        await self.close()


document(vars(ReplicatedMap), vars(_map.ReplicatedMap))
