"""What the core says, in Python's logging."""

from pathlib import Path
from typing import Any

import pytest

import kvraft
from test_process import run


def test_what_the_core_says_comes_to_its_logger_on_request(tmp_path: Path) -> None:
    printed = run(
        """
        import kvraft, logging, sys, threading
        heard = threading.Event()
        records = []
        class Keep(logging.Handler):
            def emit(self, record):
                records.append(record)
                if "a leader" in record.getMessage() or record.name.startswith("kvraft.node"):
                    heard.set()
        logging.getLogger("kvraft").addHandler(Keep())
        logging.getLogger("kvraft").setLevel(logging.DEBUG)
        kvraft.open(sys.argv[1]).close()
        assert not records, records
        kvraft.log_to_logging("DEBUG")
        kvraft.log_to_logging(logging.DEBUG)
        with kvraft.open(sys.argv[2]) as opened:
            opened.wait_ready(30)
            assert heard.wait(30), records
        assert all(record.name.startswith("kvraft.") for record in records)
        assert {record.levelno for record in records} <= {10, 20, 30, 40}
        threads = [thread.name for thread in threading.enumerate()]
        print(threads.count("kvraft-logging"))
        """,
        tmp_path / "quiet",
        tmp_path / "loud",
    )
    assert printed == "1\n"


def test_a_forked_child_asks_for_its_logs_itself(tmp_path: Path) -> None:
    run(
        """
        import kvraft, logging, os, sys, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        heard = threading.Event()
        class Keep(logging.Handler):
            def emit(self, record):
                heard.set()
        logging.getLogger("kvraft").addHandler(Keep())
        logging.getLogger("kvraft").setLevel(logging.DEBUG)
        kvraft.log_to_logging(logging.DEBUG)
        with kvraft.open(sys.argv[1]) as opened:
            opened.wait_ready(30)
            assert heard.wait(30)
        child = os.fork()
        if child == 0:
            heard.clear()
            kvraft.log_to_logging(logging.DEBUG)
            with kvraft.open(sys.argv[2]) as opened:
                opened.wait_ready(30)
                assert heard.wait(30)
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        tmp_path / "parent",
        tmp_path / "child",
    )


def test_what_is_no_level_is_told_the_levels() -> None:
    wrong: Any = [1]
    with pytest.raises(TypeError, match="level takes an int or a str, not list"):
        kvraft.log_to_logging(wrong)
    with pytest.raises(ValueError, match="WARNING"):
        kvraft.log_to_logging("LOUD")
