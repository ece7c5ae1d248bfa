"""Clusters: members in this process, in processes of their own, beside servers; clients."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

import kvraft
from interrupts import interrupted
from loopback import READY_SECONDS, SECRET, server

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


def waits(m: Map, file: Path) -> dict[str, Callable[[], object]]:
    """Return a call of each verb, and habit of a dict, that waits where there is no majority."""
    name, lease = "report", "f" * 16
    return {
        "__getitem__": lambda: m[b"k"],
        "__setitem__": lambda: m.__setitem__(b"k", b"v"),
        "__delitem__": lambda: m.__delitem__(b"k"),
        "__contains__": lambda: b"k" in m,
        "__len__": lambda: len(m),
        "__iter__": lambda: [*m],
        "__reversed__": lambda: [*reversed(m)],
        "__eq__": lambda: m == {},
        "__or__": lambda: m | {},
        "__ror__": lambda: {} | m,
        "__ior__": lambda: m.__ior__({b"k": b"v"}),
        "get": lambda: m.get(b"k"),
        "keys": lambda: [*m.keys()],
        "values": lambda: [*m.values()],
        "items": lambda: [*m.items()],
        "pop": lambda: m.pop(b"k"),
        "popitem": m.popitem,
        "setdefault": lambda: m.setdefault(b"k", b"v"),
        "update": lambda: m.update({b"k": b"v"}),
        "clear": m.clear,
        "copy": m.copy,
        "get_entry": lambda: m.get_entry(b"k"),
        "count": m.count,
        "scan": lambda: [*m.scan()],
        "page": m.page,
        "put": lambda: m.put(b"k", b"v"),
        "put_with": lambda: m.put_with(b"k", b"v"),
        "delete": lambda: m.delete(b"k"),
        "delete_with": lambda: m.delete_with(b"k"),
        "delete_range": m.delete_range,
        "increment": lambda: m.increment(b"k"),
        "increment_with": lambda: m.increment_with(b"k"),
        "txn": m.txn,
        "batch": lambda: m.batch([kvraft.Op.get(b"k")]),
        "lease": lambda: m.lease(10),
        "grant_lease": lambda: m.grant_lease(10),
        "keep_alive": lambda: m.keep_alive(lease),
        "revoke_lease": lambda: m.revoke_lease(lease),
        "lease_info": lambda: m.lease_info(lease),
        "lock": lambda: m.lock(name),
        "try_lock": lambda: m.try_lock(name),
        "acquire": lambda: m.acquire(name, lease),
        "release": lambda: m.release(name, lease),
        "watch": lambda: next(m.watch()),
        "promote": lambda: m.promote("b"),
        "demote": lambda: m.demote("b"),
        "remove_member": lambda: m.remove_member("b"),
        "transfer_leadership": m.transfer_leadership,
        "shrink": lambda: m.shrink(1),
        "verify": m.verify,
        "backup": lambda: m.backup(file),
        "wait_ready": lambda: m.wait_ready(READY_SECONDS),
    }


def test_ctrl_c_interrupts_every_verb(member: Member, tmp_path: Path) -> None:
    lonely = member("a")
    calls = waits(lonely, tmp_path / "kept")
    verbs = {name for name in dir(kvraft.ReplicatedMap) if not name.startswith("_")}
    at_once = {"status", "members", "metrics", "max_value_bytes", "max_command_bytes"}
    assert verbs - set(calls) - at_once == {"close", "refill"}, "one ends, one is refused"
    for call in calls.values():
        with pytest.raises(KeyboardInterrupt):
            interrupted(call, signal.SIGINT)
    assert not [*tmp_path.glob("kept*")]


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


def test_a_client_has_every_verb_without_a_disk(member: Member, addresses: dict[str, str]) -> None:
    maps = {name: member(name) for name in "abc"}
    for one in maps.values():
        one.wait_ready(READY_SECONDS)
    endpoints = ",".join(addresses.values())
    with kvraft.connect(endpoints, name="worker", cluster_secret=SECRET) as client:
        client.update({b"a/1": b"1", b"a/2": b"2"})
        assert client.status()["role"] == "client"
        assert [member["name"] for member in client.members()] == ["a", "b", "c"]
        assert dict(client.items(b"a/")) == {b"a/1": b"1", b"a/2": b"2"}
        with client.lock("l") as lock, client.watch(b"a/", resync=True) as watch:
            assert maps["a"].try_lock("l") is None
            kinds = [type(next(watch)) for _ in range(3)]
            assert kinds == [kvraft.SnapshotBegin, kvraft.SnapshotEntries, kvraft.SnapshotEnd]
            client.put(b"a/3", b"3", lease=lock.lease)
            assert isinstance(next(watch), kvraft.Changes)
        assert client.popitem(last=False) == (b"a/1", b"1")
        verification = client.verify()
        assert (verification["verdict"], verification["diverged"]) == ("agreed", [])
        assert [member["name"] for member in verification["members"]] == ["a", "b", "c"]
        maps["c"].refill()
        assert maps["c"].get(b"a/2") == b"2"
        assert maps["c"].status()["divergence"] is None
        client.transfer_leadership("b")
        client.demote("c")
        assert [member["voter"] for member in maps["a"].members()] == [True, True, False]
        client.remove_member("c")
        client.shrink(1)
    with pytest.raises(kvraft.ClosedError):
        client.get(b"a/1")


def test_a_client_with_another_secret_is_unauthorized(
    member: Member, addresses: dict[str, str]
) -> None:
    for name in "ab":
        member(name)
    with pytest.raises(kvraft.UnauthorizedError) as caught:
        kvraft.connect([addresses["a"]], cluster_secret="f" * 32)
    assert isinstance(caught.value, PermissionError)


def serve(data_dir: Path, name: str, addresses: dict[str, str], commands: Connection) -> None:
    """Be a member in a process of its own, and do what is asked."""
    with kvraft.open(
        data_dir, name=name, listen=addresses[name], members=addresses, cluster_secret=SECRET
    ) as opened:
        opened.wait_ready(READY_SECONDS)
        commands.send("ready")
        while (command := commands.recv()) is not None:
            verb, *arguments = command
            commands.send(getattr(opened, verb)(*arguments))


def test_two_of_three_processes_go_on_when_one_is_killed(
    tmp_path: Path, addresses: dict[str, str]
) -> None:
    context = multiprocessing.get_context("spawn")
    processes, pipes = {}, {}
    for name in "abc":
        pipes[name], theirs = context.Pipe()
        arguments = (tmp_path / name, name, addresses, theirs)
        processes[name] = context.Process(target=serve, args=arguments, daemon=True)
        processes[name].start()
        theirs.close()

    def ask(name: str, *command: object) -> Any:
        if command:
            pipes[name].send(command)
        assert pipes[name].poll(READY_SECONDS), f"{name} does not answer"
        return pipes[name].recv()

    try:
        for name in "abc":
            assert ask(name) == "ready"
            ask(name, "put", b"by/" + name.encode(), b"1")
        leader = ask("a", "status")["leader"]
        processes[leader].kill()
        processes[leader].join(READY_SECONDS)
        left = [name for name in "abc" if name != leader]
        for number, name in enumerate(left, start=1):
            assert ask(name, "increment", b"n") == number
            assert ask(name, "get", b"by/" + leader.encode()) == b"1"
            assert ask(name, "count", b"by/") == 3
        for name in left:
            pipes[name].send(None)
            processes[name].join(READY_SECONDS)
            assert processes[name].exitcode == 0
    finally:
        for process in processes.values():
            process.kill()
