"""What the OpenAPI document says is what a node does, whatever a client makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nodes import Nodes

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("schemathesis")
CASES = 12
"""Requests made up for each method of each path, beside those that follow from the document."""
SECONDS = 240


@pytest.mark.timeout(SECONDS + 30)
def test_no_request_is_answered_as_the_document_does_not_say(tmp_path: Path) -> None:
    # Reads of a revision that never comes wait for so long.
    with Nodes(tmp_path, "a", flags=("--request-timeout=250ms",)) as nodes:
        node = nodes.nodes[0]
        command = [
            str(PROGRAM),
            "--no-color",
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{node.url}/openapi.json",
            "--seed=7",
            f"--max-examples={CASES}",
            "--phases=examples,coverage,fuzzing",
            "--continue-on-failure",
            "--request-timeout=15",
            # Its answer does not end.
            "--exclude-path=/watch",
            f"--header=Authorization: Bearer {nodes.tokens['admin']}",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert nodes.try_status(node)["ready"] is True
        assert "panicked" not in (nodes.folder / "a.log").read_text()
