"""Examples in Markdown: found by their marks, then run as a reader would run them.

Each fenced block in `sh`, `python` or `c` is preceded by one of two comments:

    <!-- test: quick-start -->          run it; blocks of one name run one after another, as one
    <!-- not run: needs a cluster -->   do not, for this reason

A block without a mark is a fault, so that no example rots unseen. Rust blocks are documentation
tests of the crate, and need no mark.

In a block of `sh`, lines that begin with `#> ` are what has just been written to the standard
output: a transcript. An ellipsis stands for anything.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(`{3,})(\w*)[^`]*$")
MARK = re.compile(r"^<!-- (test|not run): (.+?) -->$")
RUNNABLE = {"sh": "sh", "python": "py", "c": "c"}
"""Language of a block -> suffix of its file."""
SECONDS = 90
"""More than any example may take; a reader gives up sooner."""
WRITTEN = "#> "
"""How a line of a transcript begins that says what was written."""
TRANSCRIPT = """exec 3>&1 >>transcript
last() { got=$(tail -n "$1" transcript); }
wrong() {
    printf 'wanted:\\n%s\\nwritten:\\n%s\\n' "$1" "$got" >&2
    exit 1
}
shown() { cat transcript >&3; : >transcript; }"""
"""What runs before a transcript: its output goes to a file, so that it can be looked at."""


class ExampleError(Exception):
    """An example that cannot be run, or that did not work."""


@dataclass(frozen=True)
class Example:
    """The text of all blocks of one name."""

    name: str
    language: str
    text: str


def examples(markdown: str) -> list[Example]:
    """Return the examples that are to be run, in order."""
    found: dict[str, Example] = {}
    mark: re.Match[str] | None = None
    lines = enumerate(markdown.splitlines(), start=1)
    for number, line in lines:
        if fence := FENCE.match(line):
            closing = f"{fence[1]}\n"
            body = "".join(iter(lambda: next(lines, (0, fence[1]))[1] + "\n", closing))
            take(found, mark, Example("", fence[2], body), number)
            mark = None
        elif mark is not None and line.strip():
            text = f"line {number}: the mark above this line belongs to no block"
            raise ExampleError(text)
        else:
            mark = MARK.match(line) or mark
    return list(found.values())


def take(
    found: dict[str, Example], mark: re.Match[str] | None, block: Example, number: int
) -> None:
    """Add the block that begins at line `number` to the examples, if its mark says so."""
    if (mark is None) != (block.language not in RUNNABLE):
        fault = "has no mark" if mark is None else "has a mark, and cannot be run"
        text = f"line {number}: the block in {block.language or 'no language'} {fault}"
        raise ExampleError(text)
    if mark is not None and mark[1] == "test":
        join(found, Example(mark[2], block.language, block.text))


def join(found: dict[str, Example], example: Example) -> None:
    """Add a block to the example of its name."""
    before = found.get(example.name)
    if before is None:
        found[example.name] = example
    elif before.language == example.language:
        found[example.name] = Example(example.name, example.language, before.text + example.text)
    else:
        text = f"the example {example.name} is in {before.language} and in {example.language}"
        raise ExampleError(text)


def run(example: Example, folder: Path, programs: Path) -> str:
    """Run an example in `folder`, with `programs` on the path; return its output."""
    file = folder / f"example.{RUNNABLE[example.language]}"
    file.write_text(checked(example.text) if example.language == "sh" else example.text)
    if example.language == "c":
        program = folder / "example"
        libraries = [str(programs / "libkvraft.a"), "-lpthread", "-ldl", "-lm"]
        strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "include")]
        command(["cc", *strict, "-o", str(program), str(file), *libraries], folder, programs)
        return command([str(program)], folder, programs)
    runner = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable]}[example.language]
    return command([*runner, str(file)], folder, programs)


def checked(text: str) -> str:
    """Turn what a transcript says was written into a check of it."""
    lines = text.splitlines()
    if not any(line.startswith(WRITTEN) for line in lines):
        return text
    made = [TRANSCRIPT]
    for written, group in itertools.groupby(lines, lambda line: line.startswith(WRITTEN)):
        if not written:
            made += group
            continue
        # The last lines, as many as are wanted: a server may have said something before.
        wanted = [line.removeprefix(WRITTEN) for line in group]
        whole = "\n".join(wanted)
        pattern = "*".join(shlex.quote(part) for part in whole.split("…"))
        made += [f"last {len(wanted)}", f"[[ $got == {pattern} ]] || wrong {shlex.quote(whole)}"]
        made.append("shown")
    return "\n".join([*made, "shown", ""])


def command(words: list[str], folder: Path, programs: Path) -> str:
    """Run one command to its end, and end whatever it left in the background."""
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | str = process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            code = f"none after {SECONDS} s"
        finally:
            end_group(process.pid)
            process.wait()
    text = log.read_text(errors="replace")
    if code != 0:
        fault = f"{' '.join(words)}: exit code {code}\n{text}"
        raise ExampleError(fault)
    return text


def end_group(group: int) -> None:
    """Kill a process group, which may be empty already."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
