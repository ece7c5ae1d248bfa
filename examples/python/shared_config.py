r"""A configuration that several processes share: each has it in memory, and hears of every change.

    python shared_config.py ./data/a                      one process alone
    python shared_config.py ./data/a --name a --listen 127.0.0.1:7001 \\
        --members a=127.0.0.1:7001,b=127.0.0.1:7002,c=127.0.0.1:7003 --cluster-secret-file secret

Each line of its input, such as `colour "green"`, sets a value for all; its end ends the program.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import kvraft

PREFIX = "config/"


class SharedConfig(Mapping[str, Any]):
    """A copy of the configuration that follows the map, so that reading it costs nothing."""

    def __init__(self, shared: kvraft.ReplicatedMap[str, Any]) -> None:
        self._values: dict[str, Any] = {}
        self._complete = threading.Event()
        self._watch = shared.watch(PREFIX, resync=True)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        self._complete.wait()

    def _follow(self) -> None:
        coming: dict[str, Any] = {}
        for event in self._watch:
            match event:
                case kvraft.SnapshotBegin():
                    coming = {}
                case kvraft.SnapshotEntries(entries):
                    coming |= {entry.key.removeprefix(PREFIX): entry.value for entry in entries}
                case kvraft.SnapshotEnd():
                    self._values = coming
                    self._complete.set()
                case kvraft.Changes(revision, changes):
                    self._change(revision, changes)

    def _change(self, revision: int, changes: list[kvraft.Change[str, Any]]) -> None:
        # Another dict each time: whoever reads the old one goes on with what belongs together.
        values = dict(self._values)
        for change in changes:
            name = change.key.removeprefix(PREFIX)
            if change.entry is None:
                values.pop(name, None)
                print(f"{name} is gone at revision {revision}", flush=True)
            else:
                values[name] = change.entry.value
                print(f"{name} = {change.entry.value!r} at revision {revision}", flush=True)
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def close(self) -> None:
        """End the watch, and the thread that follows it."""
        self._watch.close()
        self._thread.join()


def main() -> None:
    """Show the configuration and its changes, and set what the input says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data_dir")
    for setting in ("name", "listen", "members", "cluster_secret_file"):
        parser.add_argument(f"--{setting.replace('_', '-')}")
    settings = vars(parser.parse_args())
    with kvraft.open(settings.pop("data_dir"), codec="json", **settings) as shared:
        shared.wait_ready(60)
        config = SharedConfig(shared)
        print(f"ready: {dict(config)}", flush=True)
        for line in sys.stdin:
            name, value = line.split(maxsplit=1)
            shared[PREFIX + name] = json.loads(value)
        config.close()
        print(f"at the end: {dict(sorted(shared.items(PREFIX)))}")


if __name__ == "__main__":
    main()
