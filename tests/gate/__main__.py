"""The gate: runs the named steps and what they need, or all; ends with one line of counts.

`make test` runs it whole, `make <step>` runs one step.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass

import steps
from shell import ROOT, Shell, StepError
from tally import Tally, allowed_skips, refuse_skips


@dataclass(frozen=True)
class Report:
    """What became of one step."""

    name: str
    seconds: float
    verdict: str
    counts: Tally


def chosen(names: list[str]) -> list[steps.Step]:
    """Return the named steps with all that they need, in the order of the gate."""
    by_name = {step.name: step for step in steps.STEPS}
    wanted: set[str] = set()
    queue = names or list(by_name)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue = [*queue, *by_name[name].needs]
    return [step for step in steps.STEPS if step.name in wanted]


def run(step: steps.Step, built: steps.Built, bad: set[str]) -> Report:
    """Run one step; a failed one that counted no failed test counts as one."""
    missing = sorted(bad & set(step.needs))
    if missing:
        return Report(
            step.name, 0.0, "not run", Tally(failed=[f"{step.name}: {missing[0]} failed"])
        )
    sys.stdout.write(f"\n=== {step.name}: {step.about}\n")
    start = time.monotonic()
    try:
        counts = step.run(Shell(step.minutes * 60), built)
    except StepError as error:
        sys.stdout.write(f"{error}\n")
        counts = Tally(failed=[f"{step.name}: {error}"])
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        refuse_skips(counts, allowed_skips(ROOT / "tests" / "skips.toml"))
    verdict = "FAILED" if counts.failed else "ok"
    return Report(step.name, time.monotonic() - start, verdict, counts)


def table(reports: list[Report]) -> str:
    """Return the seconds and the counts of all steps."""
    head = f"{'step':<10}{'seconds':>9}{'passed':>8}{'failed':>8}{'skipped':>9}  verdict"
    rows = [
        f"{report.name:<10}{report.seconds:>9.1f}{report.counts.passed:>8}"
        f"{len(report.counts.failed):>8}{len(report.counts.skipped):>9}  {report.verdict}"
        for report in reports
    ]
    whole = sum(report.seconds for report in reports)
    return "\n".join(["", head, *rows, f"{'all':<10}{whole:>9.1f}"])


def main() -> int:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(prog="tests/gate", description=__doc__)
    # Asked to end, the gate ends its commands too, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    parser.add_argument("step", nargs="*", choices=[[], *(step.name for step in steps.STEPS)])
    names = parser.parse_args().step
    steps.OUT.mkdir(parents=True, exist_ok=True)
    last = steps.OUT / "summary.txt"
    last.unlink(missing_ok=True)

    built, bad, reports, whole = steps.Built(), set[str](), [], Tally()
    for step in chosen(names):
        report = run(step, built, bad)
        reports.append(report)
        whole.add(report.counts)
        if report.verdict != "ok":
            bad.add(step.name)

    sys.stdout.write(table(reports) + "\n")
    for test, reason in sorted(whole.skipped.items()):
        sys.stdout.write(f"skipped: {test} ({reason})\n")
    for fault in whole.failed:
        sys.stdout.write(f"failed: {fault}\n")
    last.write_text(whole.summary() + "\n")
    sys.stdout.write(whole.summary() + "\n")
    return 1 if whole.failed else 0


if __name__ == "__main__":
    sys.exit(main())
