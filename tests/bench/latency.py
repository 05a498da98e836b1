"""Event to POST: from the moment an event is written until the receiver has its request, and what it costs.

    python -m tests.bench.latency [--rates 1000,5000] [--secs 20] [--sick | --half]
    python -m tests.bench.latency --kafka 127.0.0.1:9092 [--topics one|appended|stamped] [--updates idle|busy]

One process writes events with the time of writing in them, to a file or to a topic; `hookline run` turns each
into a POST with that time in its body; a receiver in a third process notes when it came. Commits (one per
second, synced) are included, and with --kafka the producer and the broker as well.

--sick: a second webhook on the same events has a receiver that never answers. --half: one that fails every
other request. --most: nine of ten. --late: one that answers after ten seconds. --down: always with 500.
--kafka: from one topic with the users' updates in it (one), or from a topic of events that is aligned with
one of updates, by the times of the broker (appended: LogAppendTime) or of the producer (stamped: CreateTime,
as topics are by default; then records wait for `join.settle`, 50 ms). After the first users no update comes
(idle), or one for every fifth event (busy): then an event waits until its updates are read. The producer
sends at once (linger 0) and waits for all replicas: what it and the broker take is in the figures.
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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import orjson
import uvloop

from tests.bench.measure import machine, reap, session_cpu_secs
from tests.bench.programs.watch import until_it_reads
from tests.bench.streams.kafka_topics import Filler, make_topics

WARM_UP_SECS = 5.0
USERS = 1000
UPDATE_EVERY = 5
ARRIVE_SECS = 30.0
"""How long the last events may take to arrive before those that have are all."""
SPAWN = multiprocessing.get_context("spawn")

WEBHOOK = """
id: {id}
trigger: {{events: [{events}]}}
request:
  url: {url}/{id}
  body: {{sent: "{{{{ event.properties.sent }}}}", plan: "{{{{ user.properties.plan }}}}"}}
"""

TOPICS = {
    "one": "one topic",
    "appended": "two of LogAppendTime",
    "stamped": "two of CreateTime (+ 50 ms)",
}
"""The kinds of topics, and what they are called."""
TROUBLES = ("sick", "half", "most", "late", "down")
LATE_SECS = 10.0
ANSWER = b"HTTP/1.1 %b\r\ndate: %b\r\nx-request-id: %016x\r\ncontent-length: 0\r\n\r\n"

Append = Callable[[list[bytes], list[bytes]], None]
"""Writes events and updates that were made just now."""


@dataclass(slots=True, frozen=True)
class Latency:
    """What one run measured."""

    rate: int
    arrived: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    """CPU per event of the job and all that it has started, after the warm-up."""
    rss_bytes: int


class Note(asyncio.Protocol):
    """Answers 200 at once, with a request id and a date, and notes how old each event is.

    Its paths are those of `TROUBLES`: nothing of them is noted.
    """

    ages: ClassVar[list[tuple[float, float]]] = []
    asked: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
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
            trouble = head.split(b" ", 2)[1][1:].decode()
            if trouble == "late":
                asyncio.get_running_loop().call_later(LATE_SECS, self._answer, b"200 OK", now)
            elif trouble not in TROUBLES:
                self.ages.append((now, now - orjson.loads(body)["sent"]))
                self._answer(b"200 OK", now)
            elif trouble != "sick":
                Note.asked += 1
                good = Note.asked % {"half": 2, "most": 10}.get(trouble, Note.asked + 1) == 0
                self._answer(b"200 OK" if good else b"503 no", now)

    def _answer(self, status: bytes, now: float) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER % (status, formatdate(now, usegmt=True).encode(), len(self.ages)))


def receive(pipe: Connection) -> None:
    """Serve; say how many events have come whenever asked to, at last what was noted of each."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Note, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while await asyncio.to_thread(pipe.recv) == "count":
            pipe.send(len(Note.ages))
        pipe.send(Note.ages)

    uvloop.run(main())


def event(number: int, names: int = 0) -> bytes:
    """Return an event of now; names: of so many in turn."""
    return orjson.dumps(
        {
            "type": "event",
            "id": f"e{number}",
            "name": f"Purchase {number % names}" if names else "Purchase",
            "user_id": f"u{number % USERS}",
            "properties": {"sent": time.time(), "amount": number},
        }
    )


