"""Commands: run in a process group of their own, shown while they run, ended at a deadline."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
"""The top of the project."""


class StepError(Exception):
    """A step cannot go on; its text says why."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    lines: list[str]


class Shell:
    """Runs the commands of one step, all before one deadline."""

    def __init__(self, seconds: float) -> None:
        """Start the clock of the step."""
        self._deadline = time.monotonic() + seconds

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        hide: str | None = None,
    ) -> Finished:
        """Run a command to its end, whatever its exit code; past the deadline it is killed.

        Lines that begin with `hide` are not shown; with an empty one nothing is.
        """
        words = [str(word) for word in argv]
        sys.stdout.write(f"$ {shlex.join(words)}\n")
        sys.stdout.flush()
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            kill_group(process)

        timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), end)
        timer.daemon = True
        timer.start()
        lines = []
        try:
            if process.stdout is not None:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    if hide is None or not line.startswith(hide):
                        sys.stdout.write(line)
                        sys.stdout.flush()
            code = process.wait()
        finally:
            timer.cancel()
            kill_group(process)
            if process.stdout is not None:
                process.stdout.close()
        if late.is_set():
            text = f"{shlex.join(words)}: killed at the deadline of its step"
            raise StepError(text)
        return Finished(code, lines)

    def check(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        hide: str | None = None,
    ) -> Finished:
        """Run a command that must succeed."""
        finished = self.run(argv, cwd=cwd, env=env, hide=hide)
        if finished.code != 0:
            if hide == "":
                sys.stdout.write("\n".join(finished.lines) + "\n")
            text = f"{shlex.join(str(word) for word in argv)}: exit code {finished.code}"
            raise StepError(text)
        return finished


def kill_group(process: subprocess.Popen[str]) -> None:
    """End what is left of a command: a test that died must not leave its servers behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
