"""What a read costs in Python: a local get beside a dict and LMDB, and what asyncio adds.

    python bench/python/reads.py             with kvraft, and lmdb for the comparison, installed

Each figure is the best of several rounds, in operations for each second of this thread's own time,
so that what else the machine does weighs little. It prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import platform
import random
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kvraft
import kvraft.aio

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = 100_000
VALUE_BYTES = 256
ROUNDS = 7
READS = 50_000
"""Of one round: long enough that a clock with microseconds is fine."""

Figures = dict[str, float]


def best(name: str, figures: Figures, read: Callable[[bytes], object], keys: list[bytes]) -> None:
    """Note how many reads a second of this thread's time the best round made."""
    rates = []
    for _round in range(ROUNDS):
        start = time.thread_time()
        for key in keys:
            read(key)
        rates.append(len(keys) / (time.thread_time() - start))
    figures[name] = max(rates)


def of_threads(
    figures: Figures, folder: Path, items: dict[bytes, bytes], keys: list[bytes]
) -> None:
    """Measure what blocks: a dict, LMDB, the map with and without a codec."""
    best("`dict.get`", figures, items.get, keys)
    if find_spec("lmdb"):
        lmdb: Any = import_module("lmdb")
        with lmdb.open(str(folder / "lmdb"), map_size=1 << 30) as environment:
            with environment.begin(write=True) as write:
                write.cursor().putmulti(items.items())
            with environment.begin() as kept:
                best("`lmdb`, one transaction kept open", figures, kept.get, keys)

            def fresh(key: bytes) -> object:
                with environment.begin() as read:
                    return read.get(key)

            best("`lmdb`, a transaction each", figures, fresh, keys)
    with kvraft.open(folder / "bytes") as opened:
        opened.update(items)
        get = opened.get

        def local(key: bytes) -> object:
            return get(key, consistency="local")

        best('`m.get(k, consistency="local")`', figures, local, keys)
        best("linearizable, of a cluster of one", figures, get, keys[: READS // 10])
    with kvraft.open(folder / "str", codec="str", consistency="local") as opened_as_str:
        words = {key.decode(): value.decode("latin-1") for key, value in items.items()}
        opened_as_str.update(words)
        texts: Any = [key.decode() for key in keys]
        read: Any = opened_as_str.get
        best('`codec="str"`, local by default', figures, read, texts)


async def of_tasks(figures: Figures, folder: Path, keys: list[bytes]) -> None:
    """Measure what is awaited."""
    async with kvraft.aio.open(folder / "bytes", consistency="local") as opened:
        rates = []
        for _round in range(ROUNDS):
            start = time.thread_time()
            for key in keys:
                await opened.get(key)
            rates.append(len(keys) / (time.thread_time() - start))
        figures["`await m.get(k)`, local"] = max(rates)


def main() -> None:
    """Measure, and print the table."""
    chance = random.Random(7)  # noqa: S311 - the same keys in every run
    items = {b"%016d" % number: chance.randbytes(VALUE_BYTES) for number in range(KEYS)}
    keys = chance.choices(list(items), k=READS)
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        of_threads(figures, Path(folder), items, keys)
        asyncio.run(of_tasks(figures, Path(folder), keys[: READS // 5]))
    setting = f"{KEYS:,} keys of 16 bytes, values of {VALUE_BYTES}, keys at random"
    lines = [
        f"kvraft {kvraft.__version__}, CPython {platform.python_version()}, {setting}",
        "",
        "| read | a second of the thread's time | ns each |",
        "|---|--:|--:|",
    ]
    lines += [f"| {name} | {rate:,.0f} | {1e9 / rate:,.0f} |" for name, rate in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
