"""Leases, locks and watches in the hands of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from kvraft import _held
from kvraft._errors import KvraftError

from ._awaited import Begins, document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType

    from kvraft import _kvraft
    from kvraft._calls import Calls
    from kvraft._rows import EventRow
    from kvraft._types import WatchEvent

K = TypeVar("K")
V = TypeVar("V")


class Lease:
    """A lease that is kept alive for as long as this object lives: a `kvraft.Lease` for tasks."""

    __slots__ = ("__weakref__", "_native", "_revoked")

    def __init__(self, native: _kvraft.Lease) -> None:
        self._native = native
        self._revoked = False

    @property
    def id(self) -> str:
        """16 hexadecimal digits that no other lease ever has, for `lease=` of any process."""
        return self._native.id

    @property
    def ttl(self) -> float:
        """The seconds that it lives without being kept alive."""
        return self._native.ttl

    def is_alive(self) -> bool:
        """Not awaited: it asks nobody."""
        return self._native.is_alive()

    async def ended(self) -> None:
        """Return once it may have ended, or was revoked here."""
        await self._native.ended()

    async def revoke(self) -> None:
        """Await what `kvraft.Lease.revoke` does."""
        self._revoked = True
        await self._native.revoke()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._revoked:
            await leave(error, self.revoke)

    def __repr__(self) -> str:
        state = "alive" if self.is_alive() else "ended"
        return f"<kvraft.aio.Lease {self.id}, {self.ttl:g} s, {state}>"


class Lock:
    """A lock that is held for as long as this object lives: a `kvraft.Lock` for tasks."""

    __slots__ = ("__weakref__", "_native", "_unlocked")

    def __init__(self, native: _kvraft.Lock) -> None:
        self._native = native
        self._unlocked = False

    @property
    def name(self) -> bytes:
        """The name; one that was given as a str is here in UTF-8."""
        return self._native.name

    @property
    def token(self) -> int:
        """The fencing token, larger than that of every earlier holder: see `kvraft.Lock.token`."""
        return self._native.token

    @property
    def lease(self) -> str:
        """The id of the lease that the lock ends with: put keys with it that end with the lock."""
        return self._native.lease

    def is_held(self) -> bool:
        """Not awaited: it asks nobody."""
        return self._native.is_held()

    async def lost(self) -> None:
        """Return once it may be another's, or was given back here."""
        await self._native.lost()

    async def unlock(self) -> None:
        """Await what `kvraft.Lock.unlock` does."""
        self._unlocked = True
        await self._native.unlock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._unlocked:
            await leave(error, self.unlock)

    def __repr__(self) -> str:
        state = "held" if self.is_held() else "given back or lost"
        return f"<kvraft.aio.Lock {self.name!r}, token {self.token}, {state}>"


class Watch(Generic[K, V]):
    """What happens to the keys of a range, event by event: a `kvraft.Watch` for `async for`.

    A task that is cancelled while it waits loses no event: another `anext` gets it.
    """

    __slots__ = ("__weakref__", "_calls", "_flow", "_rows")

    def __init__(self, calls: Calls[K, V], flow: _kvraft.Flow[EventRow]) -> None:
        self._calls = calls
        self._flow = flow
        self._rows: list[EventRow] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent[K, V]:
        if not self._rows:
            self._rows = (await self._flow.some())[::-1]
        if not self._rows:
            raise StopAsyncIteration
        return self._calls.event(self._rows.pop())

    def close(self) -> None:
        """End it. Who waits for an event gets none."""
        self._rows = []
        self._flow.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


async def leave(error: BaseException | None, give_back: Callable[[], Awaitable[None]]) -> None:
    """Give something back at the end of a block; an error of the block is the one that counts."""
    try:
        await give_back()
    except KvraftError as failure:
        if error is None:
            raise
        error.add_note(f"besides: {failure}")


document(vars(Lease), vars(_held.Lease))
document(vars(Lock), vars(_held.Lock))
