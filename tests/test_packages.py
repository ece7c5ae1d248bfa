"""Each crate is fit to be published, and a face reaches no further than the core."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())
CRATES = MANIFEST["workspace"]["members"]
PUBLISHED = [crate for crate in CRATES if crate != "bench"]
FACES = ["kvraft-ffi", "kvraft-py", "kvraft-server", "bench"]
INSIDE_THE_CORE = {"openraft", "quinn", "rustls", "rcgen", "heed"}
# HTTP has certificates of its own, which have nothing to do with those between nodes.
OF_ITS_OWN = {"kvraft-server": {"rustls"}}
SHORTEST_DESCRIPTION = 20


def manifest(crate: str) -> dict[str, Any]:
    """Return the manifest of a crate."""
    return tomllib.loads((ROOT / crate / "Cargo.toml").read_text())


@pytest.mark.parametrize("crate", PUBLISHED)
def test_a_published_crate_says_what_it_is(crate: str) -> None:
    package = manifest(crate)["package"]
    assert len(package["description"]) >= SHORTEST_DESCRIPTION
    for field in ("license", "repository", "homepage", "keywords", "categories"):
        assert package[field] == {"workspace": True}, field


@pytest.mark.parametrize("crate", PUBLISHED)
@pytest.mark.parametrize("licence", ["LICENSE-MIT", "LICENSE-APACHE"])
def test_a_published_crate_carries_its_licences(crate: str, licence: str) -> None:
    assert (ROOT / crate / licence).read_text() == (ROOT / licence).read_text()


@pytest.mark.parametrize("crate", PUBLISHED)
def test_the_readme_of_a_published_crate_exists(crate: str) -> None:
    assert (ROOT / crate / manifest(crate)["package"]["readme"]).is_file()


def test_the_load_generator_is_not_published() -> None:
    assert manifest("bench")["package"]["publish"] is False


@pytest.mark.parametrize("crate", FACES)
def test_a_face_depends_on_nothing_that_belongs_inside_the_core(crate: str) -> None:
    own = OF_ITS_OWN.get(crate, set())
    assert not (INSIDE_THE_CORE - own) & set(manifest(crate)["dependencies"])


@pytest.mark.parametrize("crate", FACES)
def test_a_face_depends_on_no_other_face(crate: str) -> None:
    faces = {"kvraft-ffi", "kvraft-py", "kvraft-server"}
    assert not faces & set(manifest(crate).get("dependencies", {}))


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_keeps_the_lints_of_the_workspace(crate: str) -> None:
    assert manifest(crate)["lints"] == {"workspace": True}
