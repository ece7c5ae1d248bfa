"""What users read beside the chart is true: README, notes, annotations, alerts, dashboard."""

import json
import re
import shlex
import tarfile
from pathlib import Path

import pytest
import yaml

import table
from helm import CASES, CHART, HELMS, ROOT, Helm, every, only, settings

COPIES = {
    "alerts.yaml": ROOT / "deploy/prometheus/alerts.yaml",
    "dashboard.json": ROOT / "deploy/grafana/kvraft.json",
}
"""A chart cannot reach out of its folder -> where the file comes from."""


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what a user reads after each installation."""
    newest = Helm(HELMS[-1], tmp_path_factory.mktemp("notes"))
    return {case: newest.notes(case) for case in CASES}


def test_the_readme_has_the_table_of_values() -> None:
    readme = (CHART / "README.md").read_text()
    remedy = "the table is old: python charts/kvraft/tests/table.py"
    assert readme == table.with_table(readme), remedy


@pytest.mark.parametrize("case", CASES)
def test_notes_tell_curl_everything_that_it_needs(
    notes: dict[str, str], case: str, helm: Helm
) -> None:
    text, data = notes[case], settings(helm.render(case))
    calls = [line for line in text.splitlines() if line.strip().startswith("curl")]
    assert len(calls) == 2
    tokens, tls = "KVRAFT_TOKEN_FILE" in data, "KVRAFT_HTTP_TLS_CERT" in data
    port = data["KVRAFT_LISTEN_HTTP"].rpartition(":")[2]
    for call in calls:
        words = shlex.split(call)
        assert words[-1] == f"http{'s' if tls else ''}://localhost:{port}/key/greeting"
        assert ("Authorization: Bearer $TOKEN" in words) == tokens
        assert ("--cacert" in words) == tls
    assert ("get secret" in text) == (tokens or tls)
    assert ("WARNING: without a password" in text) == (not tokens)
    assert "kubectl scale" in text


def test_notes_name_the_keys_of_ones_own_secret(notes: dict[str, str]) -> None:
    assert "get secret secrets -o jsonpath='{.data.admin\\.token}'" in notes["everything"]
    assert "get secret kvraft -o jsonpath='{.data.admin-token}'" in notes["defaults"]
    assert "*.kvraft-headless.apps.svc.cluster.local" in notes["existing-secret"]


def test_the_package_has_what_is_needed_and_no_tests_of_ours(helm: Helm, tmp_path: Path) -> None:
    done = helm.run("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("kvraft-*.tgz"))) as packed:
        names = {name.removeprefix("kvraft/") for name in packed.getnames()}
    for path in CHART.rglob("*"):
        name = path.relative_to(CHART)
        if path.is_file() and "__pycache__" not in name.parts:
            assert (str(name) in names) == (name.parts[0] not in {"tests", "ci"}), name


def test_artifact_hub_can_read_what_the_chart_says_of_itself() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    notes = chart["annotations"]
    (image,) = yaml.safe_load(notes["artifacthub.io/images"])
    assert image["image"] == f"ghcr.io/kvraft/kvraft-server:{chart['appVersion']}"
    for change in yaml.safe_load(notes["artifacthub.io/changes"]):
        assert change["kind"] in {"added", "changed", "deprecated", "removed", "fixed", "security"}
    for link in yaml.safe_load(notes["artifacthub.io/links"]):
        path = link["url"].partition("/blob/main/")[2]
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("name", COPIES)
def test_alerts_and_dashboard_are_those_of_the_project(name: str) -> None:
    copy, source = CHART / "files" / name, COPIES[name]
    assert copy.read_bytes() == source.read_bytes(), f"cp {source} {copy}"


def test_alerts_and_dashboard_are_handed_on_whole(helm: Helm) -> None:
    objects = helm.render("everything")
    rule = only(objects, "PrometheusRule")["spec"]
    assert rule == yaml.safe_load(COPIES["alerts.yaml"].read_text())
    (shown,) = (
        item
        for item in every(objects, "ConfigMap")
        if item["metadata"]["name"].endswith("dashboard")
    )
    assert json.loads(shown["data"]["kvraft.json"]) == json.loads(
        COPIES["dashboard.json"].read_text()
    )


def test_the_commands_in_the_message_about_a_missing_secret_make_one(helm: Helm) -> None:
    told = helm.template("defaults", "security.secret.existing=").stderr
    keys = re.findall(r"--from-literal=([\w-]+)=", told)
    assert keys == ["cluster-secret", "admin-token", "tokens"]
    documented = (ROOT / "docs/kubernetes.md").read_text()
    for line in told.splitlines():
        if "--from-literal" in line:
            assert line.strip() in documented.replace("--namespace apps ", "")
