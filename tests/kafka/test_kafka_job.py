"""The whole job with Kafka in front, killed again and again under load."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import orjson

from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from tests.kafka.servers.topics import Topics, until
from tests.kit.programs.forge import Child, forge

T = TypeVar("T")
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
            what = {"name": "Purchase", "properties": {"number": self.sent}}
            event = {"type": "event", "user_id": f"u{user}", **what}
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


def values_of(receiver: Receiver, field: Callable[[Request], T]) -> dict[str, set[T]]:
    """Return the different values of a field that came under each id."""
    found: dict[str, set[T]] = {}
    for request in receiver.requests:
        found.setdefault(request.message_id, set()).add(field(request))
    return found


def start(log: Path, *words: object) -> Child:
    return forge().start([*map(str, words)], os.environ, Path(os.devnull), log)


def test_a_job_killed_under_load_loses_nothing_and_joins_every_acknowledged_update(
    topics: Topics, tmp_path: Path
) -> None:
    kills, chance = 3, random.Random(7)
    events, users = topics.create("events", PARTITIONS), topics.create("users", PARTITIONS)
    config, log = tmp_path / "config", tmp_path / "log"
    (config / "webhooks").mkdir(parents=True)
    load = Load(topics, users, events)

    def calls() -> Counter[str]:
        return Counter(request.message_id for request in receiver.requests)

    with Receiver() as receiver:

        def received(goal: int) -> None:
            until(lambda: len(calls()) >= goal, f"{goal} requests:\n{log.read_text()[-2000:]}", 40)

        (config / "webhooks" / "purchase.yaml").write_text(WEBHOOK % receiver.port)
        group = f"group-{topics.suffix}"
        (config / "pipeline.yaml").write_text(
            PIPELINE % (topics.broker.address, events, users, group, tmp_path / "state")
        )
        job = start(log, "run", "-c", config)
        load.start()
        try:
            for _ in range(kills):
                received(len(calls()) + chance.randint(50, 300))
                job.kill()
                job.wait()
                job = start(log, "run", "-c", config)
            received(len(calls()) + 50)
            load.ending.set()
            load.join()
            received(load.sent)
            job.send_signal(signal.SIGTERM)
            assert job.wait(20) == 0, log.read_text()[-2000:]
            live, noises = calls(), values_of(receiver, lambda request: request.headers.get("x-noise"))
            job = start(log, "replay", "--from-kafka", "-c", config, "--state", tmp_path / "replay")
            assert job.wait(40) == 0, log.read_text()[-2000:]
        finally:
            load.ending.set()
            job.kill()
            job.wait()
            load.join()
    assert len(live) == load.sent
    assert live.total() - load.sent <= kills * LANE
    assert all(len(one) == 1 for one in noises.values()), "an id has one request, whatever came late"
    assert calls() == {id: number + 1 for id, number in live.items()}, "a replay sends the same ids"
    bodies = values_of(receiver, lambda request: request.body)
    assert all(len(one) == 1 for one in bodies.values())
    wrong = [body for (body,) in bodies.values() if len(set(orjson.loads(body).values())) != 1]
    assert wrong == [], "each event saw the update acknowledged before it, and none after it"
