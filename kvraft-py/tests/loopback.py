"""What members on loopback share: a secret, free ports, patience."""

import socket
from contextlib import ExitStack

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
