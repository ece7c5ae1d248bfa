"""The keywords of `open`."""

from pathlib import Path
from typing import Any

import pytest

import kvraft
from kvraft import _kvraft
from loopback import SECRET

KEYWORDS: dict[str, Any] = {
    "name": "a",
    "advertise_http": "http://a.example",
    "labels": {"zone": "1", "rack": "x,y"},
    "consistency": "local",
    "heartbeat_interval": 0.02,
    "election_timeout": 1,
    "request_timeout": 2.5,
    "checkpoint_interval": "500ms",
    "max_value_bytes": 10,
    "storage_limit_bytes": "1MiB",
    "snapshot_bytes_per_second": 16 << 20,
    "listen": None,
    "join": [],
    "auto_promote": True,
}


def test_open_and_connect_have_every_setting_of_the_core() -> None:
    assert {"data_dir", *kvraft.Settings.__annotations__} == set(_kvraft.SETTINGS)
    assert {"endpoints", *kvraft.ClientSettings.__annotations__} == set(_kvraft.CLIENT_SETTINGS)
    for setting in _kvraft.SETTINGS:
        assert f"{setting}: " in str(kvraft.open.__doc__)
    for setting in _kvraft.CLIENT_SETTINGS:
        assert setting in str(kvraft.connect.__doc__)


def test_an_unknown_setting_is_told_the_known_ones(tmp_path: Path) -> None:
    unknown: Any = {"colour": "red"}
    with pytest.raises(TypeError, match=r"open\(\) .*'colour'.*name, listen"):
        kvraft.open(tmp_path, **unknown)
    with pytest.raises(TypeError, match=r"connect\(\) .*'colour'.*name, endpoints"):
        kvraft.connect("a:1", **unknown)


def test_settings_take_the_forms_of_python(tmp_path: Path) -> None:
    with kvraft.open(str(tmp_path), **KEYWORDS) as opened:
        opened.put(b"k", b"0123456789")
        with pytest.raises(kvraft.InvalidArgumentError, match="max_value_bytes is 10"):
            opened.put(b"k", b"0123456789+")
        (member,) = opened.status()["members"]
        assert member["labels"] == KEYWORDS["labels"]
        assert member["http"] == "http://a.example"


def test_members_and_secrets_take_the_forms_of_python(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    address = addresses["a"]
    members: list[Any] = [{"a": address}, f"a={address}"]
    secrets: list[Any] = [SECRET, SECRET.encode(), [SECRET, b"\xff" * 32], (SECRET,)]
    for secret in secrets:
        for form in members:
            with kvraft.open(
                tmp_path, name="a", listen=address, members=form, cluster_secret=secret
            ) as opened:
                opened.wait_ready(20)


def test_a_path_may_be_bytes_and_nothing_else_that_is_no_path(tmp_path: Path) -> None:
    path: Any = bytes(tmp_path)
    with kvraft.open(path):
        assert (tmp_path / "LOCK").is_file()
    no_paths: list[Any] = [7, None, ["x"]]
    for wrong in no_paths:
        with pytest.raises(TypeError, match="data_dir takes a path, not"):
            kvraft.open(wrong)


def test_a_directory_is_opened_once_in_a_process(tmp_path: Path) -> None:
    with kvraft.open(tmp_path), pytest.raises(kvraft.RefusedError, match="in use by this process"):
        kvraft.open(tmp_path)
    with kvraft.open(tmp_path):
        pass


def test_a_secret_may_lie_in_a_file(tmp_path: Path, addresses: dict[str, str]) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    with kvraft.open(tmp_path / "data", listen=addresses["a"], cluster_secret_file=file) as opened:
        opened.wait_ready(20)


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("name", 7),
        ("members", ["a"]),
        ("members", {"a": 1}),
        ("labels", 1),
        ("labels", {"zone": 1}),
        ("labels", {1: "zone"}),
        ("join", 7),
        ("join", ["a:1", 7]),
        ("listen", 7),
        ("auto_promote", 1),
        ("cluster_secret", 7),
        ("cluster_secret", [7]),
        ("tls_ca", 7),
        ("insecure", 1),
        ("request_timeout", [1]),
        ("request_timeout", True),
        ("max_value_bytes", 1.5),
        ("max_value_bytes", True),
    ],
)
def test_a_setting_of_a_wrong_type_is_named(tmp_path: Path, setting: str, wrong: object) -> None:
    settings: dict[str, Any] = {setting: wrong}
    with pytest.raises(TypeError, match=setting):
        kvraft.open(tmp_path, **settings)


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("name", "a b"),
        ("members", "a"),
        ("consistency", "eventual"),
        ("insecure", "perhaps"),
        ("request_timeout", -1),
        ("request_timeout", 3600),
        ("heartbeat_interval", "5"),
        ("max_value_bytes", 1 << 70),
        ("snapshot_bytes_per_second", 0),
        ("cluster_secret_file", "/nonexistent"),
    ],
)
def test_a_setting_of_a_wrong_value_is_named(tmp_path: Path, setting: str, wrong: object) -> None:
    settings: dict[str, Any] = {setting: wrong}
    with pytest.raises(kvraft.InvalidArgumentError, match=setting):
        kvraft.open(tmp_path, **settings)


def test_a_listening_node_without_security_is_told_all_three_ways(tmp_path: Path) -> None:
    with pytest.raises(kvraft.InvalidArgumentError) as caught:
        kvraft.open(tmp_path, listen="127.0.0.1:0")
    for way in ("cluster_secret", "tls_ca", "insecure"):
        assert way in str(caught.value)


def test_insecure_is_for_loopback_unless_anywhere(tmp_path: Path) -> None:
    with kvraft.open(tmp_path, listen="127.0.0.1:0", insecure=True):
        pass
    with pytest.raises(kvraft.InvalidArgumentError, match="loopback"):
        kvraft.open(tmp_path, listen="0.0.0.0:0", insecure=True)


@pytest.mark.parametrize(
    ("endpoints", "settings", "error", "said"),
    [
        (7, {}, TypeError, "endpoints"),
        ([7], {}, TypeError, r"endpoints\[0\] takes a str, not int"),
        ([], {}, kvraft.InvalidArgumentError, "endpoints"),
        ("nowhere", {}, kvraft.InvalidArgumentError, "host:port"),
        ("127.0.0.1:1", {"insecure": True, "request_timeout": -1}, ValueError, "request_timeout"),
        ("127.0.0.1:1", {}, kvraft.InvalidArgumentError, "cluster_secret"),
        (
            "127.0.0.1:1",
            {"insecure": True, "request_timeout": 0.2},
            kvraft.UnavailableError,
            "127.0.0.1:1",
        ),
    ],
)
def test_a_client_is_told_what_is_wrong(
    endpoints: Any, settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        kvraft.connect(endpoints, **settings)
