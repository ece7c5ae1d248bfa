"""Steps: what the gate checks, in the order in which a fault is cheapest to hear of."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import supply
import tally
import tools
import wheel
from shell import ROOT, Shell, StepError

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = ROOT / "target" / "gate"
STRICT = {"RUSTDOCFLAGS": "-D warnings"}
OWNERS = {
    "core": {"kvraft"},
    "faces": {"kvraft-ffi", "kvraft-py"},
    "server": {"kvraft-server", "kvraft-bench"},
}
"""Step -> the packages whose tests it runs. Every member of the workspace stands here once."""


@dataclass(frozen=True)
class TestProgram:
    """A Rust test program that has been built."""

    package: str
    folder: Path
    target: str
    path: Path


@dataclass
class Built:
    """What one build of the whole workspace left behind.

    One build for all steps: a build per package would pick other features of the dependencies and
    compile them again.
    """

    tests: list[TestProgram] = field(default_factory=list)
    programs: dict[str, Path] = field(default_factory=dict)
    libraries: Path | None = None
    """The folder of the libraries for C."""


@dataclass(frozen=True)
class Step:
    """One check with a name, a limit and what must have succeeded before."""

    name: str
    about: str
    minutes: float
    needs: tuple[str, ...]
    run: Callable[[Shell, Built], tally.Tally]


def install(shell: Shell, _built: Built) -> tally.Tally:
    """Put the tools in place."""
    tools.install(shell)
    return tally.Tally()


def fmt(shell: Shell, _built: Built) -> tally.Tally:
    """Check the form of Rust and Python."""
    shell.check(["cargo", "fmt", "--all", "--check"])
    ruff: list[str | Path] = [tools.python(), "-m", "ruff"]
    shell.check([*ruff, "format", "--check", "."])
    shell.check([*ruff, "check", "."])
    return tally.Tally()


def clippy(shell: Shell, _built: Built) -> tally.Tally:
    """Check the lints of every target."""
    shell.check(
        ["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]
    )
    return tally.Tally()


def doc(shell: Shell, _built: Built) -> tally.Tally:
    """Build the documentation, private items included: their links must hold too."""
    command = ["cargo", "doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]
    shell.check(command, env=STRICT)
    return tally.Tally()


def deny(shell: Shell, _built: Built) -> tally.Tally:
    """Check licences, bans and sources of all dependencies."""
    faults = supply.faults(metadata(shell), ROOT / "deny.toml")
    if faults:
        raise StepError("\n".join(faults))
    return tally.Tally()


def build(shell: Shell, built: Built) -> tally.Tally:
    """Build every test program and every binary once."""
    homes = {package["id"]: package for package in metadata(shell)["packages"]}
    form = "--message-format=json-render-diagnostics"
    # `cargo test --no-run` would leave out the libraries that C links.
    command = ["cargo", "build", "--locked", "--workspace", "--all-targets", form]
    done = shell.check(command, hide="{")
    for line in done.lines:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message["reason"] == "compiler-artifact":
            keep(built, message, homes[message["package_id"]])
    strangers = {test.package for test in built.tests} - set().union(*OWNERS.values())
    if strangers:
        text = f"no step runs the tests of {sorted(strangers)}: add them to OWNERS in {__file__}"
        raise StepError(text)
    return tally.Tally()


def keep(built: Built, artifact: dict[str, Any], package: dict[str, Any]) -> None:
    """Remember what cargo says that it has built, if a step needs it."""
    target = artifact["target"]
    if "cdylib" in target["kind"] and package["name"] == "kvraft-ffi":
        built.libraries = Path(artifact["filenames"][0]).parent
    if artifact["executable"] is None:
        return
    path = Path(artifact["executable"])
    if artifact["profile"]["test"]:
        folder = Path(package["manifest_path"]).parent
        built.tests.append(TestProgram(package["name"], folder, target["name"], path))
    else:
        built.programs[target["name"]] = path


def core(shell: Shell, built: Built) -> tally.Tally:
    """Run the tests of the core, and every documented example."""
    counts = cargo_tests(shell, built, "core")
    done = shell.run(["cargo", "test", "--locked", "--workspace", "--doc"])
    counts.add(tally.of_libtest("doc", done.lines, done.code))
    return counts


def faces(shell: Shell, built: Built) -> tally.Tally:
    """Run the tests of C, those of Python on the wheel that a user would install, and of both."""
    counts = cargo_tests(shell, built, "faces")
    made = wheel.build(shell, "wheels", "--profile", "dev")
    wheel.install(shell, tools.python(), made)
    counts.add(pytest(shell, built, "kvraft-py/tests"))
    counts.add(pytest(shell, built, "kvraft-ffi/tests"))
    for python in wheel.others(shell, made):
        # The examples need a web server; what they show is the same under all interpreters.
        ignore = "--ignore=kvraft-py/tests/test_examples.py"
        counts.add(pytest(shell, built, "kvraft-py/tests", ignore, python=python))
    shell.check([tools.python(), "-m", "mypy.stubtest", "kvraft"])
    shell.check([tools.python(), "-m", "mypy", "--strict"])
    shell.check([tools.python(), "-m", "pyright"])
    return counts


def server(shell: Shell, built: Built) -> tally.Tally:
    """Run the tests of the server and of the load generator, then the demo as a user would.

    Its page is looked at in a browser, and its OpenAPI document is held against a node.
    """
    counts = cargo_tests(shell, built, "server")
    counts.add(pytest(shell, built, "kvraft-server/tests/web"))
    shell.check([tools.python(), "-m", "mypy", "--strict", "kvraft-server/tests/web"])
    demo = shell.run([program(built, "kvraft-server"), "demo"])
    if demo.code == 0:
        counts.passed += 1
    else:
        counts.failed.append(f"kvraft-server demo: exit code {demo.code}")
    return counts


def chart(shell: Shell, built: Built) -> tally.Tally:
    """Lint, render, validate and package the chart, then run it in containers."""
    tools.install_checkov(shell)
    tests = "charts/kvraft/tests"
    in_containers = f"{tests}/test_cluster.py"
    counts = pytest(shell, built, tests, f"--ignore={in_containers}")
    shell.check([tools.python(), "-m", "mypy", "--strict", tests])
    packed = ROOT / "target" / "chart"
    shell.check([tools.TOOLS / "helm4", "package", ROOT / "charts" / "kvraft", "-d", packed])
    reason = tools.install_engine(shell)
    if reason:
        counts.skipped["chart::in_containers"] = reason
    else:
        counts.add(pytest(shell, built, in_containers, "--timeout=240", "-rP"))
    return counts


def house(shell: Shell, built: Built) -> tally.Tally:
    """Run the tests of the project as a whole: versions, README, the gate itself."""
    counts = pytest(shell, built, "tests")
    shell.check([tools.python(), "-m", "mypy", "--strict", "tests"], env={"MYPYPATH": "tests/gate"})
    return counts


def package(shell: Shell, _built: Built) -> tally.Tally:
    """Build each crate and the wheel from what would be published of it.

    A packaged crate has no workspace around it, and so not its profile: it is given here, since
    with another one every dependency would be compiled once more.
    """
    # Cargo unpacks a packaged crate once for each path and version, and would build against what
    # stood in this checkout before.
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for unpacked in cargo_home.glob("registry/src/-*/kvraft*"):
        shutil.rmtree(unpacked)
    command = ["cargo", "package", "--locked", "--workspace", "--exclude", "kvraft-bench"]
    profile = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["dev"]
    settings = [word for line in flat("profile.dev", profile) for word in ("--config", line)]
    shell.check([*command, "--allow-dirty", *settings])
    wheel.release(shell)
    return tally.Tally()


def flat(prefix: str, table: dict[str, Any]) -> list[str]:
    """Return a table of TOML as lines with dotted keys."""
    lines = []
    for key, value in table.items():
        name = f"{prefix}.{key if key.isidentifier() else json.dumps(key)}"
        lines += flat(name, value) if isinstance(value, dict) else [f"{name}={json.dumps(value)}"]
    return lines


def cargo_tests(shell: Shell, built: Built, step: str) -> tally.Tally:
    """Run the test programs that a step owns, all of them whatever fails."""
    counts = tally.Tally()
    libraries = {"KVRAFT_LIB_DIR": str(built.libraries)} if built.libraries else {}
    for test in built.tests:
        if test.package in OWNERS[step]:
            env = {"CARGO_MANIFEST_DIR": str(test.folder), **libraries}
            done = shell.run([test.path], cwd=test.folder, env=env)
            counts.add(tally.of_libtest(f"{test.package}::{test.target}", done.lines, done.code))
    return counts


def pytest(
    shell: Shell, built: Built, folder: str, *options: str, python: Path | None = None
) -> tally.Tally:
    """Run the Python tests of a folder."""
    python = python or tools.python()
    report = OUT / f"{folder.replace('/', '-')}-{python.parts[-3]}.xml"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-q",
        "--timeout=120",
        f"--junitxml={report}",
        *options,
        folder,
    ]
    env = {
        "KVRAFT_SERVER": str(program(built, "kvraft-server")),
        "KVRAFT_LIB_DIR": str(built.libraries),
        "KVRAFT_TOOLS": str(tools.TOOLS),
    }
    done = shell.run(command, env=env)
    return tally.of_junit(report, done.code)


def program(built: Built, name: str) -> Path:
    """Return a binary of the workspace."""
    if name not in built.programs:
        text = f"the build made no {name}"
        raise StepError(text)
    return built.programs[name]


def metadata(shell: Shell) -> dict[str, Any]:
    """Return what cargo knows of the workspace and of all it depends on."""
    done = shell.check(["cargo", "metadata", "--locked", "--format-version", "1"], hide="")
    found: dict[str, Any] = json.loads(next(line for line in done.lines if line.startswith("{")))
    return found


STEPS = (
    Step("tools", "tools in .venv and target/tools", 5, (), install),
    Step("fmt", "rustfmt, ruff", 2, ("tools",), fmt),
    Step("deny", "licences, bans, sources", 2, (), deny),
    Step("clippy", "lints, warnings denied", 15, (), clippy),
    Step("doc", "rustdoc, warnings denied", 10, (), doc),
    Step("build", "one build for all tests", 20, (), build),
    Step("core", "tests and examples of kvraft", 16, ("build",), core),
    Step("faces", "C and Python", 12, ("tools", "build"), faces),
    Step("server", "HTTP, page, demo, load generator", 10, ("tools", "build"), server),
    Step("chart", "lint, render, validate, run in containers", 10, ("tools", "build"), chart),
    Step("house", "versions, README, this gate", 6, ("tools", "build"), house),
    Step("package", "crates and wheel as they would be published", 20, ("tools",), package),
)
