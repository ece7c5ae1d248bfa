"""The wheel of the Python face: built, audited, and put under each interpreter of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tools
from shell import ROOT, StepError

if TYPE_CHECKING:
    from shell import Shell

OUT = ROOT / "target" / "gate"
OLDEST_MINOR, NEWEST_MINOR = 11, 19
"""Python 3.11 is the oldest that the wheel is for; the newest is only where the search ends."""
PLATFORM = "manylinux_2_17"
"""What the released wheel is for: glibc 2.17 of 2012, by which no system of today is left out."""
MAX_BYTES = 12 << 20
"""More than the released wheel may have: about half of that is what it has."""
TEST_TOOLS = (
    "iniconfig",
    "msgpack",
    "packaging",
    "pluggy",
    "Pygments",
    "pytest",
    "pytest-timeout",
    "tqdm",
)
"""What the tests need under another interpreter."""
FIRST_TRY = "import doctest, kvraft; tried = doctest.testmod(kvraft); assert tried == (0, tried[1])"
"""Runs the example of the package, the first that a user tries."""


def build(shell: Shell, name: str, *options: str) -> Path:
    """Build a wheel into a folder of its own."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    maturin: list[str | Path] = [tools.python(), "-m", "maturin", "build", "--locked", *options]
    # maturin looks for zig beside the interpreter that comes first.
    path = f"{tools.VENV / 'bin'}:{os.environ['PATH']}"
    shell.check([*maturin, "--out", folder], env={"PATH": path})
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(shell: Shell, python: Path, wheel: Path) -> None:
    """Install a wheel, which needs nothing else."""
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    shell.check([*pip, "--force-reinstall", "--no-deps", wheel])


def others(shell: Shell, wheel: Path) -> list[Path]:
    """Return an environment with the wheel for each other interpreter that this machine has."""
    pins = [
        line
        for line in tools.REQUIREMENTS.read_text().splitlines()
        if line.partition("==")[0] in TEST_TOOLS
    ]
    pythons = []
    for minor, program in sorted(interpreters().items()):
        folder = OUT / f"python3.{minor}"
        shell.check([program, "-m", "venv", "--clear", folder])
        python = folder / "bin" / "python"
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
        shell.check([*pip, "install", "--no-deps", "--only-binary", ":all:", *pins])
        install(shell, python, wheel)
        pythons.append(python)
    return pythons


def interpreters() -> dict[int, Path]:
    """Find an interpreter of each minor version of Python 3 but the one that runs this."""
    found = {}
    for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1):
        if minor == sys.version_info.minor:
            continue
        on_path = shutil.which(f"python3.{minor}")
        versions = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")
        for program in [*([Path(on_path)] if on_path else []), *versions]:
            # A shim of pyenv is there for versions too that are not chosen.
            probe: list[str | Path] = [
                program,
                "-c",
                "import sys, venv, ensurepip; print(sys.version_info.minor)",
            ]
            done = subprocess.run(probe, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() == str(minor):
                found[minor] = program
                break
    return found


def release(shell: Shell) -> None:
    """Build the wheel that is published, audit it, and try it in an empty environment."""
    wheel = build(shell, "release", "--release", "--zig", "--compatibility", "manylinux2014")
    audit = shell.check([tools.python(), "-m", "auditwheel", "show", wheel])
    text = " ".join(audit.lines)
    if not re.search(rf'platform tag:\s+"{PLATFORM}_', text):
        raise StepError(f"{wheel.name} is not for {PLATFORM}")
    size = wheel.stat().st_size
    sys.stdout.write(f"{wheel.name}: {size:,} bytes\n")
    if size > MAX_BYTES:
        raise StepError(f"{wheel.name} has more than {MAX_BYTES:,} bytes")
    folder = OUT / "empty"
    shell.check([sys.executable, "-m", "venv", "--clear", folder])
    python = folder / "bin" / "python"
    install(shell, python, wheel)
    shell.check([python, "-I", "-W", "error", "-c", FIRST_TRY])
