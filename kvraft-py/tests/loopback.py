"""What members on loopback share: a secret, free ports, patience, a server beside them."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SECRET = "0123456789abcdef0123456789abcdef"
READY_SECONDS = 20.0


def free_addresses(names: str) -> dict[str, str]:
    """Find a free UDP port on loopback for each name."""
    with ExitStack() as stack:
        sockets = {
            name: stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for name in names
        }
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in sockets.items()}


def listed(addresses: dict[str, str]) -> str:
    """Write addresses as the setting `members` takes them."""
    return ",".join(f"{name}={address}" for name, address in addresses.items())


@contextmanager
def server(
    program: str, data_dir: Path, name: str, addresses: dict[str, str], secret: Path
) -> Iterator[str]:
    """Run `kvraft-server` and give its base URL."""
    command = [program, "serve", "--name", name, "--data-dir", str(data_dir)]
    command += ["--listen", addresses[name], "--cluster-secret-file", str(secret)]
    command += ["--members", listed(addresses)]
    command += ["--listen-http", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            yield f"http://{words['http']}"
        finally:
            process.terminate()
