"""The gate counts what the runners said, lets no skip and no licence slip, and knows every test."""

import tomllib
from pathlib import Path

import pytest
import steps
import supply
import tally
import tools
from shell import Shell, StepError

ROOT = Path(__file__).resolve().parents[1]

LIBTEST = """
running 4 tests
test a::works ... ok
test a::breaks ... FAILED
test a::waits ... ignored, needs a disk of its own
test a::refuses - should panic ... ok

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""


def test_counts_of_rust_tests_name_what_did_not_pass() -> None:
    counts = tally.of_libtest("kvraft", LIBTEST.splitlines(), 101)
    assert counts.passed == 2
    assert counts.failed == ["kvraft::a::breaks"]
    assert counts.skipped == {"kvraft::a::waits": "needs a disk of its own"}


def test_a_test_program_that_dies_without_a_summary_is_a_failure() -> None:
    counts = tally.of_libtest("kvraft", ["running 1 test"], 134)
    assert counts.failed == ["kvraft: exit code 134"]


def test_a_failure_whose_line_was_garbled_still_counts() -> None:
    lines = ["test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured;"]
    assert len(tally.of_libtest("kvraft", lines, 101).failed) == 2


def test_counts_of_pytest_come_from_its_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase classname='a' name='works'/>"
        "<testcase classname='a' name='breaks'><failure/></testcase>"
        "<testcase classname='a' name='waits'><skipped message='no disk'/></testcase>"
        "</testsuite></testsuites>"
    )
    counts = tally.of_junit(report, 1)
    assert (counts.passed, counts.failed) == (1, ["a::breaks"])
    assert counts.skipped == {"a::waits": "no disk"}
    assert counts.summary() == "1 passed, 1 failed, 1 skipped"


def test_a_pytest_that_wrote_no_report_is_a_failure(tmp_path: Path) -> None:
    assert tally.of_junit(tmp_path / "none.xml", 4).failed == ["none: exit code 4"]


def test_only_listed_skips_are_let_through(tmp_path: Path) -> None:
    listed = tmp_path / "skips.toml"
    listed.write_text('[[skip]]\ntest = "a::listed"\nreason = "needs two machines"\n')
    counts = tally.Tally(skipped={"a::listed": "", "a::other": "later"})
    tally.refuse_skips(counts, tally.allowed_skips(listed))
    assert list(counts.skipped) == ["a::listed"]
    assert len(counts.failed) == 1


def test_a_listed_skip_without_a_reason_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "skips.toml"
    listed.write_text('[[skip]]\ntest = "a"\nreason = " "\n')
    with pytest.raises(ValueError, match="no reason"):
        tally.allowed_skips(listed)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT/GPL-3.0-only", True),
        ("(GPL-3.0-only OR MIT) AND ISC", True),
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", True),
        ("ISC+", True),
        ("ISC WITH LLVM-exception", False),
    ],
)
def test_a_licence_expression_is_read_as_spdx_means_it(expression: str, *, verdict: bool) -> None:
    assert supply.permits(expression, {"MIT", "ISC"}) is verdict


def test_a_banned_crate_and_a_strange_source_are_named(tmp_path: Path) -> None:
    deny = tmp_path / "deny.toml"
    deny.write_text(
        '[licenses]\nallow = ["MIT"]\nexceptions = []\n[bans]\n'
        'deny = [{ crate = "openssl-sys", reason = "no" }]\n'
        '[sources]\nallow-registry = ["https://registry"]\n'
    )
    package = {"name": "openssl-sys", "source": "git+https://elsewhere", "license": "MIT"}
    assert len(supply.faults({"packages": [package]}, deny)) == 2


def test_every_crate_of_the_workspace_has_a_step_that_runs_its_tests() -> None:
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    names = [
        tomllib.loads((ROOT / member / "Cargo.toml").read_text())["package"]["name"]
        for member in members
    ]
    assert sorted(names) == sorted(name for owned in steps.OWNERS.values() for name in owned)


def test_every_folder_of_python_tests_belongs_to_a_step() -> None:
    run = (ROOT / "tests/gate/steps.py").read_text()
    for test in ROOT.glob("*/**/test_*.py"):
        folder = test.parent.relative_to(ROOT).as_posix()
        if folder.split("/")[0] not in {"target", ".venv"}:
            assert f'"{folder}"' in run, f"no step runs {folder}"


def test_every_step_has_a_make_target_and_needs_only_earlier_steps() -> None:
    makefile = (ROOT / "Makefile").read_text()
    names = [step.name for step in steps.STEPS]
    assert f"STEPS := {' '.join(names)}\n" in makefile
    for number, step in enumerate(steps.STEPS):
        assert set(step.needs) <= set(names[:number])


def test_a_command_past_its_deadline_is_killed_with_its_children() -> None:
    with pytest.raises(StepError, match="deadline"):
        Shell(seconds=0.2).run(["sh", "-c", "sleep 600 & sleep 600"])


def test_a_command_that_fails_ends_its_step() -> None:
    with pytest.raises(StepError, match="exit code 3"):
        Shell(seconds=10).check(["sh", "-c", "exit 3"])


def test_the_python_tools_are_pinned_to_one_version_each() -> None:
    lines = tools.REQUIREMENTS.read_text().splitlines()
    assert all(line.startswith("#") or "==" in line for line in lines)


def test_a_profile_is_handed_on_as_cargo_reads_it() -> None:
    profile = {"debug": "line-tables-only", "package": {"*": {"debug": False}}}
    assert steps.flat("profile.dev", profile) == [
        'profile.dev.debug="line-tables-only"',
        'profile.dev.package."*".debug=false',
    ]
