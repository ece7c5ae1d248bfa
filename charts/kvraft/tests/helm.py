"""Helm: renders the chart with a version of the program, and finds objects in the outcome."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[1]
ROOT = CHART.parents[1]
TOOLS = Path(os.environ.get("KVRAFT_TOOLS", ROOT / "target/tools"))
SERVER = Path(os.environ.get("KVRAFT_SERVER", ROOT / "target/debug/kvraft-server"))
HELMS = ["helm3", "helm4"]
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))

Object = dict[str, Any]


class Helm:
    """One version of the program."""

    def __init__(self, name: str, home: Path) -> None:
        """Keep its caches away from those of the user."""
        self.name = name
        self._rendered: dict[Any, list[Object]] = {}
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
        """Return the objects of an installation; the same ones where they were asked for before."""
        asked = (case, settings, version)
        if asked not in self._rendered:
            self._rendered[asked] = self.render_again(case, *settings, version=version)
        return self._rendered[asked]

    def render_again(self, case: str, *settings: str, version: str = "1.32.0") -> list[Object]:
        """Return the objects of an installation, rendered now: what is generated differs."""
        done = self.template(case, *settings, version=version)
        if done.returncode != 0:
            pytest.fail(done.stderr)
        return [found for found in yaml.load_all(done.stdout, loader()) if found]

    def template(
        self, case: str, *settings: str, version: str = "1.32.0"
    ) -> subprocess.CompletedProcess[str]:
        """Render the chart with a file of `ci` and settings on top."""
        place = ["--namespace", "apps", "--kube-version", version]
        return self.run("template", "kvraft", CHART, *given(case, settings), *place)

    def notes(self, case: str, *settings: str) -> str:
        """Return what a user reads after an installation; only Helm 4 tells without a cluster."""
        place = ["--namespace", "apps", "--dry-run=client"]
        done = self.run("install", "kvraft", CHART, *given(case, settings), *place)
        if done.returncode != 0:
            pytest.fail(done.stderr)
        return done.stdout.partition("NOTES:\n")[2]


def given(case: str, settings: tuple[str, ...]) -> list[str]:
    """Return the words that hand a file of `ci` and settings on top to Helm."""
    words = [word for setting in settings for word in ("--set", setting)]
    return ["--values", str(CHART / "ci" / f"{case}.yaml"), *words]


@cache
def loader() -> Any:
    """Return a loader that refuses a key that is there twice, of which YAML would keep the last."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(load: Any, node: Any) -> Any:
        keys = [load.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            pytest.fail(f"a key is there twice: {sorted(map(str, keys))}")
        return yaml.SafeLoader.construct_mapping(load, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return Strict


def every(objects: list[Object], kind: str) -> list[Object]:
    """Return the objects of a kind."""
    return [item for item in objects if item["kind"] == kind]


def only(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """Return the one object of a kind, or the one of that name."""
    found = [item for item in every(objects, kind) if name in {None, item["metadata"]["name"]}]
    if len(found) != 1:
        pytest.fail(f"{len(found)} objects of kind {kind}, not one")
    return found[0]


def pod(objects: list[Object]) -> Any:
    """Return the pod that the StatefulSet makes."""
    return only(objects, "StatefulSet")["spec"]["template"]


def container(objects: list[Object]) -> Any:
    """Return its only container."""
    (found,) = pod(objects)["spec"]["containers"]
    return found


def settings(objects: list[Object]) -> dict[str, str]:
    """Return the variables that all nodes share."""
    found: dict[str, str] = only(objects, "ConfigMap", only_name(objects))["data"]
    return found


def only_name(objects: list[Object]) -> str:
    """Return the name that most objects of a release have."""
    name: str = only(objects, "StatefulSet")["metadata"]["name"]
    return name


def job_pods(objects: list[Object]) -> dict[str, Any]:
    """Return the pods of all jobs, by their names; each has a `spec` and `metadata`."""
    found = {item["metadata"]["name"]: item for item in every(objects, "Pod")}
    for item in every(objects, "Job"):
        found[item["metadata"]["name"]] = item["spec"]["template"]
    for item in every(objects, "CronJob"):
        found[item["metadata"]["name"]] = item["spec"]["jobTemplate"]["spec"]["template"]
    return found
