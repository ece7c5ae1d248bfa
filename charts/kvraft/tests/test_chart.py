"""The chart renders what a cluster of nodes needs, for every supported Helm and Kubernetes."""

import json
import re
import subprocess
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from cloudcoil.models.cert_manager.v1 import Certificate, Issuer
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

from helm import CHART, SERVER, Helm, container, every, job_pods, only, only_name, pod, settings

KUBERNETES = ["1.27", "1.32", "1.37"]
CUSTOM: dict[str, Any] = {
    "Certificate": Certificate,
    "Issuer": Issuer,
    "PrometheusRule": PrometheusRule,
    "ServiceMonitor": ServiceMonitor,
}
"""Kinds that are no part of Kubernetes -> the model that knows their fields."""


def test_helm_finds_no_fault(helm: Helm, case: str) -> None:
    done = helm.run("lint", "--strict", CHART, "--values", CHART / "ci" / f"{case}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_valid(helm: Helm, case: str, version: str) -> None:
    objects = helm.render(case, version=f"{version}.0")
    for item in objects:
        if item["kind"] in CUSTOM:
            # Unknown fields would pass otherwise.
            CUSTOM[item["kind"]].model_validate(item, extra="forbid")
        else:
            kubernetes_validate.validate(item, version, strict=True)
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_older_kubernetes_is_refused(helm: Helm) -> None:
    done = helm.template("defaults", version="1.26.0")
    assert done.returncode != 0
    assert "kubeVersion" in done.stderr


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("replicaCount=2", "replicaCount"),
        ("bootstrapExpect=-1", "bootstrapExpect"),
        ("raft.port=70000", "port"),
        ("config.colour=red", "colour"),
        ("config.requestTimeout=5", "requestTimeout"),
        ("config.consistency=eventual", "consistency"),
        ("persistence.size=big", "size"),
        ("image.digest=1234", "digest"),
        ("security.mode=none", "mode"),
        ("security.tls.existing=x", "existing"),
        ("security.secret.clusterSecretKeys={}", "clusterSecretKeys"),
        ("security.tls.certManager.issuerRef.nam=x", "nam"),
        ("http.tls.mode=on", "mode"),
        ("antiAffinity=maybe", "antiAffinity"),
        ("networkPolicy.enabled=sometimes", "enabled"),
        ("backup.schedule=", "schedule"),
        ("metrics.serviceMonitor.intervall=1s", "intervall"),
        ("extraEnv[0].nme=x", "nme"),
        ("typo=1", "typo"),
        ("security.secret.existing=", "openssl rand"),
        ("security.mode=existingSecret", "security.tls.existingSecret"),
        ("http.tls.mode=existingSecret", "http.tls.existingSecret"),
        ("ingress.enabled=true", "ingress.hosts"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, setting: str, named: str) -> None:
    done = helm.template("defaults", setting)
    assert done.returncode != 0
    assert named in done.stderr


def test_every_value_is_known_to_the_schema_and_tried() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    tried = yaml.safe_load((CHART / "ci/everything.yaml").read_text())

    def compare(at: str, known: Any, default: Any, given: Any) -> None:
        for name, below in known.get("properties", {}).items():
            if f"{at}{name}" == "global":
                continue
            assert name in given, f"ci/everything.yaml lacks {at}{name}"
            # The settings of the server that have no default here are those of the server.
            assert (
                name in default
                or at in {"config.", "resources.", "jobs.resources."}
                or ("issuerRef" in at)
            ), f"values.yaml lacks {at}{name}"
            if below.get("properties") and isinstance(given[name], dict):
                compare(f"{at}{name}.", below, default.get(name, {}), given[name])

    for name in ("resources", "jobs"):
        schema["properties"].pop(name)
    compare("", schema, values, tried)


def test_nodes_find_each_other_at_the_name_of_their_service(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    spec, name = only(objects, "StatefulSet")["spec"], only_name(objects)
    data = settings(objects)
    host, port = data["KVRAFT_DISCOVER_DNS"].split(":")
    assert host.startswith(f"{spec['serviceName']}.apps.svc.")
    assert data["KVRAFT_LISTEN"].split(":")[1] == port
    environment = {row["name"]: row.get("value") for row in container(objects)["env"]}
    assert environment["KVRAFT_ADVERTISE"] == f"$(KVRAFT_NAME).{host}:{port}"
    assert len(f"{name}-6") <= 63
    only(objects, "Service", spec["serviceName"])


def test_all_nodes_are_needed_to_found_a_cluster_unless_told(helm: Helm) -> None:
    assert settings(helm.render("defaults"))["KVRAFT_BOOTSTRAP_EXPECT"] == "3"
    assert settings(helm.render("single"))["KVRAFT_BOOTSTRAP_EXPECT"] == "1"
    assert settings(helm.render("cert-manager"))["KVRAFT_BOOTSTRAP_EXPECT"] == "7"
    assert settings(helm.render("everything"))["KVRAFT_BOOTSTRAP_EXPECT"] == "3"


def test_scaling_changes_nothing_in_the_pods_and_other_settings_do(helm: Helm) -> None:
    three, five = helm.render("defaults"), helm.render("defaults", "replicaCount=5")
    assert pod(three) == pod(five)
    changed = helm.render("defaults", "config.requestTimeout=2s")
    assert pod(three)["metadata"]["annotations"] != pod(changed)["metadata"]["annotations"]


def test_selectors_match_the_nodes_and_neither_jobs_nor_what_changes(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    labels = pod(objects)["metadata"]["labels"]
    selectors = [
        only(objects, "StatefulSet")["spec"]["selector"]["matchLabels"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(item["spec"]["selector"] for item in every(objects, "Service")),
    ]
    if every(objects, "NetworkPolicy"):
        policy = only(objects, "NetworkPolicy", only_name(objects))
        selectors.append(policy["spec"]["podSelector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any("version" in key or "chart" in key for key in selector)
        for job in job_pods(objects).values():
            assert not selector.items() <= job["metadata"]["labels"].items()


def test_the_names_of_nodes_are_known_before_they_are_ready(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    headless = only(objects, "Service", only(objects, "StatefulSet")["spec"]["serviceName"])["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert {port["name"]: port["protocol"] for port in headless["ports"]} == {
        "raft": "UDP",
        "health": "TCP",
    }
    assert only(objects, "StatefulSet")["spec"]["podManagementPolicy"] == "Parallel"


def test_no_service_with_a_cluster_ip_carries_raft(helm: Helm, case: str) -> None:
    for item in every(helm.render(case), "Service"):
        if item["spec"].get("clusterIP") != "None":
            assert [port["name"] for port in item["spec"]["ports"]] == ["http"]


def test_every_named_port_exists_and_is_the_one_that_the_server_listens_on(
    helm: Helm, case: str
) -> None:
    objects = helm.render(case)
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    data = settings(objects)
    variables = {"raft": "LISTEN", "http": "LISTEN_HTTP", "health": "LISTEN_HEALTH"}
    for name, variable in variables.items():
        assert data[f"KVRAFT_{variable}"] == f"0.0.0.0:{ports[name]}"
    probes = [value for key, value in container(objects).items() if key.endswith("Probe")]
    used = {probe["httpGet"]["port"] for probe in probes}
    for item in every(objects, "Service"):
        used |= {port["targetPort"] for port in item["spec"]["ports"]}
    for item in every(objects, "NetworkPolicy"):
        rules = item["spec"].get("ingress", [])
        used |= {port["port"] for rule in rules for port in rule["ports"]}
    for item in every(objects, "ServiceMonitor"):
        used |= {endpoint["port"] for endpoint in item["spec"]["endpoints"]}
    assert used <= set(ports)


def test_only_one_service_has_the_port_that_prometheus_reads(helm: Helm) -> None:
    objects = helm.render("everything")
    (endpoint,) = only(objects, "ServiceMonitor")["spec"]["endpoints"]
    services = every(objects, "Service")
    named = [[port["name"] for port in item["spec"]["ports"]] for item in services]
    assert sum(endpoint["port"] in names for names in named) == 1


def test_liveness_never_asks_for_a_quorum_and_can_be_turned_off(helm: Helm) -> None:
    probe = container(helm.render("defaults"))
    assert probe["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    assert probe["startupProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    assert probe["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert "livenessProbe" not in container(helm.render("single"))


def test_a_pod_has_time_to_stop_in_good_order(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    command = container(objects)["lifecycle"]["preStop"]["exec"]["command"]
    assert command[1] == "wait"
    grace = settings(objects).get("KVRAFT_SHUTDOWN_GRACE", "10s")
    seconds = int(command[2].removesuffix("s")) + int(grace.removesuffix("s"))
    # Ten more for the hand-over and the last checkpoint.
    assert pod(objects)["spec"]["terminationGracePeriodSeconds"] >= seconds + 10


def test_one_node_at_a_time_is_taken_away_and_its_data_stays(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    budget = only(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    policy = only(objects, "StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert set(policy.values()) == {"Retain"}
    for item in [*every(objects, "PersistentVolumeClaim"), *every(objects, "StorageClass")]:
        assert item["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_nodes_stand_apart(helm: Helm) -> None:
    def affinity(kind: str) -> Any:
        return pod(helm.render("defaults", f"antiAffinity={kind}"))["spec"].get("affinity")

    soft, hard = affinity("soft")["podAntiAffinity"], affinity("hard")["podAntiAffinity"]
    (preferred,) = soft["preferredDuringSchedulingIgnoredDuringExecution"]
    (required,) = hard["requiredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"] == required
    assert affinity("none") is None
    (zone,) = pod(helm.render("defaults"))["spec"]["topologySpreadConstraints"]
    assert zone["whenUnsatisfiable"] == "ScheduleAnyway"


def test_longhorn_is_given_one_replica_beside_its_node_and_waits_for_it(helm: Helm) -> None:
    objects = helm.render("existing-secret")
    made = only(objects, "StorageClass")
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"
    assert made["parameters"]["numberOfReplicas"] == "1"
    assert made["parameters"]["dataLocality"] == "strict-local"
    (claim,) = only(objects, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == made["metadata"]["name"]
    (claim,) = only(helm.render("defaults"), "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert "storageClassName" not in claim["spec"]


def test_before_there_are_fewer_nodes_a_hook_lets_the_others_go(helm: Helm) -> None:
    job = only(helm.render("everything"), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    (inner,) = job["spec"]["template"]["spec"]["containers"]
    assert inner["args"] == ["shrink", "5"]
    assert every(helm.render("single"), "Job") == []


def test_the_test_pod_asks_every_node(helm: Helm, case: str) -> None:
    found = only(helm.render(case), "Pod")
    assert found["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert found["spec"]["containers"][0]["args"] == ["selftest"]


def test_each_backup_has_a_name_of_its_own(helm: Helm) -> None:
    job = only(helm.render("everything"), "CronJob")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    spec = job["jobTemplate"]["spec"]["template"]["spec"]
    (inner,) = spec["containers"]
    assert inner["args"] == ["backup", "--output", "/backup/$(POD_NAME).kvraft"]
    claims = [
        row["persistentVolumeClaim"]["claimName"]
        for row in spec["volumes"]
        if "persistentVolumeClaim" in row
    ]
    assert claims == [only(helm.render("everything"), "PersistentVolumeClaim")["metadata"]["name"]]
    assert every(helm.render("existing-secret"), "PersistentVolumeClaim") == []


def test_the_image_is_that_of_the_app_version_unless_told(helm: Helm) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(helm.render("defaults"))["image"].endswith(f"/kvraft-server:{version}")
    exact = container(helm.render("everything"))["image"]
    assert exact.startswith("registry.example/kvraft-server@sha256:")
    for job in job_pods(helm.render("everything")).values():
        assert job["spec"]["containers"][0]["image"] == exact
        assert job["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_the_server_has_a_flag_for_every_variable_and_every_command(helm: Helm) -> None:
    def told(*words: str) -> str:
        done = subprocess.run(
            [SERVER, *words, "--help"], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    objects = [*helm.render("everything"), *helm.render("existing-secret"), *helm.render("single")]
    maps = [item["data"] for item in every(objects, "ConfigMap") if "KVRAFT_LISTEN" in item["data"]]
    names = {name for data in maps for name in data}
    names |= {row["name"] for row in container(helm.render("defaults"))["env"]}
    names |= {word.split("=")[0] for word in container(helm.render("single"))["args"][1:]}
    serve = told("serve")
    for name in sorted(names):
        flag = "--" + name.strip("-").removeprefix("KVRAFT_").lower().replace("_", "-")
        assert re.search(rf"{flag}\b(?!-)", serve), f"the server has no {flag}"
    told("wait")


def test_the_jobs_speak_to_the_service_by_variables_that_the_commands_know(
    helm: Helm, case: str
) -> None:
    objects = helm.render(case)
    scheme = "https" if "KVRAFT_HTTP_TLS_CERT" in settings(objects) else "http"
    port = next(row for row in container(objects)["ports"] if row["name"] == "http")
    for job in job_pods(objects).values():
        (inner,) = job["spec"]["containers"]
        variables = {row["name"]: row.get("value") for row in inner["env"]}
        name = only_name(objects)
        urls = variables["KVRAFT_URL"].split(",")
        assert len(urls) == (
            only(objects, "StatefulSet")["spec"]["replicas"] if inner["args"] == ["selftest"] else 1
        )
        for url in urls:
            host = rf"{scheme}://{name}(-\d\.{name}-headless)?\.apps\.svc\."
            assert re.match(host, url)
            assert url.endswith(f":{port['containerPort']}")
        assert ("KVRAFT_CA" in variables) == (scheme == "https")
        help_text = subprocess.run(
            [SERVER, inner["args"][0], "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for variable in variables.keys() - {"POD_NAME"}:
            assert variable in help_text, f"{inner['args'][0]} does not know {variable}"
