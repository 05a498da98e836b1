"""What gets through to a receiver that fails a part of its requests at random, beside one that is well.

    python -m tests.bench.flaky [--failing 0.5,0.7] [--ordering none] [--secs 6]

`hookline run` fires two webhooks for each event of a recording. The goodput of the failing one, good answers
per second from its first request on, is compared with that of the same job where it is well.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.streams.candidates import make_stream

SPAWN = multiprocessing.get_context("spawn")
SHARES = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)
ANSWERS = {
    good: b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % (b"200 OK" if good else b"503 no") for good in (0, 1)
}
WEBHOOK = """
id: {id}
trigger: {{events: [Purchase]}}
request: {{url: "{url}/{id}", body: {{a: "{{{{ event.id }}}}"}}}}
delivery: {{ordering: {ordering}}}
"""


@dataclass(slots=True, frozen=True)
class Goodput:
    """What one run measured, per second."""

    failing: float
    well: float
    requests: float
    """To the failing one."""


class Sometimes(asyncio.Protocol):
    """Answers each request at once, with 503 in a part of the cases where the path is /failing."""

    def __init__(self, failing: float, counts: Any) -> None:
        self._failing = failing
        self._counts = counts
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        counts = self._counts
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self._read) < end + 4 + size:
                return
            self._read = self._read[end + 4 + size :]
            if b" /failing" in head:
                counts[0] = counts[0] or time.monotonic()
                good = random.random() >= self._failing
                counts[1] += 1
                counts[2] += good
            else:
                good = True
                counts[3] += 1
            self._transport.write(ANSWERS[good])


def serve(failing: float, counts: Any, port: Any) -> None:
    """Serve until killed; counts: time of the first request, then requests, good ones, those of the other."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Sometimes(failing, counts), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@contextmanager
def sometimes(failing: float) -> Iterator[tuple[str, Any]]:
    """Give the origin of a receiver in a process of its own, and its counts."""
    counts = SPAWN.Array("d", 4, lock=False)
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=serve, args=(failing, counts, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", counts
    finally:
        process.terminate()
        process.join()


def measure(failing: float, ordering: str, secs: float, stream: Path) -> Goodput:
    """Run a job beside such a receiver for some seconds."""
    with sometimes(failing) as (origin, counts), tempfile.TemporaryDirectory() as folder:
        config = Path(folder)
        (config / "webhooks").mkdir()
        for name in ("failing", "well"):
            text = WEBHOOK.format(id=name, url=origin, ordering=ordering if name == "failing" else "none")
            (config / "webhooks" / f"{name}.yaml").write_text(text)
        (config / "pipeline.yaml").write_text(
            f"source: {{jsonl: {{paths: [{stream}]}}}}\nstate: {config / 'state'}\n"
            "network: {allow: [127.0.0.0/8]}\nlog: {level: error}\n"
        )
        command = [sys.executable, "-m", "pipeline.cli", "run", "-c", str(config)]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not counts[0]:
                time.sleep(0.01)
            time.sleep(max(0.0, counts[0] + secs - time.monotonic()))
            _, requests, good, well = counts
        finally:
            job.kill()
            job.wait()
    return Goodput(good / secs, well / secs, requests / secs)


def table(shares: tuple[float, ...], orders: tuple[str, ...], secs: float, folder: Path) -> None:
    """Measure each share of failures under each ordering, and print a row for each."""
    stream = make_stream(folder, 1.0, 400_000, 5_000)
    columns = ("good/s", "ratio", "requests/s", "beside it/s", "ratio")
    print(f"{'ordering, failing':<24}" + "".join(f"{column:>13}" for column in columns))
    for ordering in orders:
        healthy = None
        for share in sorted({0.0, *shares}):
            found = measure(share, ordering, secs, stream)
            healthy = healthy or found
            good, beside = found.failing / healthy.failing, found.well / healthy.well
            name = f"{ordering}, {share:.0%}"
            figures = f"{found.failing:>13,.0f}{good:>13.2f}{found.requests:>13,.0f}{found.well:>13,.0f}"
            print(f"{name:<24}{figures}{beside:>13.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--failing", default=",".join(map(str, SHARES[1:])), help="shares, 0.5,0.7")
    parser.add_argument("--ordering", default="none,per_user")
    parser.add_argument("--secs", type=float, default=6.0)
    chosen = parser.parse_args()
    shares = tuple(float(share) for share in chosen.failing.split(","))
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder:
        table(shares, tuple(chosen.ordering.split(",")), chosen.secs, Path(folder))


if __name__ == "__main__":
    main()
