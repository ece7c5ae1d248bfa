"""What happens to a map when its process forks, spawns, is interrupted or ends."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import kvraft
from loopback import SECRET, free_addresses

SECONDS = 60.0
EXITS = 200 if os.environ.get("KVRAFT_TRUST_LONG") else 10
"""`make trust-long` ends the interpreter as often as it takes to meet a rare race."""


SLOW_IS_NO_FAULT = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)"
"""In its debug mode asyncio warns of steps that took long; what matters of it are errors."""


def run(script: str, *args: object) -> str:
    """Run a program that must succeed, and return what it printed."""
    text = SLOW_IS_NO_FAULT + textwrap.dedent(script)
    command = [sys.executable, "-X", "dev", "-c", text, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def read_back(data_dir: Path) -> dict[bytes, bytes]:
    """Read all that a directory holds."""
    with kvraft.open(data_dir) as opened:
        return {entry.key: entry.value for entry in opened.scan()}


def test_a_program_may_end_without_closing_its_map(tmp_path: Path) -> None:
    run(
        """
        import kvraft, sys
        opened = kvraft.open(sys.argv[1])
        opened.put(b"k", b"v")
        """,
        tmp_path,
    )
    assert read_back(tmp_path) == {b"k": b"v"}


def test_what_is_lent_is_not_copied_before_it_is_needed(tmp_path: Path) -> None:
    printed = run(
        """
        import kvraft, resource, sys
        def most_kib():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with kvraft.open(sys.argv[1]) as opened:
            opened.wait_ready(30)
            value, before = bytearray(256 << 20), most_kib()
            for lent in (value, memoryview(value)):
                try:
                    opened.put(b"k", lent)
                except kvraft.InvalidArgumentError as error:
                    print("max_value_bytes" in str(error), most_kib() - before < 100 << 10)
        """,
        tmp_path,
    )
    assert printed == "True True\n" * 2


def test_a_program_may_end_by_an_exception_in_another_function(tmp_path: Path) -> None:
    printed = run(
        """
        import kvraft, sys
        def work():
            opened = kvraft.open(sys.argv[1])
            opened.put(b"k", b"v")
            raise KeyError("done")
        try:
            work()
        except KeyError as error:
            print(error)
        """,
        tmp_path,
    )
    assert printed == "'done'\n"
    assert read_back(tmp_path) == {b"k": b"v"}


def test_a_program_may_end_while_a_daemon_thread_waits(tmp_path: Path) -> None:
    run(
        """
        import kvraft, sys, threading
        opened = kvraft.open(sys.argv[1])
        revision = opened.put(b"k", b"v")
        def wait_long():
            started.set()
            try:
                opened.get(b"k", min_revision=1 << 60, timeout=600)
            except kvraft.ClosedError:
                pass
        started = threading.Event()
        threading.Thread(target=wait_long, daemon=True).start()
        started.wait()
        """,
        tmp_path,
    )
    assert read_back(tmp_path) == {b"k": b"v"}


def test_a_forked_child_is_told_and_the_parent_goes_on(tmp_path: Path) -> None:
    printed = run(
        """
        import gc, kvraft, os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        opened = kvraft.open(sys.argv[1])
        opened.put(b"k", b"v")
        scan = opened.scan()
        child = os.fork()
        if child == 0:
            calls = [
                lambda: opened.get(b"k"),
                lambda: opened.put(b"k", b"w"),
                lambda: opened.delete(b"k"),
                lambda: next(scan),
                opened.status,
            ]
            for call in calls:
                try:
                    call()
                except kvraft.ClosedError as error:
                    assert "fork" in str(error), error
                else:
                    raise AssertionError
            print(repr(opened))
            opened.close()
            del call, calls, opened, scan
            gc.collect()
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert opened.get(b"k") == b"v"
        assert next(scan).value == b"v"
        opened.put(b"k", b"after")
        """,
        tmp_path,
    )
    assert printed == "<kvraft.ReplicatedMap of another process>\n"
    assert read_back(tmp_path) == {b"k": b"after"}


def test_a_subinterpreter_is_refused(tmp_path: Path) -> None:
    # Some releases of 3.12 crash at the end of any subinterpreter: it is not waited for.
    printed = run(
        """
        import os, sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        script = "try: import kvraft\\nexcept ImportError as error: print(error, flush=True)"
        interpreters.run_string(interpreters.create(), script)
        os._exit(0)
        """,
        tmp_path,
    )
    assert printed == "module kvraft._kvraft does not support loading in subinterpreters\n"


def test_a_forked_child_opens_a_map_of_its_own(tmp_path: Path) -> None:
    run(
        """
        import kvraft, os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        opened = kvraft.open(sys.argv[1])
        child = os.fork()
        if child == 0:
            own = kvraft.open(sys.argv[2])
            own.put(b"k", b"child")
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        opened.put(b"k", b"parent")
        """,
        tmp_path / "parent",
        tmp_path / "child",
    )
    assert read_back(tmp_path / "parent") == {b"k": b"parent"}
    assert read_back(tmp_path / "child") == {b"k": b"child"}


def test_a_worker_process_is_told_instead_of_hanging(tmp_path: Path) -> None:
    printed = run(
        """
        import kvraft, multiprocessing, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        def work(key):
            try:
                return opened.get(key)
            except kvraft.ClosedError as error:
                return error.kind
        with kvraft.open(sys.argv[1]) as opened:
            with multiprocessing.get_context("fork").Pool(1) as pool:
                print(pool.map(work, [b"k"]))
        """,
        tmp_path,
    )
    assert printed == "['closed']\n"


WORKER = """
import kvraft, sys

