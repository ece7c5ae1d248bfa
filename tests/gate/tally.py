"""Counts of tests, read from what the test runners say."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (FAILED|ignored)\b(?:, (.*))?")


@dataclass
class Tally:
    """How many tests passed, and which ones did not."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Name of a test -> the reason that its runner gave."""

    def add(self, other: Tally) -> None:
        """Take the counts of another tally in."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped |= other.skipped

    def summary(self) -> str:
        """Return the one line that ends the gate."""
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def of_libtest(prefix: str, lines: Iterable[str], code: int) -> Tally:
    """Count the tests of one or more Rust test programs; `prefix` goes before their names."""
    tally = Tally()
    failed = ignored = 0
    for line in lines:
        if result := RESULT.match(line):
            tally.passed += int(result[1])
            failed += int(result[2])
            ignored += int(result[3])
        elif test := TEST.match(line):
            name = f"{prefix}::{test[1]}"
            if test[2] == "FAILED":
                tally.failed.append(name)
            else:
                tally.skipped[name] = test[3] or "no reason given"
    # Output of a test may hide the line that names it: the totals still count.
    for number in range(len(tally.failed), failed):
        tally.failed.append(f"{prefix}::unnamed failure {number}")
    for number in range(len(tally.skipped), ignored):
        tally.skipped[f"{prefix}::unnamed skip {number}"] = "no reason given"
    if code != 0 and not tally.failed:
        tally.failed.append(f"{prefix}: exit code {code}")
    return tally


def of_junit(path: Path, code: int) -> Tally:
    """Count the tests in the JUnit file of pytest."""
    tally = Tally()
    cases = ET.parse(path).getroot().iter("testcase") if path.is_file() else ()
    for case in cases:
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(name)
        elif skip is not None:
            tally.skipped[name] = skip.get("message", "no reason given")
        else:
            tally.passed += 1
    if code != 0 and not tally.failed:
        tally.failed.append(f"{path.stem}: exit code {code}")
    return tally


def allowed_skips(path: Path) -> dict[str, str]:
    """Read which tests may be skipped in CI, each with its reason."""
    with path.open("rb") as file:
        rows = tomllib.load(file).get("skip", [])
    allowed = {row["test"]: row["reason"].strip() for row in rows}
    for test, reason in allowed.items():
        if not reason:
            text = f"{path}: the skip of {test} has no reason"
            raise ValueError(text)
    return allowed


def refuse_skips(tally: Tally, allowed: dict[str, str]) -> None:
    """Turn each skip that is not allowed into a failure."""
    for test, reason in list(tally.skipped.items()):
        if test not in allowed:
            del tally.skipped[test]
            tally.failed.append(f"{test}: skipped ({reason}), and not listed in tests/skips.toml")
