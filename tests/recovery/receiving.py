"""A receiver for kills: raw sockets on a thread of the test's process, and a note of every request.

It knows what a job could not yet know of an answer when it died: the last request of each connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Arrival:
    """One request; ``order`` counts over all connections."""

    order: int
    id: str
    path: str
    attempt: int
    body: bytes
    status: int
    connection: int


Answer = Callable[[str, int, bytes], int]
"""Path, attempt and body to the status that is answered; 0: no answer."""


@dataclass
class Receiver:
    """What arrived, in order."""

    answer: Answer
    port: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    last: dict[int, Arrival] = field(default_factory=dict)
    """Connection to its last request."""
    open: set[int] = field(default_factory=set)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ids(self) -> dict[str, list[Arrival]]:
        """Return the arrivals of each id."""
        found: dict[str, list[Arrival]] = {}
        for arrival in self.arrivals:
            found.setdefault(arrival.id, []).append(arrival)
        return found

    def unsettled(self, since: int) -> set[tuple[str, int]]:
        """Return (id, attempt) of requests whose result a job that died may not have written down.

        Those are the last ones on each connection that the job opened; since: connections before it.
        """
        return {(a.id, a.attempt) for number, a in self.last.items() if number >= since}


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.number = receiver.connections
        receiver.connections += 1
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.receiver.open.add(self.number)

    def connection_lost(self, exc: Exception | None) -> None:
        self.receiver.open.discard(self.number)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            path = head[0].split(" ")[1]
            attempt = int(headers["webhook-attempt"])
            status = self.receiver.answer(path, attempt, body)
            arrivals = self.receiver.arrivals
            arrival = Arrival(len(arrivals), headers["webhook-id"], path, attempt, body, status, self.number)
            arrivals.append(arrival)
            self.receiver.last[self.number] = arrival
            if status:
                self.transport.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)


@contextmanager
def receiving(answer: Answer) -> Iterator[Receiver]:
    """Run a receiver on a free port of the loopback."""
    receiver = Receiver(answer)
    loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await loop.create_server(lambda: _Connection(receiver), "127.0.0.1", 0, backlog=1000)

    server = loop.run_until_complete(listen())
    receiver.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
