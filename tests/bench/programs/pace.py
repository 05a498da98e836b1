"""Post events at an even rate over 64 connections, and tell how long each waited for its answer.

    python -m tests.bench.programs.pace URL RATE SECS WARM_UP_SECS

An event is due at its own time, whether or not those before it were answered: what a slow answer delays
counts. Each holds the time of its writing (`sent`). Prints p50, p99 and the longest wait in milliseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import deque
from typing import Any

import orjson
import uvloop

from tests.bench.latency import event
from tests.bench.peers.collect import KEY

CONNECTIONS = 64
HEAD = (
    b"POST /v1/events HTTP/1.1\r\nhost: b\r\nauthorization: Bearer %b\r\n" % KEY.encode()
    + b"content-length: %d\r\n\r\n"
)


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, free: deque[Connection]) -> None:
        self.free = free
        self.waits: list[tuple[float, float]] = []
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.free.append(self)

    def post(self, due: float, body: bytes) -> None:
        self.due = due
        self.transport.write(HEAD % len(body) + body)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data[:200].decode(errors="replace"))
        now = time.perf_counter()
        self.waits.append((now, now - self.due))
        self.free.append(self)


async def main(url: str, rate: int, secs: float, warm_up_secs: float) -> dict[str, float]:
    """Post, and return the waits after the warm-up."""
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    free: deque[Connection] = deque()
    made = [
        (await loop.create_connection(lambda: Connection(free), host, int(port)))[1]
        for _ in range(CONNECTIONS)
    ]
    begun, total = time.perf_counter(), int(rate * (secs + warm_up_secs))
    for number in range(total):
        due = begun + number / rate
        while (late := due - time.perf_counter()) > 0 or not free:
            await asyncio.sleep(late if late > 0.0005 else 0)
        free.popleft().post(due, event(number))
    while len(free) < CONNECTIONS:
        await asyncio.sleep(0.001)
    waits = [wait * 1000 for one in made for at, wait in one.waits if at > begun + warm_up_secs]
    marks = statistics.quantiles(waits, n=100)
    return {"p50_ms": marks[49], "p99_ms": marks[98], "max_ms": max(waits)}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    print(orjson.dumps(uvloop.run(main(where, int(numbers[0]), *map(float, numbers[1:])))).decode())
