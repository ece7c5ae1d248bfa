"""One version for everything that is published: crates, wheel, header, chart and image."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())
VERSION = MANIFEST["workspace"]["package"]["version"]
CRATES = MANIFEST["workspace"]["members"]


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_takes_version_and_rust_version_from_the_workspace(crate: str) -> None:
    package = tomllib.loads((ROOT / crate / "Cargo.toml").read_text())["package"]
    assert package["version"] == {"workspace": True}
    assert package["rust-version"] == {"workspace": True}


def test_crates_depend_on_exactly_their_own_version_of_the_core() -> None:
    assert MANIFEST["workspace"]["dependencies"]["kvraft"]["version"] == f"={VERSION}"


def test_the_wheel_takes_its_version_from_the_crate() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]


def test_the_header_has_the_version_in_its_macros() -> None:
    header = (ROOT / "include/kvraft.h").read_text()
    parts = re.findall(
        r"^#define KVRAFT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.MULTILINE
    )
    assert ".".join(parts) == VERSION


def test_the_chart_and_its_app_have_the_version() -> None:
    chart = yaml.safe_load((ROOT / "charts/kvraft/Chart.yaml").read_text())
    assert chart["version"] == VERSION
    assert chart["appVersion"] == VERSION


def test_the_image_has_the_version_in_its_label() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert f'org.opencontainers.image.version="{VERSION}"' in text


def test_the_changelog_has_a_place_for_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{VERSION}]" in text or "## [Unreleased]" in text


def test_the_build_image_has_the_oldest_supported_rust() -> None:
    rust = MANIFEST["workspace"]["package"]["rust-version"]
    assert f"BUILD_IMAGE=rust:{rust}-" in (ROOT / "Dockerfile").read_text()
