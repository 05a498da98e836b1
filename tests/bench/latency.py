"""Event to POST: from the moment a line is written to a followed file until the receiver has its request.

    python tests/bench/latency.py [--rates 1000,5000] [--secs 20] [--sick]

One process writes events with the time of writing in them, `hookline run --follow` turns each into a POST
with that time in its body, a receiver in a third process notes when it came. Commits (one per second,
synced) are included. With --sick, a second webhook on the same events has a receiver that never answers.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

import orjson
from measure import machine

WARM_UP_SECS = 3.0
USERS = 1000

WEBHOOK = """
id: {id}
trigger: {{events: [Purchase]}}
request:
  url: {url}/{id}
  body: {{sent: "{{{{ event.properties.sent }}}}", plan: "{{{{ user.properties.plan }}}}"}}
"""


class Note(asyncio.Protocol):
    """Answers 200 at once and notes how old each event is; requests under /sick are never answered."""

    ages: ClassVar[list[tuple[float, float]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            if b"/sick" in head.split(b"\r\n", 1)[0]:
                continue
            self.ages.append((now, now - orjson.loads(body)["sent"]))
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]


def receive(pipe: Connection) -> None:
    """Serve until told to stop, then send what was noted."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Note, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        pipe.send(Note.ages)

    asyncio.run(main())


def write(stream: Path, rate: int, secs: float) -> None:
    """Append events at an even rate, in steps of a millisecond or more."""
    begun, sent = time.perf_counter(), 0
    with stream.open("ab", buffering=0) as out:
        while (passed := time.perf_counter() - begun) < secs:
            lines = []
            while sent < passed * rate:
                event = {
                    "type": "event",
                    "id": f"e{sent}",
                    "name": "Purchase",
                    "user_id": f"u{sent % USERS}",
                    "properties": {"sent": time.time(), "amount": sent},
                }
                lines.append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
                sent += 1
            if lines:
                out.write(b"".join(lines))
            time.sleep(max(0.0005, sent / rate - (time.perf_counter() - begun)))


def measure(rate: int, secs: float, *, sick: bool) -> list[float]:
    """Return the ages in milliseconds of what arrived after the warm-up."""
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    with tempfile.TemporaryDirectory(prefix="hookline-latency-") as name:
        folder = Path(name)
        (folder / "webhooks").mkdir()
        for webhook in ("fine", "sick") if sick else ("fine",):
            (folder / "webhooks" / f"{webhook}.yaml").write_text(WEBHOOK.format(id=webhook, url=url))
        stream = folder / "stream.jsonl"
        users = [{"type": "user", "user_id": f"u{n}", "set": {"plan": "pro"}} for n in range(USERS)]
        stream.write_bytes(b"".join(orjson.dumps(user) + b"\n" for user in users))
        (folder / "pipeline.yaml").write_text(
            f"source: {{jsonl: {{paths: [{stream}], follow: true}}}}\n"
            f"state: {folder / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}\n"
        )
        command = [sys.executable, "-m", "pipeline.cli", "run", "-c", str(folder), "--json"]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            writer = multiprocessing.Process(target=write, args=(stream, rate, secs + WARM_UP_SECS))
            begun = time.time()
            writer.start()
            writer.join()
        finally:
            job.terminate()
            job.wait(30)
    ours.send("stop")
    ages: list[tuple[float, float]] = ours.recv()
    receiver.join(5)
    return [age * 1000 for at, age in ages if at > begun + WARM_UP_SECS]


def main() -> None:
    """Print one row per rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="1000,5000")
    parser.add_argument("--secs", type=float, default=20.0)
    parser.add_argument("--sick", action="store_true")
    chosen = parser.parse_args()
    print(machine())
    print(f"{'events/s':>10}{'arrived':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for rate in map(int, chosen.rates.split(",")):
        ages = measure(rate, chosen.secs, sick=chosen.sick)
        marks = statistics.quantiles(ages, n=100)
        print(f"{rate:>10,}{len(ages):>10,}{marks[49]:>9.2f}{marks[98]:>9.2f}{max(ages):>9.2f}", flush=True)


if __name__ == "__main__":
    main()
