"""A cluster of the built binary on loopback, which asks for tokens, for tests in Python."""

from __future__ import annotations

import json
import os
import queue
import re
import secrets
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("KVRAFT_SERVER", ROOT / "target/debug/kvraft-server"))
START_SECONDS = 30.0
ATTEMPTS = 3
STEADY = ("--heartbeat-interval=200ms", "--election-timeout=2s")
"""No leader is lost because a browser beside it takes all of the processor."""


def free_ports(kind: socket.SocketKind, number: int) -> list[int]:
    """Find free ports on loopback."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Node:
    """One process, which may or may not run."""

    def __init__(self, name: str, raft: int, http: int) -> None:
        """Say where it will be."""
        self.name = name
        self.raft = raft
        self.url = f"http://127.0.0.1:{http}"
        self.process: subprocess.Popen[str] | None = None

    def start(self, folder: Path, members: str, flags: list[str]) -> queue.Queue[str]:
        """Start it; the first line that it says comes out of the queue."""
        log = (folder / f"{self.name}.log").open("a")
        command = [
            str(PROGRAM),
            "serve",
            "--stop-with-stdin",
            f"--name={self.name}",
            f"--data-dir={folder / self.name}",
            f"--listen-http={self.url.removeprefix('http://')}",
            f"--advertise-http={self.url}",
            f"--listen=127.0.0.1:{self.raft}",
            f"--members={members}",
            f"--cluster-secret-file={folder / 'secret'}",
            *STEADY,
            *flags,
        ]
        kept = {name: text for name, text in os.environ.items() if not name.startswith("KVRAFT_")}
        with log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=kept,
            )
        self.process = process
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            if process.stdout is not None:
                for line in process.stdout:
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        return lines

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None


@dataclass(frozen=True)
class Token:
    """A token, and the line that makes it known to a server."""

    secret: str
    line: str


def new_token(role: str) -> Token:
    """Make a token, named after its role."""
    command = [str(PROGRAM), "token", "new", f"--role={role}", f"--name={role}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    secret = re.search(r"\bkvraft_\S+", said)
    line = re.search(rf"\b{role} {role} sha256:\S+", said)
    if secret is None or line is None:
        raise NotStartedError(f"no token in {said!r}")
    return Token(secret[0], line[0])


class Nodes:
    """Three nodes, or as many as are named."""

    def __init__(
        self,
        folder: Path,
        names: str = "abc",
        *,
        tokens: dict[str, Token] | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """Start all, and wait until all are ready. Ports that others took are chosen anew."""
        self.made = tokens or {role: new_token(role) for role in ("read", "write", "admin")}
        self.tokens = {role: token.secret for role, token in self.made.items()}
        for attempt in range(ATTEMPTS):
            self.folder = folder / f"attempt-{attempt}"
            self.folder.mkdir()
            try:
                self._start(names, flags)
            except NotStartedError:
                self.close()
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def _start(self, names: str, flags: tuple[str, ...]) -> None:
        (self.folder / "secret").write_text(secrets.token_hex(32))
        lines = [token.line for token in self.made.values()]
        (self.folder / "tokens").write_text("\n".join(lines) + "\n")
        raft = free_ports(socket.SOCK_DGRAM, len(names))
        http = free_ports(socket.SOCK_STREAM, len(names))
        self.nodes = [Node(*row) for row in zip(names, raft, http, strict=True)]
        self.members = ",".join(f"{node.name}=127.0.0.1:{node.raft}" for node in self.nodes)
        self.flags = [f"--token-file={self.folder / 'tokens'}", *flags]
        said = [node.start(self.folder, self.members, self.flags) for node in self.nodes]
        for node, first in zip(self.nodes, said, strict=True):
            self._listens(node, first)
        for node in self.nodes:
            self.wait_ready(node)

    def _listens(self, node: Node, lines: queue.Queue[str]) -> None:
        try:
            said = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            said = ""
        if not said.startswith("listening "):
            log = (self.folder / f"{node.name}.log").read_text()
            raise NotStartedError(f"node {node.name} does not start: {log[-2000:]}")

    def start(self, node: Node) -> None:
        """Start a node again on its old directory."""
        self._listens(node, node.start(self.folder, self.members, self.flags))

    def restart(self, node: Node) -> None:
        """Start a node again, and wait until it is ready."""
        self.start(node)
        self.wait_ready(node)

    def wait_ready(self, node: Node) -> None:
        """Wait until a node knows a leader."""
        self.until(lambda: self.try_status(node).get("ready") is True, f"{node.name} is ready")

    def until(self, holds: Any, what: str) -> None:
        """Wait until something holds."""
        end = time.monotonic() + START_SECONDS
        while not holds():
            if time.monotonic() > end:
                raise NotStartedError(f"in vain: until {what}")
            time.sleep(0.05)

    def try_status(self, node: Node) -> dict[str, Any]:
        """Return what a node says of itself, or nothing if it does not answer."""
        try:
            status: dict[str, Any] = json.loads(self.ask("GET", "/status", node=node)[1])
        except (OSError, HTTPException):
            return {}
        return status

    def leader(self) -> Node:
        """Return the node that leads, once there is one."""
        found: list[Node] = []

        def leads() -> bool:
            running = [node for node in self.nodes if node.process is not None]
            found[:] = [node for node in running if self.try_status(node).get("isLead") is True]
            return len(found) == 1

        self.until(leads, "one node leads")
        return found[0]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        node: Node | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[HTTPMessage, bytes]:
        """Send a request, with the token of an admin; an answer that is no success raises."""
        address = (node or self.nodes[0]).url.removeprefix("http://")
        sent = {"Authorization": f"Bearer {self.tokens['admin']}", **(headers or {})}
        connection = HTTPConnection(address, timeout=20)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {content!r}")
        return answer.headers, content

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> Self:
        """Return the cluster."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End all."""
        self.close()


class NotStartedError(Exception):
    """A node did not start, or did not get so far in time; the text says which."""
