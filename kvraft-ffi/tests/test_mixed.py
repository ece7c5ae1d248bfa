"""One cluster of C, Python and kvraft-server: what a member in C wrote outlives its process."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import kvraft
from loopback import READY_SECONDS, SECRET, free_addresses, listed, server

SOURCES = Path(__file__).parent / "c"
INCLUDE = Path(__file__).parents[2] / "include"
SYSTEM_LIBRARIES = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
WRITES = 200


@pytest.fixture
def addresses() -> dict[str, str]:
    return free_addresses("cps")


def given(name: str) -> str:
    """Read a path that the gate says: this test builds neither the library nor the server."""
    path = os.environ.get(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not set")
        pytest.skip(f"{name} is not set")
    return path


class CMember:
    """A running `c/member.c`, which does what it is told, a line at a time."""

    def __init__(self, program: Path, data_dir: Path, addresses: dict[str, str]) -> None:
        place = [str(data_dir), "c", addresses["c"], listed(addresses), SECRET]
        self.process = subprocess.Popen(
            [program, *place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def say(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.writelines(f"{line}\n" for line in lines)
        self.process.stdin.flush()

    def answers(self) -> Iterator[str]:
        """Give what it says, up to its end."""
        assert self.process.stdout is not None
        # What was cut off in the middle was not said.
        return (line[:-1] for line in self.process.stdout if line.endswith("\n"))

    def ask(self, line: str) -> str:
        self.say(line)
        return next(self.answers())

    def end(self) -> None:
        """End it as its user does, with the last line."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(READY_SECONDS) == 0


@contextmanager
def c_member(program: Path, data_dir: Path, addresses: dict[str, str]) -> Iterator[CMember]:
    member = CMember(program, data_dir, addresses)
    with member.process:
        try:
            yield member
        finally:
            member.process.kill()


def put(url: str, key: str, value: bytes) -> None:
    request = Request(f"{url}/key/{key}", data=value, method="PUT")  # noqa: S310
    with urlopen(request, timeout=READY_SECONDS) as answer:  # noqa: S310
        assert answer.status == 201


def get(url: str, key: str) -> bytes:
    with urlopen(f"{url}/key/{key}?raw", timeout=READY_SECONDS) as answer:  # noqa: S310
        read: bytes = answer.read()
        return read


def compiled(folder: Path) -> Path:
    program = folder / "member"
    library = Path(given("KVRAFT_LIB_DIR")) / "libkvraft.a"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler is not None
    command = [compiler, "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-pthread", f"-I{INCLUDE}"]
    command += [str(SOURCES / "member.c"), "-o", str(program), str(library), *SYSTEM_LIBRARIES]
    subprocess.run(command, check=True)
    return program


def all_read_what_each_has_written(
    in_c: CMember, in_python: kvraft.ReplicatedMap[bytes, bytes], url: str
) -> None:
    assert in_c.ask("put from-c hello from C").startswith("put ")
    in_python.put(b"from-python", b"hello from Python")
    put(url, "from-server", b"hello from HTTP")
    for who, words in (("c", "C"), ("python", "Python"), ("server", "HTTP")):
        key, value = f"from-{who}", f"hello from {words}"
        assert in_c.ask(f"get {key}") == f"value {value}"
        assert in_python.get(key.encode()) == value.encode()
        assert get(url, key) == value.encode()


def killed_while_it_writes(in_c: CMember) -> list[str]:
    """Kill the member in C in the middle of its writes; return the keys of those it was told of."""
    in_c.say(*(f"put w/{number} {number}" for number in range(WRITES)))
    acknowledged = []
    for number, answer in enumerate(in_c.answers()):
        assert answer.startswith("put "), answer
        acknowledged.append(f"w/{number}")
        if number == WRITES // 4:
            in_c.process.kill()
    assert in_c.process.wait(READY_SECONDS) == -9
    assert WRITES // 4 < len(acknowledged) < WRITES, "it was killed in the middle"
    return acknowledged


def test_what_a_member_in_c_wrote_is_there_after_it_was_killed(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    program, secret = compiled(tmp_path), tmp_path / "secret"
    secret.write_text(SECRET)
    with (
        server(given("KVRAFT_SERVER"), tmp_path / "s", "s", addresses, secret) as url,
        kvraft.open(
            tmp_path / "p",
            name="p",
            listen=addresses["p"],
            members=addresses,
            cluster_secret=SECRET,
            request_timeout=READY_SECONDS,
        ) as in_python,
    ):
        with c_member(program, tmp_path / "c", addresses) as in_c:
            assert next(in_c.answers()) == "ready"
            in_python.wait_ready(READY_SECONDS)
            all_read_what_each_has_written(in_c, in_python, url)
            # The worst moment: it leads, and writes.
            in_python.transfer_leadership("c")
            acknowledged = killed_while_it_writes(in_c)

        for key in acknowledged:
            value = key.removeprefix("w/").encode()
            assert in_python.get(key.encode()) == value
        last = acknowledged[-1]
        assert get(url, last.replace("/", "%2F")) == last.removeprefix("w/").encode()
        in_python.put(b"meanwhile", b"of Python")
        put(url, "meanwhile-too", b"of the server")

        with c_member(program, tmp_path / "c", addresses) as in_c:
            assert next(in_c.answers()) == "ready"
            for key in acknowledged:
                assert in_c.ask(f"get {key}") == f"value {key.removeprefix('w/')}"
            assert in_c.ask("get meanwhile") == "value of Python"
            assert in_c.ask("get meanwhile-too") == "value of the server"
            assert in_c.ask("put from-c back").startswith("put ")
            assert in_python.get(b"from-c") == b"back"
            in_c.end()
