"""Runs every test of the chart with each supported Helm, and with each file of values in `ci`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from helm import CASES, HELMS, Helm


@pytest.fixture(params=HELMS, scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return each version of Helm in turn."""
    return Helm(request.param, tmp_path_factory.mktemp("helm"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """Return the name of each file of values in turn."""
    name: str = request.param
    return name