def update(number: int, plan: str = "pro") -> bytes:
    """Return an update of a user."""
    return orjson.dumps({"type": "user", "user_id": f"u{number % USERS}", "set": {"plan": plan}})


def changing(number: int) -> bytes:
    """Return an update that gives a user another plan than before."""
    return update(number, f"plan {number}")


def write(
    append: Append,
    rate: int,
    secs: float,
    *,
    updates_per_event: float = 0.0,
    event: Callable[[int], bytes] = event,
    update: Callable[[int], bytes] = changing,
) -> None:
    """Append events, and updates among them, at an even rate, in steps of a millisecond or more."""
    begun, sent, updated, total = time.perf_counter(), 0, 0, int(rate * secs)
    while sent < total:
        due = min(total, (time.perf_counter() - begun) * rate)
        events, updates = [], []
        while sent < due:
            while updated < (sent + 1) * updates_per_event:
                updates.append(update(sent))
                updated += 1
            events.append(event(sent))
            sent += 1
        append(events, updates)
        time.sleep(max(0.0005, sent / rate - (time.perf_counter() - begun)))


def write_file(stream: Path, names: int, rate: int, secs: float) -> None:
    """Append to a file."""
    with stream.open("ab", buffering=0) as out:

        def append(events: list[bytes], updates: list[bytes]) -> None:
            if events:
                out.write(b"".join(line + b"\n" for line in events))

        write(append, rate, secs, event=partial(event, names=names))


def write_topics(brokers: str, topics: tuple[str, str], rate: int, secs: float, busy: bool) -> None:
    """Append to a topic of events, and to one of updates."""
    filler = Filler(brokers, linger_ms=0)

    def append(events: list[bytes], updates: list[bytes]) -> None:
        for line in updates:
            filler.send(topics[1], line)
        for line in events:
            filler.send(topics[0], line)
        filler.poll()

    write(append, rate, secs, updates_per_event=1 / UPDATE_EVERY if busy else 0.0)
    filler.flush()


