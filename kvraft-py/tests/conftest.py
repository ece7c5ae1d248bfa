"""What the tests share: maps that are closed at the end, whatever happened."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import kvraft
from loopback import READY_SECONDS, SECRET, free_addresses

Map = kvraft.ReplicatedMap[bytes, bytes]

# Whoever starts the tests in the background has them, and the processes that they start, ignore
# Ctrl-C; what it does is under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def addresses() -> dict[str, str]:
    """Names and addresses of the members a, b and c."""
    return free_addresses("abc")


@pytest.fixture
def member(tmp_path: Path, addresses: dict[str, str]) -> Iterator[Callable[[str], Map]]:
    """Open the member of a name; all are closed at the end."""
    with ExitStack() as stack:

        def opened(name: str) -> Map:
            return stack.enter_context(
                kvraft.open(
                    tmp_path / name,
                    name=name,
                    listen=addresses[name],
                    members=addresses,
                    cluster_secret=SECRET,
                )
            )

        yield opened


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Map]:
    """Open a single node without a network."""
    with kvraft.open(tmp_path / "single", name="single") as opened:
        opened.wait_ready(READY_SECONDS)
        yield opened


@pytest.fixture
def words(tmp_path: Path) -> Iterator[kvraft.ReplicatedMap[str, Any]]:
    """Open a single node whose keys are text and whose values are JSON."""
    with kvraft.open(tmp_path / "words", codec="json") as opened:
        opened.wait_ready(READY_SECONDS)
        yield opened
