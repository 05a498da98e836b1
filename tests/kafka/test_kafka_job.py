"""The whole job with Kafka in front, killed again and again under load."""

from __future__ import annotations

import copy
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from tests.kafka.topics import Topics, until

USERS = 50
PARTITIONS = 3
LANE = 64
"""Requests that may await their response at once, by default: what a kill may send twice."""

WEBHOOK = """
id: purchase
trigger: {events: [Purchase]}
request:
  url: http://127.0.0.1:%d/hook
  body: {turn: "{{ user.properties.turn }}", number: "{{ event.properties.number }}"}
  headers: {x-noise: "{{ user.properties.noise }}"}
"""

PIPELINE = """
source: {kafka: {brokers: "%s", events: [%s], users: [%s], group: "%s"}}
state: %s
epoch: 200ms
network: {allow: [127.0.0.0/8]}
"""


class Receiver(ThreadingHTTPServer):
    """Answers 200 and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, set[bytes]] = {}
        self.noises: dict[str, set[str]] = {}
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.calls[self.headers["webhook-id"]] += 1
            self.server.bodies.setdefault(self.headers["webhook-id"], set()).add(body)
            self.server.noises.setdefault(self.headers["webhook-id"], set()).add(self.headers["x-noise"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


class Load(threading.Thread):
    """Sets a user's turn, waits for the acknowledgement, then lets an event of the user follow.

    Another property of random users is set by a producer whose clock lags: what it writes arrives after
    events of a later time.
    """

    def __init__(self, topics: Topics, users: str, events: str) -> None:
        super().__init__()
        self.topics, self.users, self.events = topics, users, events
        self.sent = 0
        self.chance = random.Random(3)
        self.ending = threading.Event()

    def run(self) -> None:
        producer = self.topics.producer
        while not self.ending.wait(0.001):
            user = self.sent % USERS
            update = {"type": "user", "user_id": f"u{user}", "set": {"turn": self.sent}}
            event = {"type": "event", "user_id": f"u{user}", "name": "Purchase"}
            event["properties"] = {"number": self.sent}
            producer.produce(self.users, orjson.dumps(update), b"u%d" % user, user % PARTITIONS)
            assert producer.flush(30) == 0
            producer.produce(self.events, orjson.dumps(event), b"u%d" % user, user % PARTITIONS)
            self.sent += 1
            user = self.chance.randrange(USERS)
            noise = {"type": "user", "user_id": f"u{user}", "set": {"noise": self.sent}}
            late = time.time_ns() // 1_000_000 - self.chance.randrange(300)
            producer.produce(
                self.users, orjson.dumps(noise), b"u%d" % user, user % PARTITIONS, timestamp=late
            )
        assert producer.flush(30) == 0


def start(log: Path, *words: object) -> subprocess.Popen[bytes]:
    with log.open("ab") as stderr:
        command = [sys.executable, "-m", "pipeline.cli", *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)


def test_a_job_killed_under_load_loses_nothing_and_joins_every_acknowledged_update(
    topics: Topics, tmp_path: Path
) -> None:
    kills, chance = 3, random.Random(7)
    events, users = topics.create("events", PARTITIONS), topics.create("users", PARTITIONS)
    config, log = tmp_path / "config", tmp_path / "log"
    (config / "webhooks").mkdir(parents=True)
    load = Load(topics, users, events)
    with receiving() as receiver:

        def received(goal: int) -> None:
            until(lambda: len(receiver.calls) >= goal, f"{goal} requests:\n{log.read_text()[-2000:]}", 40)

        (config / "webhooks" / "purchase.yaml").write_text(WEBHOOK % receiver.server_address[1])
        group = f"group-{topics.suffix}"
        (config / "pipeline.yaml").write_text(
            PIPELINE % (topics.broker.address, events, users, group, tmp_path / "state")
        )
        job = start(log, "run", "-c", config)
        load.start()
        try:
            for _ in range(kills):
                received(len(receiver.calls) + chance.randint(50, 300))
                job.kill()
                job.wait()
                job = start(log, "run", "-c", config)
            received(len(receiver.calls) + 50)
            load.ending.set()
            load.join()
            received(load.sent)
            job.send_signal(signal.SIGTERM)
            assert job.wait(20) == 0, log.read_text()[-2000:]
            calls, noises = dict(receiver.calls), copy.deepcopy(receiver.noises)
            job = start(log, "replay", "--from-kafka", "-c", config, "--state", tmp_path / "replay")
            assert job.wait(40) == 0, log.read_text()[-2000:]
        finally:
            load.ending.set()
            job.kill()
            job.wait()
            load.join()
    assert len(calls) == load.sent
    assert sum(calls.values()) - load.sent <= kills * LANE
    assert all(len(one) == 1 for one in noises.values()), "an id has one request, whatever came late"
    assert receiver.calls == {id: number + 1 for id, number in calls.items()}, "a replay sends the same ids"
    assert all(len(bodies) == 1 for bodies in receiver.bodies.values())
    wrong = [body for (body,) in receiver.bodies.values() if len(set(orjson.loads(body).values())) != 1]
    assert wrong == [], "each event saw the update acknowledged before it, and none after it"
