"""Cost of one POST: CPU of the delivery engine and of its client alone, against a local receiver.

    .venv/bin/python -m tests.bench.alone.bench_deliver [--requests 200000] [--runs 5] [--secrets]

The receiver runs in a process of its own, so only the sender's CPU is counted. "engine" is everything from
`submit` to `Port.post` with signature, slots, journal-less ports and one lane; "client" sends prepared
requests through the native client from its own loop, signature included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import uvloop

from pipeline.config.models.webhooks.receiver import ReceiverSettings, StandardSignature
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.guard import parse_allow
from pipeline.deliver.http.native_client import NativeClient
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.deliver.requests.sender import Sender
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.secrets import Secrets
from pipeline.outbox.handover import Delivery, Port, Progress, Request
from pipeline.receiver.server import serve
from tests.kit.streams.records import NoJournal

BODY = b'{"event":"Purchase","user":"u-123456","plan":"pro","amount":149.95,"currency":"EUR","items":3}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = ("127.0.0.0/8",)
SIGNED = ReceiverSettings(signature=StandardSignature([SECRET]))


def nowhere() -> Port:
    """Return a port of a shard without rows."""
    return Port(0, NoJournal(), lambda webhook_id, cursor, limit: ([], None))


def _serve(pipe: Connection) -> None:
    serve(port=0, listening=pipe.send)


@contextlib.contextmanager
def receiver() -> Iterator[int]:
    """Run the receiver in a process; yield its port."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def deliveries(meeting: Port, port: int, number: int, secrets: bool) -> list[Delivery]:
    """Return deliveries with distinct ids; with secrets their URL and body hold one slot each."""
    now = int(time.time() * 1000)
    url = f"http://127.0.0.1:{port}/hook"
    body = BODY
    if secrets:
        url += "?key=\x01BENCH_KEY\x02"
        body = BODY[:-1] + b',"key":"\x01BENCH_KEY\x02"}'
    return [delivery(meeting, n, url, body, now) for n in range(number)]


def delivery(port: Port, n: int, url: str, body: bytes, created_ms: int) -> Delivery:
    """Return one delivery of the webhook `w`."""
    request = Request(
        key=b"w\0%d" % n,
        webhook_id="w",
        message_id=f"msg_{n:032x}",
        config="c",
        method="POST",
        url=url,
        body=body,
        created_ms=created_ms,
    )
    return Delivery(port=port, request=request, progress=Progress(), row=request.key)


def run_engine(port: int, number: int, secrets: bool) -> tuple[float, float]:
    """Return CPU seconds and elapsed seconds of delivering."""
    engine = DeliveryEngine(allow=LOOPBACK, secrets=Secrets({"BENCH_KEY": "s3cr3t-key-of-the-bench"}))
    engine.start()
    engine.orders.configure({"w": LaneSpec("w", receiver=SIGNED)})
    meeting = nowhere()
    made = deliveries(meeting, port, number, secrets)
    cpu, start = time.process_time(), time.perf_counter()
    for place in range(0, number, 200):
        while engine.busy():
            time.sleep(0.001)
        engine.submit(made[place : place + 200])
    if not engine.drain(60):
        raise SystemExit(f"not everything was delivered: {engine.stats()}")
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
    engine.stop()
    if len(meeting.take(1)) != number:
        raise SystemExit("results are missing")
    return cpu, elapsed


async def post_all(made: Iterator[Delivery], number: int, slots: int) -> None:
    """Send so many deliveries through the native client, signed, with ``slots`` under way."""
    done = asyncio.get_running_loop().create_future()
    left = number

    def send_next() -> None:
        delivery = next(made, None)
        if delivery is not None:
            client.send(sender.single(delivery, time.time()))

    def finished(attempt: Attempt) -> None:
        nonlocal left
        left -= 1
        if attempt.status != 200:
            raise SystemExit(f"{attempt.fault} {attempt.detail}")
        send_next()
        if not left:
            done.set_result(None)

    contexts = Contexts()
    client = NativeClient(finished, Resolver(parse_allow(LOOPBACK)), contexts)
    secrets = UsedSecrets(Secrets({"BENCH_KEY": "s3cr3t-key-of-the-bench"}))
    sender = Sender(LaneSpec("w", receiver=SIGNED), secrets, contexts)
    for _ in range(slots):
        send_next()
    await done
    await client.close()


def run_client(port: int, number: int, secrets: bool, slots: int = 64) -> tuple[float, float]:
    """Return CPU seconds and elapsed seconds of the client with its slots and signature."""
    made = deliveries(nowhere(), port, number, secrets)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cpu, start = time.process_time(), time.perf_counter()
        runner.run(post_all(iter(made), number, slots))
        return time.process_time() - cpu, time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--secrets", action="store_true", help="URL and body hold a secret")
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.python_version()}, {args.requests} POSTs")
    with receiver() as port:
        for name, run in (("client", run_client), ("engine", run_engine)):
            rows = [run(port, args.requests, args.secrets) for _ in range(args.runs)]
            cpu = statistics.median(row[0] for row in rows) / args.requests * 1e6
            rate = args.requests / statistics.median(row[1] for row in rows)
            print(f"{name}: {cpu:5.1f} us CPU per POST, {rate:7.0f} POST/s  (median of {args.runs})")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
