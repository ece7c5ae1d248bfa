"""The chart renders what a cluster of nodes needs, for every supported Helm and Kubernetes."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from helm import CASES, CHART, Helm, Object, only

KUBERNETES = ["1.27", "1.32", "1.37"]
SERVER = Path(os.environ.get("KVRAFT_SERVER", CHART.parents[1] / "target/debug/kvraft-server"))


def pod(objects: list[Object]) -> Any:
    """Return the pod that the StatefulSet makes."""
    return only(objects, "StatefulSet")["spec"]["template"]


def container(objects: list[Object]) -> Any:
    """Return its only container."""
    (found,) = pod(objects)["spec"]["containers"]
    return found


def settings(objects: list[Object]) -> dict[str, str]:
    """Return the variables that all nodes share."""
    found: dict[str, str] = only(objects, "ConfigMap")["data"]
    return found


def test_helm_finds_no_fault(helm: Helm, case: str) -> None:
    done = helm.run("lint", "--strict", CHART, "--values", CHART / "ci" / f"{case}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_valid(helm: Helm, case: str, version: str) -> None:
    for item in helm.render(case, version=f"{version}.0"):
        kubernetes_validate.validate(item, version, strict=True)


def test_older_kubernetes_is_refused(helm: Helm) -> None:
    done = helm.template("defaults", version="1.26.0")
    assert done.returncode != 0
    assert "kubeVersion" in done.stderr


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("replicaCount=2", "replicaCount"),
        ("raft.port=70000", "port"),
        ("config.colour=red", "colour"),
        ("config.requestTimeout=5", "requestTimeout"),
        ("config.consistency=eventual", "consistency"),
        ("persistence.size=big", "size"),
        ("typo=1", "typo"),
        ("clusterSecret.existingSecret=", "openssl rand"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, setting: str, named: str) -> None:
    done = helm.template("defaults", setting)
    assert done.returncode != 0
    assert named in done.stderr


def test_members_are_the_dns_names_of_all_pods(helm: Helm) -> None:
    members = settings(helm.render("defaults"))["KVRAFT_MEMBERS"].split(",")
    domain = "kvraft-headless.apps.svc.cluster.local:7000"
    assert members == [f"kvraft-{number}=kvraft-{number}.{domain}" for number in range(3)]


@pytest.mark.parametrize("case", CASES)
def test_members_agree_with_the_pods_and_their_service(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    spec, name = (
        only(objects, "StatefulSet")["spec"],
        only(objects, "StatefulSet")["metadata"]["name"],
    )
    members = dict(member.split("=") for member in settings(objects)["KVRAFT_MEMBERS"].split(","))
    assert list(members) == [f"{name}-{number}" for number in range(spec["replicas"])]
    for member, address in members.items():
        assert address.startswith(f"{member}.{spec['serviceName']}.apps.svc.")
        assert len(member) <= 63
    only(objects, "Service", spec["serviceName"])


def test_selectors_match_the_pods_and_nothing_that_changes(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    labels = pod(objects)["metadata"]["labels"]
    selectors = [
        only(objects, "StatefulSet")["spec"]["selector"]["matchLabels"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(item["spec"]["selector"] for item in objects if item["kind"] == "Service"),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any("version" in key or "chart" in key for key in selector)


def test_the_names_of_nodes_are_known_before_they_are_ready(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    headless = only(objects, "Service", only(objects, "StatefulSet")["spec"]["serviceName"])["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert [port["protocol"] for port in headless["ports"]] == ["UDP"]
    assert only(objects, "StatefulSet")["spec"]["podManagementPolicy"] == "Parallel"


def test_no_service_with_a_cluster_ip_carries_raft(helm: Helm, case: str) -> None:
    for item in helm.render(case):
        if item["kind"] == "Service" and item["spec"].get("clusterIP") != "None":
            assert all(port["protocol"] == "TCP" for port in item["spec"]["ports"])


def test_every_named_port_exists_and_is_the_one_that_the_server_listens_on(
    helm: Helm, case: str
) -> None:
    objects = helm.render(case)
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    data = settings(objects)
    for name, variable in [
        ("raft", "LISTEN"),
        ("http", "LISTEN_HTTP"),
        ("health", "LISTEN_HEALTH"),
    ]:
        assert data[f"KVRAFT_{variable}"].rsplit(":", 1)[1] == str(ports[name])
    probes = [value for key, value in container(objects).items() if key.endswith("Probe")]
    used = {probe["httpGet"]["port"] for probe in probes}
    used |= {
        port["targetPort"]
        for item in objects
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
    }
    assert used <= set(ports)


def test_liveness_never_asks_for_a_quorum_and_can_be_turned_off(helm: Helm) -> None:
    probe = container(helm.render("defaults"))
    assert probe["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert probe["startupProbe"]["httpGet"]["path"] == "/livez"
    assert probe["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "livenessProbe" not in container(helm.render("single"))


def test_http_is_reachable_only_after_it_was_called_insecure(helm: Helm) -> None:
    closed = helm.render("defaults")
    assert settings(closed)["KVRAFT_LISTEN_HTTP"].startswith("127.0.0.1:")
    assert len([item for item in closed if item["kind"] == "Service"]) == 1
    opened = helm.render("defaults", "http.insecure=true")
    assert settings(opened)["KVRAFT_INSECURE_HTTP"] == "true"
    assert only(opened, "Service", "kvraft")["spec"]["ports"][0]["targetPort"] == "http"


def test_pods_meet_the_restricted_standard(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    spec, inner = pod(objects)["spec"], container(objects)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["capabilities"] == {"drop": ["ALL"]}


def test_pods_carry_no_token_and_no_variables_of_other_services(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    assert pod(objects)["spec"]["automountServiceAccountToken"] is False
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod(objects)["spec"]["enableServiceLinks"] is False


def test_the_secret_is_a_file_that_the_server_may_read(helm: Helm) -> None:
    objects = helm.render("single")
    secret = next(item["secret"] for item in pod(objects)["spec"]["volumes"] if "secret" in item)
    assert secret["secretName"] == "own"
    assert secret["items"] == [{"key": "secret", "path": "cluster-secret"}]
    assert secret["defaultMode"] == 0o440
    (mount,) = (
        item["mountPath"]
        for item in container(objects)["volumeMounts"]
        if item["name"] == "cluster-secret"
    )
    path = settings(objects)["KVRAFT_CLUSTER_SECRET_FILE"]
    assert path == f"{mount}/{secret['items'][0]['path']}"
    assert not any(item["kind"] == "Secret" for item in objects)


def test_one_node_at_a_time_is_taken_away_and_its_data_stays(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    policy = only(objects, "StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert set(policy.values()) == {"Retain"}


def test_a_changed_setting_restarts_the_pods(helm: Helm) -> None:
    def sum_with(setting: str) -> Any:
        return pod(helm.render("defaults", setting))["metadata"]["annotations"]["checksum/config"]

    assert sum_with("config.requestTimeout=1s") != sum_with("config.requestTimeout=2s")


def test_the_image_is_that_of_the_app_version_unless_told(helm: Helm) -> None:
    version = re.search(r"^appVersion: (\S+)$", (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    assert version is not None
    assert container(helm.render("defaults"))["image"].endswith(f":{version[1]}")
    assert container(helm.render("everything"))["image"] == "registry.example/kvraft-server:1.2.3"


def test_the_server_has_a_flag_for_every_variable(helm: Helm) -> None:
    done = subprocess.run(
        [SERVER, "serve", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    variables = {*settings(helm.render("everything")), "KVRAFT_NAME"}
    for variable in variables:
        flag = "--" + variable.removeprefix("KVRAFT_").lower().replace("_", "-")
        assert re.search(rf"{flag}\b(?!-)", done.stdout), f"the server has no {flag}"


def test_every_setting_of_the_schema_is_tried() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    tried = (CHART / "ci/everything.yaml").read_text()
    for name in schema["properties"]["config"]["properties"]:
        assert f"  {name}:" in tried
