"""The programs of examples/python, run as their users would."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from loopback import SECRET, free_addresses

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"
SECONDS = 60.0


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Write the secret of the cluster into a file."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    return file


@contextmanager
def running(folder: Path, *words: object, env: dict[str, str] | None = None) -> Iterator[Any]:
    """Run a program with its input and output at hand, and end it."""
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, **(env or {})}
    with subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture
def host(tmp_path: Path, secret: Path) -> Iterator[str]:
    """Run the member of the web application, and give its address."""
    address = free_addresses("a")["a"]
    with running(tmp_path / "host", EXAMPLES / "web_app.py", address, secret) as process:
        assert process.stdout.readline().startswith("ready: ")
        yield address
        process.terminate()
        assert process.wait(SECONDS) == 0


def test_a_configuration_is_shared_by_three_processes(
    tmp_path: Path, addresses: dict[str, str], secret: Path
) -> None:
    members = ",".join(f"{name}={address}" for name, address in addresses.items())

    def program(name: str) -> Any:
        words = [EXAMPLES / "shared_config.py", tmp_path / name, "--name", name]
        words += ["--listen", addresses[name], "--members", members]
        return running(tmp_path, *words, "--cluster-secret-file", secret)

    with program("a") as a, program("b") as b, program("c") as c:
        for process in (a, b, c):
            assert process.stdout.readline() == "ready: {}\n"
        a.stdin.write('colour "green"\n')
        a.stdin.flush()
        for process in (a, b, c):
            assert process.stdout.readline().startswith("colour = 'green' at revision ")
        c.stdin.write("size 7\n")
        c.stdin.close()
        assert b.stdout.readline().startswith("size = 7 at revision ")
        assert c.stdout.read().endswith(
            "at the end: {'config/colour': 'green', 'config/size': 7}\n"
        )
        assert c.wait(SECONDS) == 0


def test_a_killed_worker_costs_no_job(tmp_path: Path, host: str, secret: Path) -> None:
    base = [EXAMPLES / "job_queue.py", "--endpoints", host, "--cluster-secret-file", secret]

    def done(*words: str) -> str:
        command = [sys.executable, *map(str, base), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=SECONDS
        ).stdout

    assert done("add", "one", "two", "three") == "".join(f"job/{n:012}\n" for n in (1, 2, 3))
    with running(tmp_path, *base, "--seconds", "600", "work") as stuck:
        wait_for(lambda: '"claim/' in claims(host))
        # Two jobs are free; the third is the stuck worker's until its lease is over.
        assert done("work").count("job/") == 2
        stuck.kill()
    wait_for(lambda: '"claim/' not in claims(host))
    assert done("work") == "job/000000000001: one\n1 done\n"
    assert "'done': 3, 'waiting': 0" in done("report")


def claims(address: str) -> str:
    """Return who has claimed which job."""
    import kvraft  # noqa: PLC0415

    with kvraft.connect(address, cluster_secret=SECRET, codec="json") as jobs:
        return json.dumps(list(jobs.keys("claim/")))


def test_the_workers_of_a_web_server_share_one_map(tmp_path: Path, host: str, secret: Path) -> None:
    pytest.importorskip("starlette")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words = ["-m", "uvicorn", "--workers", 2, "--port", port, "--log-level", "warning"]
    words += ["--app-dir", EXAMPLES, "web_app:app"]
    env = {"KVRAFT_ENDPOINTS": host, "KVRAFT_SECRET_FILE": str(secret)}
    with running(tmp_path, *words, env=env):
        wait_for(lambda: answer(f"{url}/notes/absent")[0] == 404)
        status, written, _ = answer(f"{url}/notes/first", "PUT", '"hello"')
        assert status == 200
        status, note, etag = answer(f"{url}/notes/first")
        assert (status, note, etag) == (200, "hello", f'"{written["revision"]}"')
        assert answer(f"{url}/notes/first", "PUT", '"more"', {"If-Match": etag})[0] == 200
        assert answer(f"{url}/notes/first", "PUT", '"late"', {"If-Match": etag})[0] == 412
        visits = [answer(f"{url}/visits", "POST", "")[1]["visits"] for _ in range(20)]
        assert visits == list(range(1, 21))
        with urlopen(f"{url}/events", timeout=SECONDS) as events:  # noqa: S310
            answer(f"{url}/notes/second", "PUT", "[1]")
            assert events.readline().startswith(b"id: ")
            assert json.loads(events.readline().removeprefix(b"data: ")) == {
                "note": "note/second",
                "value": [1],
            }


def answer(
    url: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, str]:
    """Ask by HTTP; return the status, the JSON and the ETag of the answer."""
    data = None if body is None else body.encode()
    request = Request(url, data=data, method=method, headers=headers or {})  # noqa: S310
    try:
        with urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            return response.status, json.load(response), response.headers.get("ETag", "")
    except HTTPError as error:
        with error:
            return error.code, json.load(error), ""
    except URLError:
        return 0, None, ""


def wait_for(condition: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
