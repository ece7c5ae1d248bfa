"""What an `async` program awaits or opens a block with, and work of several calls in a task."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from kvraft._kvraft import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Mapping
    from types import TracebackType

    from kvraft._calls import Steps

T = TypeVar("T")


class Closes(Protocol):
    """What has an end that is awaited."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give it back."""
        ...


C_co = TypeVar("C_co", bound=Closes, covariant=True)


class Begins(Generic[C_co]):
    """Something that begins when it is awaited, or for the time of an `async with` block."""

    __slots__ = ("_begin", "_begun", "_was_awaited")

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, C_co]]) -> None:
        self._begin = begin
        # Of each task its own, the innermost block last.
        self._begun: list[tuple[asyncio.Task[Any] | None, C_co]] = []
        self._was_awaited = False

    def __repr__(self) -> str:
        what = self._begin.__qualname__.partition(".<locals>")[0]
        return f"<what kvraft.aio.{what} begins when it is awaited>"

    def __del__(self) -> None:
        if not self._was_awaited:
            warnings.warn(f"{self!r} was never awaited", RuntimeWarning, source=self, stacklevel=2)

    def __await__(self) -> Generator[Any, None, C_co]:
        self._was_awaited = True
        return self._begin().__await__()

    async def __aenter__(self) -> C_co:
        self._was_awaited = True
        begun = await self._begin()
        self._begun.append((asyncio.current_task(), begun))
        return begun

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = asyncio.current_task()
        last = max(at for at, (whose, _) in enumerate(self._begun) if whose is task)
        _, begun = self._begun.pop(last)
        await begun.__aexit__(kind, error, traceback)


async def run(steps: Steps[T]) -> T:
    """Take all steps, one after another; what blocks is taken in another thread."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Call):
                    answer = await step
                else:
                    answer = await asyncio.to_thread(step)
            except BaseException as error:  # noqa: BLE001 - the work decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        done: T = end.value
        return done


def document(twins: Mapping[str, Any], of: Mapping[str, Any]) -> None:
    """Add to what functions say of themselves what the twin says that blocks."""
    for name, function in twins.items():
        if name[0] != "_" and inspect.isfunction(function) and inspect.isfunction(of.get(name)):
            function.__doc__ = f"{inspect.getdoc(function)}\n\n{inspect.getdoc(of[name])}"
