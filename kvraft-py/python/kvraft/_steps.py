"""Steps: work of several calls, driven by a thread that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ._kvraft import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._calls import Steps

T = TypeVar("T")


def run(steps: Steps[T]) -> T:
    """Take all steps, one after another, in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = taken(step)
            except BaseException as error:  # noqa: BLE001 - the work decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        done: T = end.value
        return done


def taken(step: Call[Any] | Callable[[], Any]) -> Any:  # noqa: ANN401
    """Take one step in this thread."""
    return step.wait() if isinstance(step, Call) else step()
