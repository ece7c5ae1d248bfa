"""Progress: whom long work tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    """What is told how far long work is, such as the bar of `tqdm`."""

    def update(self, n: int, /) -> object:
        """Count `n` more: entries of an update, bytes of a backup."""
        ...
