"""What threads and tasks ask alike, since nobody has to wait for the answer; and their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar

from ._calls import Calls
from ._errors import KvraftError

if TYPE_CHECKING:
    from types import TracebackType

    from . import _kvraft
    from ._codecs import Codecs
    from ._status import MemberStatus, Metrics, Status

K = TypeVar("K")
V = TypeVar("V")


class LeaseFacts:
    """What a lease knows of itself."""

    __slots__ = ("__weakref__", "_given_back", "_native")

    def __init__(self, native: _kvraft.Lease) -> None:
        self._native = native
        self._given_back = False

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

    def __repr__(self) -> str:
        state = "alive" if self.is_alive() else "ended"
        return f"<{type(self).__module__}.Lease {self.id}, {self.ttl:g} s, {state}>"


class LockFacts:
    """What a lock knows of itself."""

    __slots__ = ("__weakref__", "_given_back", "_native")

    def __init__(self, native: _kvraft.Lock) -> None:
        self._native = native
        self._given_back = False

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

    def __repr__(self) -> str:
        state = "held" if self.is_held() else "given back or lost"
        return f"<{type(self).__module__}.Lock {self.name!r}, token {self.token}, {state}>"


class MapFacts(Generic[K, V]):
    """What a map knows of itself and of its cluster."""

    __slots__ = ("__weakref__", "_calls", "_native")

    def __init__(self, native: _kvraft.Map, codecs: Codecs[K, V]) -> None:
        """Make the map of a handle: `open` and `connect` do."""
        self._native = native
        self._calls = Calls(native, codecs)

    def status(self) -> Status:
        """Say what this node knows of itself and its cluster, without asking anyone."""
        return self._native.status()

    def members(self) -> list[MemberStatus]:
        """Return the members, sorted by name, as this node knows them."""
        return self._native.status()["members"]

    def metrics(self) -> Metrics:
        """Say how much this node has done since it was opened, and how much it holds."""
        return self._native.metrics()

    @property
    def max_value_bytes(self) -> int:
        """The largest value in bytes that the cluster takes now."""
        return self._native.max_value_bytes()

    @property
    def max_command_bytes(self) -> int:
        """The largest transaction in bytes that the cluster takes now."""
        return self._native.max_command_bytes()

    def __repr__(self) -> str:
        name = f"{type(self).__module__}.ReplicatedMap"
        if self._native.is_forked():
            return f"<{name} of another process>"
        status = self._native.status()
        return f"<{name} {status['name']!r}, {status['role']}, {status['keys']} keys>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a ReplicatedMap is not pickled: it is threads, files and a socket of this process; "
            "give the other process the addresses of members, and have it connect"
        )


class Block:
    """What a `with` block has, and gives back at its end."""

    __slots__ = ()

    def _leave(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._leave()
        except KvraftError as failure:
            noted(error, failure)


class AsyncBlock:
    """What an `async with` block has, and gives back at its end."""

    __slots__ = ()

    async def _leave(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._leave()
        except KvraftError as failure:
            noted(error, failure)


def noted(error: BaseException | None, failure: KvraftError) -> None:
    """Raise what failed at the end of a block, unless the block has failed: that is what counts."""
    if error is None:
        raise failure
    error.add_note(f"besides: {failure}")
