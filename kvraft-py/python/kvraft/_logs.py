"""Logs of the core in Python's `logging`."""

from __future__ import annotations

import logging
import os
import threading

from . import _kvraft

_ROOM = "kvraft::"
_STARTED = threading.Lock()
_threads: list[threading.Thread] = []
# A forked child has no such thread, until it asks for the records itself.
os.register_at_fork(after_in_child=_threads.clear)


def log_to_logging(level: int | str = logging.INFO) -> None:
    """Hand what the core says of its work to the logger `kvraft` and its children, from now on.

    The children are named for the rooms of the core, as in `kvraft.node.lead`, and for the
    libraries below it, as in `kvraft.openraft`. A daemon thread
    does it, so that no thread of the core waits for Python; if it falls 4096 records behind, it
    loses some and says how many. Calling it again changes the level. A forked child calls it anew.

    Args:
        level: The least level that is taken from the core, as in `logging.DEBUG` or `"DEBUG"`.
            What the loggers and handlers let through is set there, as ever.

    Raises:
        ValueError: There is no level of that name.
        InvalidArgumentError: Another part of this process takes the records already.
    """
    _kvraft.keep_logs(_number(level))
    with _STARTED:
        if not _threads:
            thread = threading.Thread(target=_hand_over, name="kvraft-logging", daemon=True)
            _threads.append(thread)
            thread.start()


def _number(level: int | str) -> int:
    if isinstance(level, str):
        levels = logging.getLevelNamesMapping()
        if level not in levels:
            raise ValueError(f"level {level!r} is unknown; there are {', '.join(levels)}")
        return levels[level]
    if not isinstance(level, int):
        raise TypeError(f"level takes an int or a str, not {type(level).__name__}")
    # Above the highest of the core there is nothing, and below its lowest neither.
    return min(max(level, 0), 0xFF)


def _hand_over() -> None:
    while True:
        records, dropped = _kvraft.take_logs().wait()
        for level, room, text in records:
            name = "kvraft." + room.removeprefix(_ROOM).replace("::", ".")
            logging.getLogger(name).log(level, "%s", text)
        if dropped:
            logging.getLogger("kvraft").warning("%d records were dropped before these", dropped)
