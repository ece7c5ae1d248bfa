"""Leases, locks and watches in the hands of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from kvraft import _held
from kvraft._facts import AsyncBlock, LeaseFacts, LockFacts

from ._awaited import Begins, document

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kvraft import _kvraft
    from kvraft._calls import Calls
    from kvraft._rows import EventRow
    from kvraft._types import WatchEvent

K = TypeVar("K")
V = TypeVar("V")


class Lease(LeaseFacts, AsyncBlock):
    """A lease that is kept alive for as long as this object lives: a `kvraft.Lease` for tasks."""

    __slots__ = ()

    async def ended(self) -> None:
        """Return once it may have ended, or was revoked here."""
        await self._native.ended()

    async def revoke(self) -> None:
        """Await what `kvraft.Lease.revoke` does."""
        self._given_back = True
        await self._native.revoke()

    async def _leave(self) -> None:
        if not self._given_back:
            await self.revoke()


class Lock(LockFacts, AsyncBlock):
    """A lock that is held for as long as this object lives: a `kvraft.Lock` for tasks."""

    __slots__ = ()

    async def lost(self) -> None:
        """Return once it may be another's, or was given back here."""
        await self._native.lost()

    async def unlock(self) -> None:
        """Await what `kvraft.Lock.unlock` does."""
        self._given_back = True
        await self._native.unlock()

    async def _leave(self) -> None:
        if not self._given_back:
            await self.unlock()


class Watch(AsyncBlock, Generic[K, V]):
    """What happens to the keys of a range, event by event: a `kvraft.Watch` for `async for`.

    A task that is cancelled while it waits loses no event: another `anext` gets it. Of several
    tasks that take events each gets others.
    """

    __slots__ = ("__weakref__", "_calls", "_flow")

    def __init__(self, calls: Calls[K, V], flow: _kvraft.Flow[EventRow]) -> None:
        self._calls = calls
        self._flow = flow

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent[K, V]:
        row = await self._flow.next()
        if row is None:
            raise StopAsyncIteration
        return self._calls.event(row)

    def close(self) -> None:
        """End it. Who waits for an event gets none."""
        self._flow.close()

    async def _leave(self) -> None:
        self.close()


class BeginsWatch(Begins[Watch[K, V]]):
    """A watch that begins when it is awaited, with its block, or with the first step of a loop."""

    __slots__ = ("_watch",)

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Watch[K, V]]]) -> None:
        super().__init__(begin)
        self._watch: Watch[K, V] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent[K, V]:
        if self._watch is None:
            self._watch = await self
        return await anext(self._watch)


document(vars(Lease), vars(_held.Lease))
document(vars(Lock), vars(_held.Lock))
