"""Ports that nobody listens on."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def free_ports_in_a_row() -> int:
    """Return a port that nobody listens on now, nor on the next one; no client is given one of these."""
    while True:
        port = random.randrange(12_000, 20_000)
        try:
            for number in (port, port + 1):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port
