"""A live job beside a table: what was committed before an event is in the event's webhook."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from pipeline.receiver.server import Receiver
from tests.cdc import story
from tests.cdc.chain import chain
from tests.kafka.servers.topics import until

TURNS = 90
USERS = 6
PARTITIONS = 3

# As it comes: one partition, and keys such as {"id":7}.
USUAL = story.PLAIN | {"value.converter.schemas.enable": "true"}

# The recipe of docs/databases.md: keys are the bare id, so that a user's events and row have one partition.
BARE = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "true",
    "transforms": "key",
    "transforms.key.type": "org.apache.kafka.connect.transforms.ExtractField$Key",
    "transforms.key.field": "id",
    "transforms.key.predicate": "users",
    "predicates": "users",
    "predicates.users.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
    "predicates.users.pattern": ".*[.]public[.]users",
    "heartbeat.interval.ms": "1000",
    "topic.creation.default.partitions": str(PARTITIONS),
    "topic.creation.default.replication.factor": "1",
}

WEBHOOK = """
id: purchase
trigger: {events: [Purchase]}
request:
  url: http://127.0.0.1:%d/hook
  body:
    number: "{{ event.properties.number }}"
    turn: "{{ user.properties.turn }}"
    credit: "{{ user.properties.credit }}"
    password: "{{ user.properties.password_hash | default: 'unknown' }}"
"""

PIPELINE = """
source:
  kafka:
    brokers: "%s"
    events: [events]
    topics: {shop.public.users: {format: debezium, exclude: [password_hash]}}
state: %s
epoch: 200ms
join: %s
network: {allow: [127.0.0.0/8]}
"""


@pytest.mark.parametrize(
    ("connector", "join"),
    [(USUAL, "{}"), (BARE, "{partitions: apart}"), (BARE | {"poll.interval.ms": "20"}, "{settle: 300ms}")],
    ids=["usual", "bare", "often"],
)
def test_an_update_that_is_committed_before_an_event_is_in_its_webhook(
    tmp_path: Path, connector: dict[str, str], join: str
) -> None:
    table = "CREATE TABLE users (id int PRIMARY KEY, turn int, credit numeric(9,2), password_hash text)"
    rows = [f"INSERT INTO users VALUES ({one}, -1, 0.25, 'secret')" for one in range(USERS)]
    config, log = tmp_path / "config", tmp_path / "log"
    (config / "webhooks").mkdir(parents=True)
    with chain(tmp_path, {"shop": connector}, table, *rows) as one, Receiver() as receiver:
        topic = "shop.public.users"
        one.written.until(lambda: len(one.written.messages) >= USERS, "the snapshot", topic)
        one.written.create("events", PARTITIONS)
        (config / "webhooks" / "purchase.yaml").write_text(WEBHOOK % receiver.port)
        (config / "pipeline.yaml").write_text(PIPELINE % (one.broker.address, tmp_path / "state", join))
        # As Java's producers choose partitions, Connect's among them.
        producer = Producer(
            {"bootstrap.servers": one.broker.address, "partitioner": "murmur2_random", "linger.ms": 0}
        )
        with log.open("wb") as stderr:
            command = [sys.executable, "-m", "pipeline.cli", "run", "-c", str(config)]
            job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            for turn in range(TURNS):
                user = turn % USERS
                one.postgres.sql(f"UPDATE users SET turn = {turn}, credit = {turn}.5 WHERE id = {user}")
                event = {"type": "event", "name": "Purchase", "user_id": user, "properties": {"number": turn}}
                producer.produce("events", orjson.dumps(event), b"%d" % user)
                producer.poll(0)
                if turn % 10 == 9:
                    time.sleep(0.5)
            assert producer.flush(30) == 0
            until(lambda: len(receiver.requests) >= TURNS, f"{TURNS} requests", 60)
        finally:
            job.terminate()
            job.wait(30)
        bodies = [orjson.loads(request.body) for request in receiver.requests]
    said = log.read_text()[-3000:]
    assert {body["number"] for body in bodies} == {*range(TURNS)}, said
    seen = [body for body in bodies if body["turn"] != body["number"]]
    assert not seen, f"{len(seen)} of {TURNS} saw another row: {seen[:5]}\n{said}"
    assert {(body["credit"] - body["turn"], body["password"]) for body in bodies} == {(0.5, "unknown")}
