"""`Buffer` is what has bytes: `bytes`, `bytearray`, `memoryview`, an array of numpy."""

from typing import Protocol


class Buffer(Protocol):
    """What `collections.abc.Buffer` is from Python 3.12 on."""

    def __buffer__(self, flags: int, /) -> memoryview:
        """Return a view of the bytes."""
        ...