def work(numbers):
    address, number = numbers
    with kvraft.connect(address, cluster_secret=SECRET, codec="json") as m:
        return m.increment("n", number)

def sees(m):
    try:
        return m.get("n")
    except kvraft.ClosedError as error:
        return error.kind
"""


def test_processes_that_are_spawned_connect(tmp_path: Path) -> None:
    address = free_addresses("a")["a"]
    (tmp_path / "worker.py").write_text(f"SECRET = {SECRET!r}\n{WORKER}")
    printed = run(
        """
        import sys
        sys.path.insert(0, sys.argv[2])
        if __name__ == "__main__":
            import kvraft, multiprocessing, worker
            with kvraft.open(
                sys.argv[1], listen=sys.argv[3], cluster_secret=worker.SECRET, codec="json"
            ) as m:
                m.wait_ready(30)
                for way in ("spawn", "forkserver"):
                    with multiprocessing.get_context(way).Pool(2) as pool:
                        pool.map(worker.work, [(sys.argv[3], 1), (sys.argv[3], 2)])
                        try:
                            pool.apply(worker.sees, (m,))
                        except TypeError as error:
                            print(str(error).partition(":")[0])
                print(m["n"])
        """,
        tmp_path / "data",
        tmp_path,
        address,
    )
    assert printed == "a ReplicatedMap is not pickled\n" * 2 + "6\n"


def test_a_forked_child_awaits_nothing_of_its_parent(tmp_path: Path) -> None:
    run(
        """
        import asyncio, kvraft, kvraft.aio, os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        opened = asyncio.run(kvraft.aio.open(sys.argv[1]).__aenter__())
        watch = asyncio.run(opened.watch().__aenter__())
        lease = asyncio.run(opened.lease(30).__aenter__())
        child = os.fork()
        if child == 0:
            for call in (opened.get(b"k"), anext(watch), lease.revoke()):
                try:
                    asyncio.run(call)
                except kvraft.ClosedError as error:
                    assert "fork" in str(error), error
                else:
                    raise AssertionError
            asyncio.run(opened.close())
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert asyncio.run(opened.put(b"k", b"v"))
        """,
        tmp_path,
    )


def test_ctrl_c_ends_a_program_that_waits_for_ever(tmp_path: Path) -> None:
    for ends in ("next(m.watch())", "m.get(b'k', min_revision=1 << 60, timeout=600)"):
        script = f"""
            import kvraft, os, signal, sys, threading
            m = kvraft.open(sys.argv[1])
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                {ends}
            except KeyboardInterrupt:
                print("interrupted")
            m.put(b"k", b"v")
            """
        assert run(script, tmp_path) == "interrupted\n"


def test_ctrl_c_ends_an_event_loop_that_awaits_for_ever(tmp_path: Path) -> None:
    printed = run(
        """
        import asyncio, kvraft.aio, os, signal, sys, threading
        async def main():
            async with kvraft.aio.open(sys.argv[1]) as m:
                await m.put(b"k", b"v")
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                async for event in m.watch():
                    print(event)
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        tmp_path,
    )
    assert printed == "interrupted\n"
    assert read_back(tmp_path) == {b"k": b"v"}


def test_the_interpreter_ends_clean_whatever_is_under_way(tmp_path: Path) -> None:
    script = """
        import asyncio, kvraft, kvraft.aio, logging, os, sys, threading
        blocking = kvraft.open(sys.argv[1])
        blocking.put(b"k", b"v")
        logging.getLogger("kvraft").addHandler(logging.NullHandler())
        kvraft.log_to_logging(logging.DEBUG)
        watch, lock, lease = blocking.watch(), blocking.lock("l"), blocking.lease(10)
        started = threading.Barrier(3)
        def follow():
            started.wait()
            try:
                for _ in watch:
                    pass
            except kvraft.ClosedError:
                pass
        def count():
            started.wait()
            try:
                while True:
                    blocking.increment(b"n")
                    blocking.get(b"k", consistency="local")
            except kvraft.KvraftError:
                pass
        for work in (follow, count):
            threading.Thread(target=work, daemon=True).start()
        started.wait()
        async def main():
            opened = await kvraft.aio.open(sys.argv[2])
            await opened.put(b"k", b"v")
            asyncio.create_task(anext(opened.watch()))
            asyncio.create_task(opened.get(b"k", min_revision=1 << 60, timeout=600))
            for number in range(10):
                asyncio.create_task(opened.put(b"%d" % number, b"v"))
            await asyncio.sleep(0)
        asyncio.run(main())
        """
    for number in range(EXITS):
        run(script, tmp_path / f"{number}a", tmp_path / f"{number}b")
    assert read_back(tmp_path / "0a")[b"k"] == b"v"
