"""Leases, locks and watches in the hands of a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._facts import Block, LeaseFacts, LockFacts

if TYPE_CHECKING:
    from . import _kvraft
    from ._calls import Calls
    from ._rows import EventRow
    from ._types import WatchEvent

K = TypeVar("K")
V = TypeVar("V")


class Lease(LeaseFacts, Block):
    """A lease that is kept alive for as long as this object lives; `ReplicatedMap.lease` grants it.

    Leaving its `with` block revokes it; dropping it lets it end by its time.
    """

    __slots__ = ()

    def wait_ended(self, timeout: float) -> bool:
        """Wait until it may have ended; return whether it may, or `timeout` seconds are over."""
        return self._native.ended().then(lambda _none: True).wait_within(timeout) is not None

    def revoke(self) -> None:
        """End it now: its keys are gone and its locks are free when this returns.

        Raises:
            ExpiredError: It has ended before.
        """
        self._given_back = True
        self._native.revoke().wait()

    def _leave(self) -> None:
        if not self._given_back:
            self.revoke()


class Lock(LockFacts, Block):
    """A lock that is held for as long as this object lives; `ReplicatedMap.lock` takes it.

    Leaving its `with` block gives it back; dropping it does so in the background.
    """

    __slots__ = ()

    def wait_lost(self, timeout: float) -> bool:
        """Wait until it may be another's; return whether it may, or `timeout` seconds are over."""
        return self._native.lost().then(lambda _none: True).wait_within(timeout) is not None

    def unlock(self) -> None:
        """Give it back, and return when the next one may have it.

        Raises:
            ExpiredError: It was lost before: what was done since may have overlapped.
        """
        self._given_back = True
        self._native.unlock().wait()

    def _leave(self) -> None:
        if not self._given_back:
            self.unlock()


class Watch(Block, Generic[K, V]):
    """What happens to the keys of a range, event by event; `ReplicatedMap.watch` begins it.

    An iterator whose steps wait for the next event, for ever if none comes. Of several threads that
    take events each gets others. Any thread may `close` it, which ends the iteration.
    """

    __slots__ = ("__weakref__", "_calls", "_flow")

    def __init__(self, calls: Calls[K, V], flow: _kvraft.Flow[EventRow]) -> None:
        self._calls = calls
        self._flow = flow

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchEvent[K, V]:
        row = self._flow.next().wait()
        if row is None:
            raise StopIteration
        return self._calls.event(row)

    def next(self, timeout: float) -> WatchEvent[K, V] | None:
        """Wait for the next event, but no longer than `timeout` seconds: then return `None`.

        No event is lost: it comes with a later call. After `close` it returns `None` at once.

        Raises:
            CompactedError: Changes were missed; the watch has ended.
            ClosedError: The map was closed.
        """
        row = self._flow.next().wait_within(timeout)
        return None if row is None else self._calls.event(row)

    def close(self) -> None:
        """End it. Who waits for an event gets none."""
        self._flow.close()

    def _leave(self) -> None:
        self.close()
