"""The image is small in rights, and what is written around it fits the server."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from helm import CHART, ROOT, SERVER, TOOLS, Helm

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CHECKOV = CHART / "tests/checkov.yaml"


def told(*words: str) -> str:
    done = subprocess.run(
        [SERVER, *words, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def assert_known(variables: set[str]) -> None:
    serve = told("serve")
    for variable in variables:
        flag = "--" + variable.removeprefix("KVRAFT_").lower().replace("_", "-")
        assert re.search(rf"{flag}\b(?!-)", serve), f"the server has no {flag}"


def test_hadolint_finds_no_fault() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [program, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_builds_without_a_frontend_from_the_network_and_runs_as_a_number() -> None:
    assert "syntax=" not in DOCKERFILE
    assert re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE) == [
        "BUILD_IMAGE",
        "RUNTIME_IMAGE",
        "BIN_STAGE",
    ]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE
    assert_known(set(re.findall(r"\b(KVRAFT_\w+)=", DOCKERFILE)))


def test_a_changed_file_that_cargo_does_not_read_builds_no_image_anew() -> None:
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert kept[0] == "*"
    names = {line.removeprefix("!") for line in kept[1:] if line.startswith("!")}
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    assert {*members, "Cargo.toml", "Cargo.lock"} <= names
    assert "target" not in names


def test_compose_starts_three_nodes_that_know_each_other() -> None:
    services = COMPOSE["services"]
    members = {f"{name}={name}:7000" for name in services}
    for name, service in services.items():
        variables = service["environment"]
        assert variables["KVRAFT_NAME"] == name
        assert set(variables["KVRAFT_MEMBERS"].split(",")) == members
        assert_known(set(variables))
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        (port,) = service["ports"]
        assert port.startswith("127.0.0.1:"), "without tokens for this machine alone"
    assert len(services) == 3
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert f":{version}}}" in services["kv1"]["image"]


@pytest.mark.parametrize("name", ["defaults", "existing-secret"])
def test_checkov_finds_nothing_but_what_is_skipped_with_a_reason(
    helm: Helm, name: str, tmp_path: Path
) -> None:
    for line in CHECKOV.read_text().splitlines():
        if line.strip().startswith("- CKV"):
            assert len(line.partition("#")[2]) > 20, f"no reason: {line}"
    rendered = helm.template(name).stdout
    (tmp_path / "rendered.yaml").write_text(rendered)
    program = TOOLS / "checkov/bin/checkov"
    done = subprocess.run(
        [program, "--config-file", CHECKOV, "--file", tmp_path / "rendered.yaml"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"Passed checks: [1-9]\d+", done.stdout)
