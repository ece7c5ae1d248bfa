"""What happens to a map when its process forks or ends."""

import subprocess
import sys
import textwrap
from pathlib import Path

import kvraft

SECONDS = 60.0


def run(script: str, *args: object) -> str:
    """Run a program that must succeed, and return what it printed."""
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(script), *map(str, args)]
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
