"""Three members: all in this process, and one beside two servers."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import kvraft
from loopback import READY_SECONDS, SECRET

Map = kvraft.ReplicatedMap[bytes, bytes]
Member = Callable[[str], Map]


def leader_of(maps: dict[str, Map]) -> str:
    """Wait until all of the maps name the same leader among them."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        leaders = {one.status()["leader"] for one in maps.values()}
        leader = leaders.pop()
        if not leaders and leader in maps:
            return leader
        time.sleep(0.01)
    pytest.fail(f"no leader: {[one.status() for one in maps.values()]}")


def test_three_maps_in_one_process_are_one_map(member: Member) -> None:
    maps = {name: member(name) for name in "abc"}
    for one in maps.values():
        one.wait_ready(READY_SECONDS)
    for name, one in maps.items():
        one.put(f"by/{name}".encode(), name.encode())
    for one in maps.values():
        entries = [(entry.key, entry.value) for entry in one.scan(b"by/")]
        assert entries == [(b"by/a", b"a"), (b"by/b", b"b"), (b"by/c", b"c")]


def test_the_map_goes_on_when_its_leader_closes(member: Member) -> None:
    maps = {name: member(name) for name in "abc"}
    for one in maps.values():
        one.wait_ready(READY_SECONDS)
    maps["a"].put(b"before", b"1")
    maps.pop(leader_of(maps)).close()
    for number, one in enumerate(maps.values()):
        one.put(b"after", b"%d" % number)
        assert one.get(b"before") == b"1"
        assert one.get(b"after") == b"%d" % number
    assert leader_of(maps)


def test_a_member_without_a_majority_is_unavailable_and_applies_nothing(member: Member) -> None:
    lonely = member("a")
    with pytest.raises(kvraft.UnavailableError):
        lonely.wait_ready(0.2)
    with pytest.raises((kvraft.UnavailableError, kvraft.IndeterminateError)):
        lonely.put(b"k", b"v", timeout=0.3)
    with pytest.raises(kvraft.UnavailableError):
        lonely.get(b"k", timeout=0.3)


@contextmanager
def server(
    program: str, data_dir: Path, name: str, addresses: dict[str, str], secret: Path
) -> Iterator[str]:
    """Run `kvraft-server` and give its base URL."""
    command = [program, "serve", "--name", name, "--data-dir", str(data_dir)]
    command += ["--listen", addresses[name], "--cluster-secret-file", str(secret)]
    command += ["--members", ",".join(f"{key}={value}" for key, value in addresses.items())]
    command += ["--listen-http", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            yield f"http://{words['http']}"
        finally:
            process.terminate()


def test_python_and_servers_are_members_of_one_cluster(
    member: Member, addresses: dict[str, str], tmp_path: Path
) -> None:
    program = os.environ.get("KVRAFT_SERVER")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("KVRAFT_SERVER must name the kvraft-server binary")
        pytest.skip("KVRAFT_SERVER names no kvraft-server binary")
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with ExitStack() as stack:
        urls = [
            stack.enter_context(server(program, tmp_path / name, name, addresses, secret))
            for name in "ab"
        ]
        opened = member("c")
        opened.wait_ready(READY_SECONDS)
        opened.put(b"from/python", b"\0python")
        for number, url in enumerate(urls):
            put = Request(f"{url}/key/from%2F{number}", data=b"\xffserver", method="PUT")  # noqa: S310
            with urlopen(put, timeout=READY_SECONDS) as answer:  # noqa: S310
                assert answer.status == 201
            with urlopen(f"{url}/key/from%2Fpython?raw", timeout=READY_SECONDS) as answer:  # noqa: S310
                assert answer.read() == b"\0python"
            assert opened.get(b"from/%d" % number) == b"\xffserver"
        assert [entry.key for entry in opened.scan(b"from/")] == [
            b"from/0",
            b"from/1",
            b"from/python",
        ]