@contextmanager
def receiving() -> Iterator[tuple[str, Callable[[int], list[tuple[float, float]]]]]:
    """Give the URL of a receiver in another process, and what waits for so many events and returns ages."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=receive, args=(theirs,), daemon=True)
    process.start()

    def end(events: int) -> list[tuple[float, float]]:
        deadline = time.monotonic() + ARRIVE_SECS
        while time.monotonic() < deadline:
            ours.send("count")
            if ours.recv() >= events:
                break
            time.sleep(0.05)
        ours.send("stop")
        ages: list[tuple[float, float]] = ours.recv()
        return ages

    try:
        yield f"http://127.0.0.1:{ours.recv()}", end
    finally:
        process.kill()
        process.join()


def prepare(
    folder: Path, url: str, kafka: str | None, *webhooks: str, crowd: int = 0, topics: str = "one"
) -> tuple[str, Callable[..., None], Any]:
    """Write the webhooks and the first users; return the source's config, what writes, and to where.

    crowd: so many well ones, each on events of its own, in place of one; the others are on all events.
    topics: one of `TOPICS`.
    """
    (folder / "webhooks").mkdir()
    named = [f"Purchase {number}" for number in range(crowd)] or ["Purchase"]
    well = {f"fine-{number}": name for number, name in enumerate(named)} if crowd else {"fine": named[0]}
    for webhook, fired_by in {**well, **dict.fromkeys(webhooks, ", ".join(named))}.items():
        text = WEBHOOK.format(id=webhook, url=url, events=fired_by)
        (folder / "webhooks" / f"{webhook}.yaml").write_text(text)
    users = [update(number) for number in range(USERS)]
    if kafka is None:
        stream = folder / "stream.jsonl"
        stream.write_bytes(b"".join(line + b"\n" for line in users))
        return f"jsonl: {{paths: [{stream}], follow: true}}", write_file, (stream, crowd)
    config = {"message.timestamp.type": "LogAppendTime"} if topics == "appended" else {}
    names = ["events"] if topics == "one" else ["events", "updates"]
    events, *rest = make_topics(kafka, *names, config=config)
    updates = rest[0] if rest else events
    filler = Filler(kafka)
    for line in users:
        filler.send(updates, line)
    filler.flush()
    listed = f"events: [{events}]" + f", users: [{updates}]" * len(rest)
    source = f'kafka: {{brokers: "{kafka}", {listed}, group: "{events}"}}'
    return source, write_topics, (kafka, (events, updates))


def nobody(config: Path, state: Path) -> AbstractContextManager[None]:
    """Do nothing beside a job."""
    return nullcontext()


def measure(
    rate: int,
    secs: float,
    warm_up_secs: float = WARM_UP_SECS,
    *webhooks: str,
    kafka: str | None = None,
    topics: str = "one",
    busy: bool = False,
    beside: Callable[[Path, Path], AbstractContextManager[None]] = nobody,
    python: str = sys.executable,
    crowd: int = 0,
) -> Latency:
    """Run once; what was written during the warm-up does not count.

    webhooks: further ones on the same events, of `TROUBLES`. topics: one of `TOPICS`, for Kafka. beside: what
    goes on meanwhile. crowd: so many well ones in place of one.
    """
    with receiving() as (url, end), tempfile.TemporaryDirectory(prefix="hookline-latency-") as name:
        folder = Path(name)
        source, writes, where = prepare(folder, url, kafka, *webhooks, crowd=crowd, topics=topics)
        (folder / "pipeline.yaml").write_text(
            f"source: {{{source}}}\nstate: {folder / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}\n"
        )
        command = [python, "-m", "pipeline.cli", "run", "-c", str(folder), "--json"]
        with (folder / "job.log").open("wb") as log:
            job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        try:
            with beside(folder, folder / "state"):
                until_it_reads(job, folder / "state", USERS)
                arguments = (*where, rate, secs + warm_up_secs, *([busy] if kafka else []))
                writer = SPAWN.Process(target=writes, args=arguments)
                writer.start()
                writer.join(warm_up_secs)
                spent, since = session_cpu_secs(job.pid), time.monotonic()
                writer.join()
                spent, secs_spent = session_cpu_secs(job.pid) - spent, time.monotonic() - since
                noted = end(int(rate * (secs + warm_up_secs)))
                early = job.poll()
        finally:
            # Its state goes with the folder, and one of its receivers may never answer: nothing to wait for.
            job.kill()
            _, rss, _ = reap(job)
        if early is not None:
            raise RuntimeError(f"the job ended with {early}:\n{(folder / 'job.log').read_text()[-2000:]}")
        begun = min((at - age for at, age in noted), default=0.0)
        ages = [age * 1000 for at, age in noted if at - age > begun + warm_up_secs]
    return result(rate, ages, spent / (rate * secs_spent), rss)


def result(rate: int, ages: list[float], cpu_secs: float, rss_bytes: int) -> Latency:
    """Return what these waits in milliseconds come to; raises RuntimeError where there are none."""
    if len(ages) < 2:
        raise RuntimeError("no event arrived")
    marks = statistics.quantiles(ages, n=100)
    return Latency(rate, len(ages), marks[49], marks[98], max(ages), cpu_secs * 1e6, rss_bytes)


def main() -> None:
    """Print one row per rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="1000,5000")
    parser.add_argument("--secs", type=float, default=20.0)
    for webhook in TROUBLES:
        parser.add_argument(f"--{webhook}", dest="webhooks", action="append_const", const=webhook, default=[])
    parser.add_argument("--kafka", metavar="BROKERS")
    parser.add_argument("--topics", choices=TOPICS, default="one")
    parser.add_argument("--updates", choices=("idle", "busy"), default="idle")
    chosen = parser.parse_args()
    print(machine())
    print(f"{'events/s':>10}{'arrived':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU us/event':>14}")
    for rate in map(int, chosen.rates.split(",")):
        busy = chosen.updates == "busy"
        one = measure(
            rate,
            chosen.secs,
            WARM_UP_SECS,
            *chosen.webhooks,
            kafka=chosen.kafka,
            topics=chosen.topics,
            busy=busy,
        )
        print(
            f"{rate:>10,}{one.arrived:>10,}{one.p50_ms:>9.2f}{one.p99_ms:>9.2f}{one.max_ms:>9.2f}"
            f"{one.cpu_us:>14.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
