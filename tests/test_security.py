"""SECURITY.md is held to the code: what it names is there, and what is unsafe it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(
    name for name in set(re.findall(r"`([\w./-]+)`", TEXT)) if "/" in name and "//" not in name
)
UNSAFE = re.compile(r"^\s*#!?\[(?:expect|allow)\(\s*unsafe_code", re.MULTILINE)


def test_it_names_where_its_claims_are_held() -> None:
    assert "kvraft/tests/faults/garbage.rs" in NAMED


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_it_names_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_it_names_every_place_with_unsafe_code() -> None:
    places = {
        path.relative_to(ROOT)
        for crate in ("kvraft", "kvraft-ffi", "kvraft-py", "kvraft-server")
        for path in (ROOT / crate / "src").rglob("*.rs")
        if UNSAFE.search(path.read_text())
    }
    expected = ("kvraft/src/storage/env.rs", "kvraft-ffi/src/lib.rs", "kvraft-py/src/octets.rs")
    assert places == {Path(place) for place in expected}
    assert "`kvraft-py/src/octets.rs`" in TEXT
    assert "`kvraft/src/storage/env.rs`" in TEXT
    assert "`kvraft-ffi`" in TEXT
