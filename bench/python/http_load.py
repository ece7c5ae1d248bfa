"""Idle watches and active clients on one node over HTTP, and the memory that it takes meanwhile.

Prints a page of Markdown. It takes nothing but Python, and the program that it measures:

    python3 bench/python/http_load.py target/release/kvraft-server
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VALUE = b"v" * 256
KEYS = 10_000
SAMPLE_SECONDS = 1.0
"""How often the memory of the node is looked at."""
WARM_PART = 6
"""The memory after this part of the time is what the growth is counted from."""


def say(text: str) -> None:
    """Write a line of the page."""
    sys.stdout.write(f"{text}\n")


async def request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, body: bytes = b""
) -> int:
    """Send one request and read its answer; return the status."""
    lines = f"{head} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(lines.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    lengths = (
        line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    length = next((int(line[15:]) for line in lengths), 0)
    await reader.readexactly(length)
    return int(answer[9:12])


class Load:
    """What the clients have done."""

    def __init__(self, port: int, until: float) -> None:
        """Count from nothing, until that time."""
        self.port = port
        self.until = until
        self.latencies: dict[str, list[float]] = {"PUT": [], "GET": []}
        self.failures: dict[int, int] = {}
        self.memory: list[tuple[float, int]] = []

    async def watch(self, stay: asyncio.Event) -> None:
        """Watch a prefix that nobody writes to."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /watch?prefix=idle HTTP/1.1\r\nhost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            text = f"a watch was refused: {head!r}"
            raise RuntimeError(text)

        async def drain() -> None:
            while await reader.read(4096):
                pass

        draining = asyncio.create_task(drain())
        await stay.wait()
        draining.cancel()
        writer.close()

    async def work(self, number: int) -> None:
        """Put and get keys at random, one after the other."""
        chance = random.Random(number)  # noqa: S311
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while time.monotonic() < self.until:
            key = f"/key/key-{chance.randrange(KEYS):012}"
            verb = chance.choice(("PUT", "GET"))
            begin = time.monotonic()
            status = await request(reader, writer, f"{verb} {key}", VALUE if verb == "PUT" else b"")
            if status in {200, 201, 404}:
                self.latencies[verb].append(time.monotonic() - begin)
            else:
                self.failures[status] = self.failures.get(status, 0) + 1
        writer.close()

    async def weigh(self, pid: int) -> None:
        """Look at the memory of the node again and again."""
        begin = time.monotonic()
        while time.monotonic() < self.until:
            self.memory.append((time.monotonic() - begin, anonymous(pid)))
            await asyncio.sleep(SAMPLE_SECONDS)


def anonymous(pid: int) -> int:
    """Return the bytes of memory that are the node's own: its mapped files are the system's."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    text = "this system does not say what memory a process has"
    raise RuntimeError(text)


def quantile(sorted_values: list[float], part: float) -> str:
    """Return that part of the way through sorted times, in milliseconds."""
    if not sorted_values:
        return "-"
    return (
        f"{sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))] * 1000:.1f}"
    )


async def measure(plan: argparse.Namespace, port: int, pid: int) -> Load:
    """Open the watches, then let the clients work."""
    load = Load(port, 0)
    stay = asyncio.Event()
    before = anonymous(pid)
    watches = [asyncio.create_task(load.watch(stay)) for _ in range(plan.watches)]
    await wait_open(port, plan.watches)
    open_now = anonymous(pid)
    say(f"- the node's own memory before: {before >> 20} MiB; with watches: {open_now >> 20} MiB")
    load.until = time.monotonic() + plan.seconds
    await asyncio.gather(load.weigh(pid), *(load.work(number) for number in range(plan.clients)))
    still = sum(not watch.done() for watch in watches)
    say(f"- watches that lasted: {still} of {plan.watches}")
    stay.set()
    await asyncio.gather(*watches)
    return load


async def wait_open(port: int, count: int) -> None:
    """Wait until the node counts so many watches."""
    for _ in range(600):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = (await reader.read(-1)).decode()
        writer.close()
        if f"\nkvraft_http_watches {count}\n" in text:
            return
        await asyncio.sleep(0.1)
    text = "the watches did not open in time"
    raise RuntimeError(text)


def report(plan: argparse.Namespace, load: Load) -> None:
    """Print what was measured."""
    say(f"- {plan.watches} idle watches, {plan.clients} clients for {plan.seconds} s, on loopback")
    load_after = os.getloadavg()[0]
    say(f"- {os.cpu_count()} cores, Linux {platform.release()}; load after: {load_after:.1f}")
    say(f"- failed requests by status: {load.failures or 'none'}\n")
    say("| request | per second | p50 ms | p99 ms |\n|---|--:|--:|--:|")
    for verb, times in load.latencies.items():
        times.sort()
        rate = len(times) / plan.seconds
        say(f"| {verb} | {rate:.0f} | {quantile(times, 0.5)} | {quantile(times, 0.99)} |")
    say("\n| second | the node's own memory, MiB |\n|--:|--:|")
    step = max(1, len(load.memory) // 12)
    for at, size in load.memory[::step]:
        say(f"| {at:.0f} | {size >> 20} |")
    warm = load.memory[len(load.memory) // WARM_PART][1]
    most = max(size for _, size in load.memory)
    growth = (load.memory[-1][1] - warm) / 2**20
    say(f"\nAt most {most >> 20} MiB; {growth:+.0f} MiB from a sixth of the time on.")


def main() -> None:
    """Run one node, and the load on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--watches", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=256)
    parser.add_argument("--seconds", type=int, default=60)
    plan = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    with tempfile.TemporaryDirectory() as data:
        command = [plan.program, "--data-dir", data, "--listen-http=127.0.0.1:0", "--log=warn"]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        try:
            line = node.stdout.readline() if node.stdout else ""
            port = int(line.split("http=")[1].split(" ")[0].rsplit(":", 1)[1])
            report(plan, asyncio.run(measure(plan, port, node.pid)))
        finally:
            node.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(30)
        say(f"\nThe node ended with {node.returncode}.")
    sys.exit(node.returncode)


if __name__ == "__main__":
    main()
