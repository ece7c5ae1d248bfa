"""Signals that come while a test waits."""

import os
import threading
from collections.abc import Callable

import pytest


def interrupted(wait: Callable[[], object], signal: int) -> None:
    """Wait for what has no end until a signal raises, or before, if the machine is slow."""
    sends = threading.Timer(0.03, os.kill, (os.getpid(), signal))
    sends.start()
    returned = wait()
    sends.cancel()
    pytest.fail(f"it has returned {returned!r}")
