"""`kubectl`, as far as the notes of the chart call it, over pods that the tests run as containers.

It reads what there is from the file that the variable FAKECTL names.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any


def main(words: list[str]) -> int:
    """Do what the words say."""
    known = json.loads(Path(os.environ["FAKECTL"]).read_text())
    if words[:2] != ["-n", known["namespace"]]:
        sys.stderr.write(f"unknown namespace: {words[:2]}\n")
        return 1
    match words[2:]:
        case ["rollout", "status", target] if target == f"statefulset/{known['name']}":
            return 0 if known["ready"] else 1
        case ["get", "secret", name, "-o", path]:
            key = re.fullmatch(r"jsonpath=\{\.data\.(.+)\}", path)
            if key is None or name not in known["secrets"]:
                return 1
            sys.stdout.write(known["secrets"][name][key[1].replace("\\.", ".")])
            return 0
        case ["port-forward", target, ports] if target == f"service/{known['name']}":
            local, _, remote = ports.partition(":")
            forward(int(local), known["ready"][0], int(remote))
            return 0
    sys.stderr.write(f"unknown: {words}\n")
    return 1


def forward(local: int, address: str, remote: int) -> None:
    """Carry each connection to a pod, until somebody kills this."""
    with socket.create_server(("127.0.0.1", local)) as listener:
        while True:
            client, _ = listener.accept()
            pod = socket.create_connection((address, remote))
            for one, other in ((client, pod), (pod, client)):
                threading.Thread(target=carry, args=(one, other), daemon=True).start()


def carry(source: Any, target: Any) -> None:
    """Carry bytes one way, to their end."""
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
