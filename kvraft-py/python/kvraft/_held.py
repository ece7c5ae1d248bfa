"""Leases, locks and watches in the hands of a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._errors import KvraftError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from . import _kvraft
    from ._calls import Calls
    from ._rows import EventRow
    from ._types import WatchEvent

K = TypeVar("K")
V = TypeVar("V")


class Lease:
    """A lease that is kept alive for as long as this object lives; `ReplicatedMap.lease` grants it.

    Leaving its `with` block revokes it; dropping it lets it end by its time.
    """

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
        """Return whether it is certainly still there.

        It is if it was kept alive less than `ttl` seconds ago, by the monotonic clock.
        """
        return self._native.is_alive()

    def wait_ended(self, timeout: float) -> bool:
        """Wait until it may have ended; return whether it may, or `timeout` seconds are over."""
        return self._native.ended().then(lambda _none: True).wait_within(timeout) is not None

    def revoke(self) -> None:
        """End it now: its keys are gone and its locks are free when this returns.

        Raises:
            ExpiredError: It has ended before.
        """
        self._revoked = True
        self._native.revoke().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._revoked:
            leave(error, self.revoke)

    def __repr__(self) -> str:
        state = "alive" if self.is_alive() else "ended"
        return f"<kvraft.Lease {self.id}, {self.ttl:g} s, {state}>"


class Lock:
    """A lock that is held for as long as this object lives; `ReplicatedMap.lock` takes it.

    Leaving its `with` block gives it back; dropping it does so in the background.
    """

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
        """The fencing token: larger than that of every earlier holder of this name.

        Send it along with every change of what the lock protects, which refuses a smaller one
        than it has seen: a holder that was paused may believe to hold a lock that is another's.
        """
        return self._native.token

    @property
    def lease(self) -> str:
        """The id of the lease that the lock ends with: put keys with it that end with the lock."""
        return self._native.lease

    def is_held(self) -> bool:
        """Return whether it is certainly still held, by the monotonic clock."""
        return self._native.is_held()

    def wait_lost(self, timeout: float) -> bool:
        """Wait until it may be another's; return whether it may, or `timeout` seconds are over."""
        return self._native.lost().then(lambda _none: True).wait_within(timeout) is not None

    def unlock(self) -> None:
        """Give it back, and return when the next one may have it.

        Raises:
            ExpiredError: It was lost before: what was done since may have overlapped.
        """
        self._unlocked = True
        self._native.unlock().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._unlocked:
            leave(error, self.unlock)

    def __repr__(self) -> str:
        state = "held" if self.is_held() else "given back or lost"
        return f"<kvraft.Lock {self.name!r}, token {self.token}, {state}>"


class Watch(Generic[K, V]):
    """What happens to the keys of a range, event by event; `ReplicatedMap.watch` begins it.

    An iterator whose steps wait for the next event, for ever if none comes. Any thread may
    `close` it, which ends the iteration.
    """

    __slots__ = ("__weakref__", "_calls", "_flow", "_rows")

    def __init__(self, calls: Calls[K, V], flow: _kvraft.Flow[EventRow]) -> None:
        self._calls = calls
        self._flow = flow
        self._rows: list[EventRow] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchEvent[K, V]:
        if not self._rows:
            self._rows = self._flow.some().wait()[::-1]
        if not self._rows:
            raise StopIteration
        return self._calls.event(self._rows.pop())

    def next(self, timeout: float) -> WatchEvent[K, V] | None:
        """Wait for the next event, but no longer than `timeout` seconds: then return `None`.

        No event is lost: it comes with a later call. After `close` it returns `None` at once.

        Raises:
            CompactedError: Changes were missed; the watch has ended.
            ClosedError: The map was closed.
        """
        if not self._rows:
            self._rows = (self._flow.some().wait_within(timeout) or [])[::-1]
        return self._calls.event(self._rows.pop()) if self._rows else None

    def close(self) -> None:
        """End it. Who waits for an event gets none."""
        self._rows = []
        self._flow.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def leave(error: BaseException | None, give_back: Callable[[], None]) -> None:
    """Give something back at the end of a block; an error of the block is the one that counts."""
    try:
        give_back()
    except KvraftError as failure:
        if error is None:
            raise
        error.add_note(f"besides: {failure}")
