"""A kubelet in small: runs the pods of rendered manifests as containers, as a kubelet would.

It has what a pod of this chart meets: Secrets and ConfigMaps, volumes owned through fsGroup, the
security context, limits, DNS names, variables, probes, preStop, the grace; and of the controllers
the StatefulSet's order of rolling updates and scaling. It schedules nothing and has no CSI.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helm import Object, every, only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine import Engine

NAMESPACE = "apps"
UNITS = {"Ki": "k", "Mi": "m", "Gi": "g"}
TICK = 0.2
"""Seconds between two probes of a pod: shorter than in life, where nobody waits for a test."""


@dataclass
class Pod:
    """A pod that has been started."""

    name: str
    spec: Any
    revision: str
    address: str
    ready: bool = False
    ready_since: float | None = None
    answered: float = 0.0
    lives_since: float = field(default_factory=time.monotonic)
    restarts: int = 0
    leaving: bool = False
    cut_off: bool = False


class Kubelet:
    """Runs the pods of one release."""

    def __init__(self, engine: Engine, home: Path, claims: dict[str, Path] | None = None) -> None:
        """Begin with a cluster that has no pods, and maybe some disks."""
        self.engine, self.home = engine, home
        self.pods: dict[str, Pod] = {}
        self.objects: list[Object] = []
        self.claims: dict[str, Path] = claims or {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._watch = threading.Thread(target=self._probe_all, daemon=True)
        self.network = engine.open_network()
        self._watch.start()

    def close(self) -> None:
        """Stop watching, and take all pods away."""
        self._end.set()
        self._watch.join()
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(self._remove, list(self.pods)))

    # What a user does.

    def apply(self, objects: list[Object], *, seconds: float = 90) -> None:
        """Bring about what the manifests say, and wait until it is so."""
        self.objects = objects
        spec = only(objects, "StatefulSet")["spec"]
        names = [self._name(number) for number in range(spec["replicas"])]
        self.delete(*(set(self.pods) - set(names)))
        revision = json.dumps(spec["template"], sort_keys=True)
        # Parallel: all that are missing at once.
        for name in names:
            if name not in self.pods:
                self.start(name)
        self.wait_ready(seconds)
        # A rolling update goes from the last to the first, one at a time.
        for name in reversed(names):
            if self.pods[name].revision != revision:
                self.delete(name)
                self.start(name)
                self.wait_ready(seconds, settled=spec["minReadySeconds"])

    def wait_ready(self, seconds: float = 60, *, settled: float = 0) -> None:
        """Wait until every pod has been ready for a while."""

        def all_ready() -> bool:
            since = [pod.ready_since for pod in self.pods.values() if pod.ready]
            known = [at for at in since if at is not None]
            return len(known) == len(self.pods) and all(
                time.monotonic() - at >= settled for at in known
            )

        try:
            wait_for(all_ready, seconds)
        except TimeoutError:
            logs = "\n".join(f"{name}: {self.logs(name)[-1500:]}" for name in self.pods)
            raise TimeoutError(f"not all pods are ready: {logs}") from None

    def delete(self, *names: str) -> None:
        """Stop pods as `kubectl delete pod` does, all at once."""
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(self._delete, names))

    def _delete(self, name: str) -> None:
        pod = self.pods[name]
        # It leaves the Services at once.
        pod.leaving, pod.ready = True, False
        (inner,) = pod.spec["containers"]
        at = self._container_of(name)
        self.engine.run("exec", at, *inner["lifecycle"]["preStop"]["exec"]["command"])
        grace = pod.spec["terminationGracePeriodSeconds"]
        self.engine.run("stop", "-t", str(grace), at, seconds=grace + 30)
        code = self.engine.run("inspect", "-f", "{{.State.ExitCode}}", at).stdout.strip()
        # Killed at the end of the grace, it would be another one.
        if code != "0":
            raise RuntimeError(f"{name} ended with {code}: {self.logs(name)[-2000:]}")
        self._remove(name)

    def kill(self, name: str) -> None:
        """Kill the process of a pod; its kubelet starts it anew."""
        self.pods[name].ready = False
        self.engine.run("kill", "-s", "KILL", self._container_of(name))

    def wipe(self, name: str) -> None:
        """Lose the disk of a pod that does not run."""
        shutil.rmtree(self.claims.pop(f"data-{name}"))

    def disconnect(self, name: str) -> None:
        """Take the network of a pod away."""
        self.pods[name].cut_off, self.pods[name].ready = True, False
        self.engine.run("network", "disconnect", self.network, self._container_of(name))

    def connect(self, name: str) -> None:
        """Give it back, under another address."""
        pod = self.pods[name]
        address = self.engine.next_address(self.network)
        aliases = [word for alias in self._aliases(name) for word in ("--alias", alias)]
        at = self._container_of(name)
        self.engine.run("network", "connect", "--ip", address, *aliases, self.network, at)
        pod.address, pod.cut_off = address, False

    def run_job(self, name: str, template: Any, *, seconds: float = 120) -> str:
        """Run the pod of a job to its end; return what it said."""
        (inner,) = template["spec"]["containers"]
        words = self._container(name, template["spec"], inner)
        done = self.engine.run("run", "--rm", *words, check=False, seconds=seconds)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, name: str, *words: str, token: str = "") -> tuple[int, str]:
        """Run a command of the server inside a pod; return its exit code and all that it said."""
        variables = ("-e", f"KVRAFT_BEARER_TOKEN={token}")
        done = self.engine.run(
            *("exec", *variables, self._container_of(name), "/usr/local/bin/kvraft-server"),
            *words,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def logs(self, name: str) -> str:
        """Return what a pod has logged."""
        done = self.engine.run("logs", self._container_of(name), check=False)
        return done.stdout + done.stderr

    def endpoints(self) -> list[Pod]:
        """Return the pods that stand behind the Service of clients."""
        return [pod for pod in self.pods.values() if pod.ready and not pod.leaving]

    def start(self, name: str) -> None:
        """Start a pod of the StatefulSet."""
        template = only(self.objects, "StatefulSet")["spec"]["template"]
        spec = template["spec"]
        (inner,) = spec["containers"]
        address = self.engine.next_address(self.network)
        aliases = [word for alias in self._aliases(name) for word in ("--network-alias", alias)]
        words = self._container(name, spec, inner)
        self.engine.run(
            *("run", "-d", "--name", self._container_of(name), "--ip", address), *aliases, *words
        )
        revision = json.dumps(template, sort_keys=True)
        with self._lock:
            self.pods[name] = Pod(name, spec, revision, address)

    # How a pod becomes a container.

    def _name(self, number: int) -> str:
        return f"{only(self.objects, 'StatefulSet')['metadata']['name']}-{number}"

    def _container_of(self, name: str) -> str:
        """Return the name of a container: releases may have pods of the same names."""
        return f"{self.network}-{name}"

    def _aliases(self, name: str) -> list[str]:
        """Return the DNS names of a pod: its own, and those of the Services that have it."""
        spec = only(self.objects, "StatefulSet")["spec"]
        services = [item["metadata"]["name"] for item in every(self.objects, "Service")]
        domain = f"{NAMESPACE}.svc.cluster.local"
        return [
            f"{name}.{spec['serviceName']}.{domain}",
            *(f"{service}.{domain}" for service in services),
        ]

    def _container(self, name: str, spec: Any, inner: Any) -> list[str]:
        """Return the words of `docker run` for the only container of a pod."""
        security = {**spec["securityContext"], **inner.get("securityContext", {})}
        words = ["--hostname", name, "--network", self.network, "--pull", "never"]
        words += ["--user", f"{security['runAsUser']}:{security['runAsGroup']}"]
        words += ["--group-add", str(security["fsGroup"])]
        if security.get("readOnlyRootFilesystem"):
            words.append("--read-only")
        words += [f"--cap-drop={name}" for name in security.get("capabilities", {}).get("drop", [])]
        if security.get("allowPrivilegeEscalation") is False:
            words.append("--security-opt=no-new-privileges")
        limits = inner.get("resources", {}).get("limits", {})
        if "memory" in limits:
            amount = re.sub("Ki|Mi|Gi", lambda unit: UNITS[unit[0]], limits["memory"])
            words.append(f"--memory={amount}")
        if "cpu" in limits:
            words.append(f"--cpus={limits['cpu']}")
        variables = self._variables(name, inner)
        words += [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
        words += self._mounts(name, spec, inner)
        program, *own = inner.get("command") or [None]
        if program is not None:
            words.append(f"--entrypoint={expanded(program, variables)}")
        arguments = [expanded(word, variables) for word in [*own, *inner.get("args", [])]]
        return [*words, inner["image"], *arguments]

    def _variables(self, name: str, inner: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in inner.get("envFrom", []):
            found |= only(self.objects, "ConfigMap", source["configMapRef"]["name"])["data"]
        fields = {"metadata.name": name, "metadata.namespace": NAMESPACE}
        for row in inner.get("env", []):
            if "valueFrom" in row:
                found[row["name"]] = fields[row["valueFrom"]["fieldRef"]["fieldPath"]]
            else:
                found[row["name"]] = expanded(row["value"], found)
        return found

    def _mounts(self, name: str, spec: Any, inner: Any) -> Iterator[str]:
        group = spec["securityContext"]["fsGroup"]
        volumes = {row["name"]: row for row in spec.get("volumes", [])}
        for row in inner.get("volumeMounts", []):
            volume = volumes.get(row["name"])
            if volume is None:
                folder = self.claim(f"{row['name']}-{name}", group)
            elif "persistentVolumeClaim" in volume:
                folder = self.claim(volume["persistentVolumeClaim"]["claimName"], group)
            elif "secret" in volume:
                folder = self._secret(name, volume, group)
            else:
                folder = self._folder(name, row["name"], group)
            suffix = ":ro" if row.get("readOnly") else ""
            yield from ("-v", f"{folder}:{row['mountPath']}{suffix}")

    def claim(self, name: str, group: int) -> Path:
        """Return the disk of a claim, which stays when its pod goes; it is made if need be."""
        if name not in self.claims:
            folder = self._folder("claims", name, group)
            # What a fresh ext4 has at its top.
            (folder / "lost+found").mkdir(mode=0o700, exist_ok=True)
            self.claims[name] = folder
        return self.claims[name]

    def _folder(self, name: str, volume: str, group: int) -> Path:
        """Make a volume that belongs to root, and to the pod through its group."""
        folder = self.home / name / volume
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 0, group)
        folder.chmod(0o2775)
        return folder

    def _secret(self, name: str, volume: Any, group: int) -> Path:
        wanted = volume["secret"]
        folder = self._folder(name, volume["name"], group)
        data = only(self.objects, "Secret", wanted["secretName"])["data"]
        items = wanted.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            file = folder / item["path"]
            file.write_bytes(base64.b64decode(data[item["key"]]))
            os.chown(file, 0, group)
            file.chmod(wanted["defaultMode"])
        return folder

    def _remove(self, name: str) -> None:
        with self._lock:
            self.pods.pop(name, None)
        self.engine.run("rm", "-f", self._container_of(name), check=False)

    # What a kubelet sees to by itself.

    def _probe_all(self) -> None:
        with ThreadPoolExecutor() as all_at_once:
            while not self._end.wait(TICK):
                pods = [pod for pod in self.pods.values() if not pod.leaving and not pod.cut_off]
                list(all_at_once.map(self._probe, pods))

    def _probe(self, pod: Pod) -> None:
        (inner,) = pod.spec["containers"]
        # An address without a container keeps whoever asks it waiting.
        if not pod.ready and not self._runs(pod):
            self._restart(pod)
            return
        answers, now = self._answers(pod, inner, "readinessProbe"), time.monotonic()
        if answers:
            pod.answered = now
        # As often as a probe has to fail, and as long as that takes in life.
        ready = answers or (pod.ready and now - pod.answered < patience(inner["readinessProbe"]))
        if ready and not pod.ready:
            pod.ready_since = now
        pod.ready = ready and not pod.leaving and not pod.cut_off
        if answers or self._answers(pod, inner, "livenessProbe"):
            pod.lives_since = now
        elif now - pod.lives_since > patience(inner["livenessProbe"]):
            self.engine.run("stop", "-t", "30", self._container_of(pod.name), check=False)

    def _runs(self, pod: Pod) -> bool:
        at = self._container_of(pod.name)
        state = self.engine.run("inspect", "-f", "{{.State.Running}}", at, check=False)
        return state.stdout.strip() != "false"

    def _restart(self, pod: Pod) -> None:
        """Start the container of a pod anew: same address, same disk."""
        with self._lock:
            if self.pods.get(pod.name) is not pod or pod.leaving:
                return
            pod.restarts += 1
            pod.lives_since = time.monotonic()
            self.engine.run("start", self._container_of(pod.name), check=False)

    def _answers(self, pod: Pod, inner: Any, kind: str) -> bool:
        probe = inner[kind]
        ports = {row["name"]: row["containerPort"] for row in inner["ports"]}
        get = probe["httpGet"]
        url = f"http://{pod.address}:{ports[get['port']]}{get['path']}"
        try:
            with urllib.request.urlopen(url, timeout=probe["timeoutSeconds"]) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def patience(probe: Any) -> float:
    """Return for how many seconds a probe has to fail until something comes of it."""
    seconds: float = probe["periodSeconds"] * (probe.get("failureThreshold", 3) - 1)
    return seconds


def expanded(text: str, variables: dict[str, str]) -> str:
    """Put variables into a text as Kubernetes does."""
    return re.sub(r"\$\((\w+)\)", lambda name: variables.get(name[1], name[0]), text)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
