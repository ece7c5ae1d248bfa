"""A container engine of the tests' own: started for them, and gone with all that it made."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from helm import ROOT, SERVER, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER, DOCKERD = "/usr/bin/docker", "/usr/sbin/dockerd"
"""Debian's, whose client has BuildKit; another one may come first on the path."""
PACKAGES = ("libc6", "libgcc-s1", "ca-certificates")
START_SECONDS, STOP_SECONDS = 30, 20
SUBNET = "10.213.{}.0/24"


def missing() -> str | None:
    """Return why this machine cannot run containers for a test; nothing if it can."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return "needs root on Debian"
    programs = [DOCKER, DOCKERD, "mmdebstrap", "/usr/bin/strip"]
    lacking = [name for name in programs if not shutil.which(name)]
    return f"needs {', '.join(lacking)}" if lacking else None


class Engine:
    """A Docker daemon with folders, socket and network of its own."""

    def __init__(self) -> None:
        """Start it. It opens no bridge and no iptables of the host: containers need neither."""
        # Short: the path of a socket has a bound.
        self.home = Path(tempfile.mkdtemp(prefix="kvraft-"))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DOCKER_HOST": f"unix://{self.home}/socket",
            "DOCKER_BUILDKIT": "1",
        }
        self._log = (self.home / "dockerd.log").open("w")
        home = self.home
        self._daemon = subprocess.Popen(
            [
                DOCKERD,
                *("--data-root", home / "data", "--exec-root", home / "exec"),
                *("--pidfile", home / "pid", "-H", f"unix://{home}/socket"),
                *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"),
                "--userland-proxy=false",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        self._addresses: dict[str, Iterator[str]] = {}
        try:
            self._wait_for_start()
        except BaseException:
            self.close()
            raise

    def _wait_for_start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.run("version", check=False).returncode != 0:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                log = (self.home / "dockerd.log").read_text()[-2000:]
                raise RuntimeError(f"dockerd did not start: {log}")
            time.sleep(0.1)

    def run(
        self, *words: str | Path, check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Call the client."""
        command = [DOCKER, *map(str, words)]
        done = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done

    def open_network(self) -> str:
        """Make an empty network; return its name."""
        number = len(self._addresses) + 1
        name, subnet = f"kvraft{number}", SUBNET.format(number)
        self.run("network", "create", "--subnet", subnet, name)
        # The first one is that of the bridge.
        self._addresses[name] = (subnet.replace("0/24", str(host)) for host in range(2, 255))
        return name

    def next_address(self, network: str) -> str:
        """Return an address that no container has had: a pod never comes back under its old one."""
        return next(self._addresses[network])

    def build(self, tags: list[str]) -> None:
        """Build the image around the server that the gate has built; each tag is another image."""
        runtime = TOOLS / "runtime.tar"
        if not runtime.exists():
            make_runtime(runtime)
        self.run("import", runtime, "kvraft-runtime:test")
        folder = self.home / "binary"
        folder.mkdir()
        program = folder / "kvraft-server"
        subprocess.run(["/usr/bin/strip", "-o", program, SERVER], check=True, timeout=60)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY kvraft-server /kvraft-server\n")
        self.run("build", "-q", "-t", "kvraft-bin:test", folder)
        parts = ["BIN_STAGE=kvraft-bin:test", "RUNTIME_IMAGE=kvraft-runtime:test"]
        arguments = [word for part in parts for word in ("--build-arg", part)]
        for tag in tags:
            label = f"--label=tag={tag}"
            self.run("build", "-q", "-t", tag, label, *arguments, ROOT)

    def close(self) -> None:
        """End everything: containers, networks, images, the daemon, its folders."""
        if self._daemon.poll() is None:
            names = self.run("ps", "-aq", check=False).stdout.split()
            if names:
                self.run("rm", "-fv", *names, check=False)
            networks = self.run("network", "ls", "-q", "--filter", "type=custom", check=False)
            for name in networks.stdout.split():
                self.run("network", "rm", name, check=False)
            self._daemon.terminate()
            try:
                self._daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        self._log.close()
        # What a daemon leaves mounted that was killed would keep its folder.
        mounts = Path("/proc/mounts").read_text().splitlines()
        for place in sorted((line.split()[1] for line in mounts), reverse=True):
            if place.startswith(f"{self.home}/"):
                subprocess.run(["/usr/bin/umount", "-l", place], check=False, timeout=20)
        shutil.rmtree(self.home, ignore_errors=True)


def make_runtime(archive: Path) -> None:
    """Make the base image of Debian's packages, without a registry of images."""
    sources = Path("/etc/apt/sources.list.d/debian.sources").read_text()
    mirror = next(line.split()[1] for line in sources.splitlines() if line.startswith("URIs:"))
    made = archive.with_suffix(".part.tar")
    command = ["mmdebstrap", "-q", "--variant=extract", f"--include={','.join(PACKAGES)}"]
    subprocess.run(
        [*command, "bookworm", made, f"deb {mirror} bookworm main"],
        check=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )
    made.rename(archive)
