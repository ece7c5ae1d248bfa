"""What the chart says of rights, secrets and certificates."""

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helm import CASES, Helm, Object, container, every, job_pods, only, only_name, pod, settings

CERTIFICATES = ["existing-secret", "cert-manager", "helm-certificates", "everything"]


def mounted(spec: Any) -> dict[str, Any]:
    """Return the Secrets of a pod by where its only container finds them."""
    (inner,) = spec["containers"]
    volumes = {row["name"]: row["secret"] for row in spec.get("volumes", []) if "secret" in row}
    mounts = [row for row in inner.get("volumeMounts", []) if row["name"] in volumes]
    assert all(row["readOnly"] is True and "subPath" not in row for row in mounts)
    return {row["mountPath"]: volumes[row["name"]] for row in mounts}


def files(objects: list[Object]) -> dict[str, str]:
    """Return the settings of nodes that name files."""
    found = {
        name: value for name, value in settings(objects).items() if value.startswith("/etc/kvraft/")
    }
    for word in container(objects)["args"][1:]:
        name, _, value = word.partition("=")
        found[f"{name} {value}"] = value
    return found


def test_pods_meet_the_restricted_standard(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    for spec in [pod(objects)["spec"], *(job["spec"] for job in job_pods(objects).values())]:
        (inner,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert inner["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_pods_carry_no_token_and_no_variables_of_other_services(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    for spec in [pod(objects)["spec"], *(job["spec"] for job in job_pods(objects).values())]:
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False


def test_every_file_that_is_named_is_mounted_and_may_be_read(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    found = mounted(pod(objects)["spec"])
    for name, value in files(objects).items():
        folder, _, file = value.rpartition("/")
        secret = found[folder]
        assert secret["defaultMode"] == 0o440, name
        if "items" in secret:
            assert file in {item["path"] for item in secret["items"]}, name
    for job in job_pods(objects).values():
        places = mounted(job["spec"])
        for row in job["spec"]["containers"][0]["env"]:
            if row.get("value", "").startswith("/etc/"):
                folder, _, file = row["value"].rpartition("/")
                assert file in {item["path"] for item in places[folder]["items"]}


def test_nodes_see_no_token_in_clear_and_jobs_no_cluster_secret(helm: Helm, case: str) -> None:
    objects = helm.render(case)

    def keys(spec: Any) -> set[str]:
        return {
            item["key"] for secret in mounted(spec).values() for item in secret.get("items", [])
        }

    assert not any("admin" in key for key in keys(pod(objects)["spec"]))
    for job in job_pods(objects).values():
        assert keys(job["spec"]) <= {"admin-token", "admin.token", "ca.crt"}
    variables = [row for row in container(objects)["env"] if "secretKeyRef" in str(row)]
    assert variables == []


def test_http_needs_a_token_until_it_was_called_insecure(helm: Helm) -> None:
    closed = settings(helm.render("defaults"))
    assert closed["KVRAFT_TOKEN_FILE"] == "/etc/kvraft/secret/tokens"
    assert "KVRAFT_INSECURE_HTTP" not in closed
    opened = settings(helm.render("single"))
    assert opened["KVRAFT_INSECURE_HTTP"] == "true"
    assert "KVRAFT_TOKEN_FILE" not in opened


def test_several_cluster_secrets_are_given_in_their_order(helm: Helm) -> None:
    assert container(helm.render("single"))["args"] == [
        "serve",
        "--cluster-secret-file=/etc/kvraft/secret/new.key",
        "--cluster-secret-file=/etc/kvraft/secret/old.key",
    ]
    objects = helm.render("single")
    assert every(objects, "Secret") == []
    (secret,) = mounted(pod(objects)["spec"]).values()
    assert secret["secretName"] == "own"


@pytest.mark.parametrize("case", CASES)
def test_nodes_have_certificates_or_a_secret_and_never_both(helm: Helm, case: str) -> None:
    objects = helm.render(case)
    by_secret = len(container(objects)["args"]) > 1
    assert by_secret == (case not in CERTIFICATES)
    assert by_secret == ("KVRAFT_TLS_CERT" not in settings(objects))


def test_https_follows_the_certificates_unless_told(helm: Helm) -> None:
    def certificate(case: str, *more: str) -> str | None:
        return settings(helm.render(case, *more)).get("KVRAFT_HTTP_TLS_CERT")

    assert certificate("defaults") is None
    assert certificate("cert-manager") == "/etc/kvraft/tls/tls.crt"
    assert certificate("helm-certificates") is None
    assert certificate("everything") == "/etc/kvraft/http-tls/tls.crt"
    own = ("http.tls.mode=existingSecret", "http.tls.existingSecret=web")
    assert certificate("defaults", *own) == "/etc/kvraft/http-tls/tls.crt"


def test_generated_secrets_fit_the_server(helm: Helm) -> None:
    first, second = (only(helm.render_again("generated"), "Secret") for _ in range(2))
    data = {key: base64.b64decode(value) for key, value in first["data"].items()}
    assert len(data["cluster-secret"]) >= 32
    name, role, digest = data["tokens"].decode().split()
    assert (name, role) == ("admin", "admin")
    assert digest == f"sha256:{hashlib.sha256(data['admin-token']).hexdigest()}"
    assert first["data"] != second["data"]
    assert first["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert only_name(helm.render("generated")) == first["metadata"]["name"]


def test_certificates_are_for_both_sides_and_for_every_name(helm: Helm) -> None:
    objects = helm.render("cert-manager")
    made = only(objects, "Certificate", "kvraft-tls")["spec"]
    assert {"server auth", "client auth"} <= set(made["usages"])
    assert {
        "*.kvraft-headless.apps.svc.cluster.local",
        "kvraft.apps.svc.cluster.local",
        "kvraft.apps",
        "localhost",
    } <= set(made["dnsNames"])
    authority = only(objects, "Certificate", "kvraft-tls-ca")["spec"]
    assert (
        only(objects, "Issuer", "kvraft-tls")["spec"]["ca"]["secretName"] == authority["secretName"]
    )
    other = helm.render("everything")
    made = only(other, "Certificate")["spec"]
    assert made["issuerRef"]["name"] == "nodes"
    assert "kv.example" in made["dnsNames"]
    assert every(other, "Issuer") == []


def test_the_certificate_that_helm_makes_is_what_openssl_takes(helm: Helm, tmp_path: Path) -> None:
    data = only(helm.render("helm-certificates"), "Secret", "kvraft-tls")["data"]
    for key, value in data.items():
        (tmp_path / key).write_bytes(base64.b64decode(value))
    verify = ["openssl", "verify", "-CAfile", "ca.crt"]
    names = ["kvraft-0.kvraft-headless.apps.svc.cluster.local", "kvraft.apps", "localhost"]
    for purpose in ("sslserver", "sslclient"):
        for name in names:
            checked = subprocess.run(
                [*verify, "-purpose", purpose, "-verify_hostname", name, "tls.crt"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert checked.returncode == 0, checked.stderr


def test_nodes_talk_only_to_each_other_and_dns(helm: Helm) -> None:
    spec = only(helm.render("defaults"), "NetworkPolicy", "kvraft")["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    raft, http, health = spec["ingress"]
    own = spec["podSelector"]
    assert raft["from"] == [{"podSelector": own}]
    assert "from" not in http
    assert "from" not in health
    to_nodes, to_dns = spec["egress"]
    assert to_nodes["to"] == [{"podSelector": own}]
    assert {port["port"] for port in to_dns["ports"]} == {53}
    assert every(helm.render("single"), "NetworkPolicy") == []


def test_the_jobs_of_a_release_reach_its_nodes_whoever_else_may(helm: Helm) -> None:
    objects = helm.render("everything")
    name = only_name(objects)
    _, http, health = only(objects, "NetworkPolicy", name)["spec"]["ingress"]
    policy = only(objects, "NetworkPolicy", f"{name}-jobs")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
    clients, jobs = http["from"]
    assert clients["podSelector"]["matchLabels"] == {"client": "true"}
    assert "namespaceSelector" in health["from"][0]
    for job in job_pods(objects).values():
        labels = job["metadata"]["labels"]
        for selector in (jobs["podSelector"], policy["podSelector"]):
            assert selector["matchLabels"].items() <= labels.items()
