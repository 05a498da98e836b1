"""A port at which a test's own function meets each connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def listening(
    meet: Callable[[socket.socket], object], host: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """Give the port at which ``meet`` is called with each connection, one after the other."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            meet(connection)

    with socket.create_server((host, port)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
