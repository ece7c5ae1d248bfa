"""Helm: renders the chart with a version of the program, and finds objects in the outcome."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[1]
TOOLS = Path(os.environ.get("KVRAFT_TOOLS", CHART.parents[1] / "target/tools"))
HELMS = ["helm3", "helm4"]
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))

Object = dict[str, Any]


class Helm:
    """One version of the program."""

    def __init__(self, name: str, home: Path) -> None:
        """Keep its caches away from those of the user."""
        self._program = TOOLS / name
        self._environment = {
            "PATH": os.environ["PATH"],
            **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
        }

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever its exit code."""
        return subprocess.run(
            [str(self._program), *(str(word) for word in words)],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def render(self, case: str, *settings: str, version: str = "1.32.0") -> list[Object]:
        """Return the objects of an installation."""
        done = self.template(case, *settings, version=version)
        if done.returncode != 0:
            pytest.fail(done.stderr)
        return [found for found in yaml.safe_load_all(done.stdout) if found]

    def template(
        self, case: str, *settings: str, version: str = "1.32.0"
    ) -> subprocess.CompletedProcess[str]:
        """Render the chart with a file of `ci` and settings on top."""
        values = CHART / "ci" / f"{case}.yaml"
        words = [word for setting in settings for word in ("--set", setting)]
        place = ["--namespace", "apps", "--kube-version", version]
        return self.run("template", "kvraft", CHART, "--values", values, *place, *words)


def only(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """Return the one object of a kind, or the one of that name."""
    found = [
        item
        for item in objects
        if item["kind"] == kind and name in {None, item["metadata"]["name"]}
    ]
    if len(found) != 1:
        pytest.fail(f"{len(found)} objects of kind {kind}, not one")
    return found[0]
