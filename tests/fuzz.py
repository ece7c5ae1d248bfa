"""Fuzz the decoders, guided by coverage: `make fuzz SECONDS=60 [TARGET=part of a name]`.

Each test of a module `fuzz` is a target. In `make test` it gets its corpus and a second of random
input; here libFuzzer drives it. Rust's stable compiler counts what runs, so no other is needed.
A crash is kept below `__fuzz__/…/crashes`, where the test finds it from then on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOST = "x86_64-unknown-linux-gnu"
CRATES = ("kvraft",)
FLAGS = (
    "--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module "
    "-Cllvm-args=-sanitizer-coverage-level=4 "
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters "
    "-Cllvm-args=-sanitizer-coverage-pc-table "
    "-Cllvm-args=-sanitizer-coverage-trace-compares"
)
# The most that one input may be, allocate, or run for before it counts as a fault.
LIMITS = ("-max_len=1024", "-malloc_limit_mb=64", "-rss_limit_mb=1024", "-timeout=5")


@dataclass(frozen=True)
class Target:
    """One test that takes bytes."""

    name: str
    binary: Path
    folder: Path

    def run(self, *arguments: str) -> int:
        """Have libFuzzer drive it, and return its exit code."""
        env = os.environ | {
            "BOLERO_TEST_NAME": self.name,
            "BOLERO_LIBFUZZER_ARGS": " ".join(arguments),
        }
        command = [str(self.binary), self.name, "--exact", "--nocapture", "--test-threads", "1"]
        return subprocess.run(command, env=env, check=False, cwd=ROOT).returncode

    def fuzz(self, seconds: int) -> bool:
        """Look for faults for so long, and return whether there was none."""
        corpus, crashes = self.folder / "corpus", self.folder / "crashes"
        for folder in (corpus, crashes):
            folder.mkdir(parents=True, exist_ok=True)
        code = self.run(
            str(corpus), *LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/"
        )
        return code == 0


def build(crate: str) -> Path:
    """Build the unit tests of a crate with counters, and return the program."""
    command = ["cargo", "test", "--locked", "-p", crate, "--lib", "--no-run", "--target", HOST]
    command += ["--target-dir", "target/fuzz", "--message-format", "json-render-diagnostics"]
    env = os.environ | {"RUSTFLAGS": FLAGS}
    done = subprocess.run(command, env=env, check=True, cwd=ROOT, stdout=subprocess.PIPE)
    built = [json.loads(line) for line in done.stdout.splitlines()]
    return next(Path(row["executable"]) for row in built if row.get("executable"))


def targets(binary: Path, crate: str) -> list[Target]:
    """Ask the program for its targets."""
    env = os.environ | {"CARGO_BOLERO_SELECT": "all"}
    command = [str(binary), "fuzz::", "--nocapture", "--test-threads", "1"]
    done = subprocess.run(command, env=env, check=True, cwd=ROOT / crate, stdout=subprocess.PIPE)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b'{"__bolero')]
    return [Target(row["test_name"], binary, Path(row["work_dir"])) for row in rows]


def main() -> int:
    """Fuzz each target in turn, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", default="", help="a part of the names of those to run")
    asked = parser.parse_args()
    chosen = [
        target
        for crate in CRATES
        for target in targets(build(crate), crate)
        if asked.target in target.name
    ]
    failed = [target.name for target in chosen if not target.fuzz(asked.seconds)]
    lines = [f"failed: {name}" for name in failed]
    lines.append(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
