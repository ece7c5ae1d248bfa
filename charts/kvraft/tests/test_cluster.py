"""The rendered chart run for real: each pod is a container of the real image."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from engine import Engine, missing
from helm import HELMS, ROOT, Helm, Object, every, job_pods, only
from kubelet import NAMESPACE, Kubelet, Pod, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TAGS = ["kvraft-server:one", "kvraft-server:two"]
IMAGE = ["image.repository=kvraft-server", "image.tag=one", "image.pullPolicy=Never"]
PATIENCE = 60.0
"""Seconds for what takes a few on a machine that has nothing else to do."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return a container engine that has the image, under two tags of different images."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    started = Engine()
    try:
        started.build(TAGS)
        yield started
    finally:
        started.close()


class Release:
    """An installation of the chart, and a user of it."""

    def __init__(self, kubelet: Kubelet, helm: Helm, case: str, *more: str) -> None:
        """Install it. What is generated is generated once, as it would be kept by `lookup`."""
        self.kubelet, self._helm, self._case, self._home = kubelet, helm, case, kubelet.home
        # The notes forward to the same port here, and tests share this machine.
        self.port = free_port()
        self._settings = [*IMAGE, f"http.port={self.port}", *more]
        self.objects = helm.render_again(case, *self._settings)
        self._secrets = every(self.objects, "Secret")
        self.name = only(self.objects, "StatefulSet")["metadata"]["name"]
        self.token = ""
        self._tls: ssl.SSLContext | None = None
        for secret in self._secrets:
            data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
            self.token = data.get("admin-token", self.token.encode()).decode()
            if "ca.crt" in data:
                self._tls = ssl.create_default_context(cadata=data["ca.crt"].decode())
                # Pods are asked by their addresses here; the notes check the name.
                self._tls.check_hostname = False
        try:
            self.kubelet.apply(self.objects)
        except BaseException:
            self.kubelet.close()
            raise

    def rendered(self, *more: str) -> list[Object]:
        """Return the manifests of an upgrade."""
        objects = self._helm.render_again(self._case, *self._settings, *more)
        return [item for item in objects if item["kind"] != "Secret"] + self._secrets

    def upgrade(self, *more: str) -> None:
        """Do what `helm upgrade` does: first the hook, then the objects."""
        objects = self.rendered(*more)
        replicas = only(objects, "StatefulSet")["spec"]["replicas"]
        if replicas < len(self.kubelet.pods):
            self.job("scale-down", objects)
        self.kubelet.apply(objects)
        self.objects = objects

    def job(self, ending: str, objects: list[Object] | None = None) -> str:
        """Run a job or a test pod of the chart to its end."""
        found = objects or self.objects
        name = f"{self.name}-{ending}"
        return self.kubelet.run_job(name, job_pods(found)[name])

    def call(self, at: Pod, method: str, path: str, body: bytes | None = None) -> Any:
        """Call a pod once; return its answer, or raise what came instead."""
        scheme = "https" if self._tls else "http"
        request = urllib.request.Request(  # noqa: S310 - the scheme is one of these
            f"{scheme}://{at.address}:{self.port}{path}",
            method=method,
            data=body,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=15, context=self._tls) as answer:  # noqa: S310
            return answer.read()

    def put(self, at: Pod, key: str, value: str) -> None:
        """Write through a pod."""
        self.call(at, "PUT", f"/key/{key}", value.encode())

    def get(self, at: Pod, key: str) -> str:
        """Read through a pod."""
        return bytes(self.call(at, "GET", f"/key/{key}?raw")).decode()

    def voters(self) -> list[str]:
        """Return who votes, as any pod knows."""
        at = self.kubelet.endpoints()[0]
        try:
            members = json.loads(self.call(at, "GET", "/cluster/members"))["members"]
        except urllib.error.URLError:
            return []
        return sorted(member["name"] for member in members if member["voter"])

    def leader(self) -> str:
        """Return who leads, once all agree."""

        def known() -> set[str]:
            try:
                told = [self.call(at, "GET", "/status") for at in self.kubelet.endpoints()]
            except urllib.error.URLError:
                return set()
            return {json.loads(text).get("leaderID") or "" for text in told}

        wait_for(lambda: len(known()) == 1 and "" not in known(), PATIENCE)
        return known().pop()

    def notes(self) -> subprocess.CompletedProcess[str]:
        """Run the very lines of the notes, in a shell, as a user does."""
        text = self._helm.notes(self._case, *self._settings)
        wanted = ("kubectl", "TOKEN=", "curl")
        lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
        lines = [line for line in lines if line.startswith(wanted)]
        known = {
            "namespace": NAMESPACE,
            "name": self.name,
            "ready": [at.address for at in self.kubelet.endpoints()],
            "secrets": {item["metadata"]["name"]: item["data"] for item in self._secrets},
        }
        state = self._home / "fakectl.json"
        state.write_text(json.dumps(known))
        program = self._home / "kubectl"
        script = Path(__file__).with_name("fakectl.py")
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n'
        )
        program.chmod(0o755)
        shell = subprocess.Popen(
            ["/bin/bash", "-euc", "\n".join(lines)],
            cwd=self._home,
            env={"PATH": f"{self._home}:{os.environ['PATH']}", "FAKECTL": str(state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            # The end of the shell, not of what it forwards in the background.
            shell.wait(30)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
        out, error = shell.communicate()
        return subprocess.CompletedProcess(lines, shell.returncode, out, error)


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Load:
    """Clients of the Service that write all the time, and try nothing twice."""

    def __init__(self, release: Release) -> None:
        """Start them."""
        self._release, self._end = release, threading.Event()
        self.written: list[str] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(name,)) for name in "ab"]
        for thread in self._threads:
            thread.start()

    def _write(self, name: str) -> None:
        number = 0
        while not self._end.is_set():
            number += 1
            key = f"load-{name}-{number}"
            behind = self._release.kubelet.endpoints()
            if not behind:
                self.failures.append(f"{key}: nobody is ready")
                return
            at = behind[number % len(behind)]
            try:
                self._release.put(at, key, key)
                self.written.append(key)
            except (OSError, urllib.error.URLError) as error:
                self.failures.append(f"{key} at {at.name}: {error}")

    def end(self) -> None:
        """Stop them; every write must have been taken, and be there."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        assert self.failures == []
        assert len(self.written) > 50
        at = self._release.kubelet.endpoints()[0]
        told = json.loads(self._release.call(at, "GET", "/keys?prefix=load-&count"))
        assert told["count"] == len(self.written)


@pytest.fixture(scope="module")
def release(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Return an installation of three nodes that a newcomer makes."""
    helm = Helm(HELMS[-1], tmp_path_factory.mktemp("helm"))
    kubelet = Kubelet(engine, tmp_path_factory.mktemp("release"))
    made = Release(kubelet, helm, "generated", "backup.enabled=true")
    yield made
    made.kubelet.close()


def test_the_image_runs_by_itself_and_refuses_to_be_open_to_all(engine: Engine) -> None:
    done = engine.run("run", "--rm", "--network", "none", TAGS[0], check=False)
    assert done.returncode != 0
    assert "token_file" in done.stderr
    options = ["--read-only", "--cap-drop=ALL", "--tmpfs", "/tmp", "-v", "own:/var/lib/kvraft"]  # noqa: S108
    begun = time.monotonic()
    engine.run(
        *("run", "-d", "--name", "alone", "--network", "none", *options),
        *("-e", "KVRAFT_INSECURE_HTTP=true", TAGS[0]),
    )
    health = ("exec", "alone", "/usr/local/bin/kvraft-server", "healthcheck")
    wait_for(lambda: engine.run(*health, check=False).returncode == 0, PATIENCE)
    taken = time.monotonic() - begun
    size = int(engine.run("image", "inspect", "-f", "{{.Size}}", TAGS[0]).stdout)
    sys.stdout.write(f"image {size / 1e6:.0f} MB (debug build, stripped), up after {taken:.1f} s\n")
    # Asked to stop before it is open, it would say that this came too early.
    engine.run("exec", "alone", "/usr/local/bin/kvraft-server", "put", "hello", "world")
    engine.run("stop", "-t", "30", "alone")
    assert engine.run("inspect", "-f", "{{.State.ExitCode}}", "alone").stdout.strip() == "0"
    engine.run("rm", "-v", "alone")
    engine.run("volume", "rm", "own")


def test_the_nodes_of_compose_found_a_cluster(engine: Engine, tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    secret = tmp_path / "cluster-secret"
    secret.write_text("c0ffee00" * 8)
    network = engine.open_network()
    for name, service in services.items():
        variables = [f"--env={key}={value}" for key, value in service["environment"].items()]
        volumes = [f"--volume=compose-{volume}" for volume in service["volumes"]]
        rights = ["--read-only", *(f"--cap-drop={right}" for right in service["cap_drop"])]
        rights += [f"--security-opt={option}" for option in service["security_opt"]]
        engine.run(
            *("run", "-d", "--name", f"compose-{name}", "--network", network),
            *("--network-alias", name, *(f"--tmpfs={place}" for place in service["tmpfs"])),
            *(f"--volume={secret}:/run/secrets/cluster-secret:ro", *volumes, *variables, *rights),
            TAGS[0],
        )
    program = "/usr/local/bin/kvraft-server"
    first, *_, last = services
    engine.run("exec", f"compose-{first}", program, "put", "greeting", "hello")
    read = engine.run("exec", f"compose-{last}", program, "get", "greeting")
    assert "hello" in read.stdout
    engine.run("rm", "-fv", *(f"compose-{name}" for name in services))


def test_the_lines_of_the_notes_write_and_read_a_key(release: Release) -> None:
    done = release.notes()
    assert done.returncode == 0, done.stderr
    assert '"key":"greeting"' in done.stdout
    assert '"body":"hello"' in done.stdout


def test_every_pod_takes_what_another_one_wrote_and_nobody_without_a_token(
    release: Release,
) -> None:
    pods = list(release.kubelet.pods.values())
    assert len(pods) == 3
    for number, at in enumerate(pods):
        release.put(at, f"from-{number}", at.name)
    for number, writer in enumerate(pods):
        assert {release.get(at, f"from-{number}") for at in pods} == {writer.name}
    right, release.token = release.token, "kvraft_wrong"
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            release.get(pods[0], "from-0")
    finally:
        release.token = right
    assert refused.value.code == 401
    refused.value.close()


def test_the_test_pod_of_the_chart_passes(release: Release) -> None:
    release.job("selftest")


def test_a_backup_is_restored_as_the_first_node_of_a_new_cluster(
    release: Release, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    release.put(release.kubelet.endpoints()[0], "kept", "for later")
    release.job("backup")
    backups = release.kubelet.claims["kvraft-backup"]
    (backup,) = backups.glob("*.kvraft")
    home = tmp_path_factory.mktemp("restored")
    kubelet = Kubelet(engine, home, {"kvraft-backup": backups})
    # The pod of docs/kubernetes.md, with the name of the file and of the image put in.
    told = (ROOT / "docs/kubernetes.md").read_text().partition("<<'END'\n")[2].partition("END\n")[0]
    told = told.replace("/backup/FILE", f"/backup/{backup.name}")
    _, restore = yaml.safe_load_all(re.sub("image: .*", f"image: {TAGS[0]}", told))
    kubelet.run_job("restore", restore)
    helm = Helm(HELMS[-1], home / "helm")
    made = Release(kubelet, helm, "generated")
    try:
        assert {made.get(at, "kept") for at in kubelet.endpoints()} == {"for later"}
        wait_for(lambda: made.voters() == sorted(kubelet.pods), PATIENCE)
    finally:
        kubelet.close()


def test_a_leader_that_is_cut_off_refuses_and_the_others_go_on(release: Release) -> None:
    kubelet, leader = release.kubelet, release.leader()
    address = kubelet.pods[leader].address
    kubelet.disconnect(leader)
    rest = kubelet.endpoints()
    assert leader not in {at.name for at in rest}

    def written() -> bool:
        try:
            release.put(rest[0], "without", leader)
        except urllib.error.URLError:
            return False
        return True

    wait_for(written, PATIENCE)
    assert release.get(rest[1], "without") == leader
    url = f"http://127.0.0.1:{release.port}"
    asked = ("--url", url, "--timeout", "3s")
    # Of the write nobody knows whether it will count: it may go on its way once there is one.
    for words in (("get", "without"), ("put", "perhaps", "later")):
        code, said = kubelet.inside(leader, *words, *asked, token=release.token)
        assert code != 0, said
    kubelet.connect(leader)
    kubelet.wait_ready(PATIENCE)
    assert kubelet.pods[leader].address != address
    assert release.get(kubelet.pods[leader], "without") == leader
    assert kubelet.pods[leader].restarts == 0, "it lived all the time"


def test_a_leader_that_is_killed_comes_back_and_nothing_is_lost(release: Release) -> None:
    kubelet, leader = release.kubelet, release.leader()
    release.put(kubelet.pods[leader], "before", "the kill")
    kubelet.kill(leader)
    wait_for(lambda: kubelet.pods[leader].restarts == 1, PATIENCE)
    kubelet.wait_ready(PATIENCE)
    assert release.get(kubelet.pods[leader], "before") == "the kill"


def test_a_leader_that_is_deleted_hands_over_in_time_and_no_write_fails(release: Release) -> None:
    kubelet, leader = release.kubelet, release.leader()
    load = Load(release)
    kubelet.delete(leader)
    assert release.leader() != leader
    kubelet.start(leader)
    kubelet.wait_ready(PATIENCE)
    load.end()


def test_pods_that_all_come_back_under_new_addresses_find_each_other(release: Release) -> None:
    kubelet = release.kubelet
    before = {at.address for at in kubelet.pods.values()}
    names = list(kubelet.pods)
    release.put(kubelet.pods[names[0]], "stays", "here")
    kubelet.delete(*names)
    for name in names:
        kubelet.start(name)
    kubelet.wait_ready(PATIENCE)
    assert not before & {at.address for at in kubelet.pods.values()}
    assert release.get(kubelet.pods[names[1]], "stays") == "here"


def test_an_upgrade_to_another_image_under_load_fails_no_write(release: Release) -> None:
    load = Load(release)
    release.upgrade("image.tag=two")
    load.end()
    for name in release.kubelet.pods:
        (inner,) = release.kubelet.pods[name].spec["containers"]
        assert inner["image"] == TAGS[1]


def test_a_pod_that_lost_its_disk_gets_everything_from_the_others(release: Release) -> None:
    kubelet = release.kubelet
    name = min(kubelet.pods)
    release.put(kubelet.pods[name], "survives", "the disk")
    kubelet.delete(name)
    kubelet.wipe(name)
    kubelet.start(name)
    kubelet.wait_ready(PATIENCE)
    assert release.get(kubelet.pods[name], "survives") == "the disk"
    wait_for(lambda: len(release.voters()) == 3, PATIENCE)
    assert release.voters() == sorted(kubelet.pods)


def test_three_become_five_and_three_and_five_again(release: Release) -> None:
    kubelet = release.kubelet
    tag = "image.tag=two"
    release.upgrade(tag, "replicaCount=3")
    first = {name: at.address for name, at in kubelet.pods.items()}
    release.put(next(iter(kubelet.pods.values())), "before", "scaling")
    last = f"{release.name}-4"
    for replicas in (5, 3, 5):
        release.upgrade(tag, f"replicaCount={replicas}")
        wait_for(lambda: release.voters() == sorted(kubelet.pods), PATIENCE)
        assert len(kubelet.pods) == replicas
    assert release.get(kubelet.pods[last], "before") == "scaling"
    # Its disk was there still, and bore a member that was let go.
    assert "joins anew" in kubelet.logs(last)
    release.upgrade(tag, "replicaCount=3")
    assert {name: at.address for name, at in kubelet.pods.items()} == first, "nobody was restarted"


def test_certificates_serve_nodes_and_clients_alike(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    helm = Helm(HELMS[-1], tmp_path_factory.mktemp("helm"))
    kubelet = Kubelet(engine, tmp_path_factory.mktemp("certificates"))
    made = Release(kubelet, helm, "helm-certificates", "http.tls.mode=auto")
    try:
        done = made.notes()
        assert done.returncode == 0, done.stderr
        assert '"body":"hello"' in done.stdout
        made.job("selftest")
    finally:
        made.kubelet.close()
