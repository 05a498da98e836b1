"""A topic that gets partitions while a job reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import NewPartitions

from pipeline.receiver.server import Receiver
from tests.kafka.servers.topics import Topics, until

WEBHOOK = """
id: w
trigger: {events: "*"}
request: {url: "http://127.0.0.1:%d/w", body: {name: "{{ event.name }}"}}
"""
PIPELINE = """
source: {kafka: {brokers: "%s", events: [%s], group: "%s"}}
epoch: 200ms
network: {allow: [127.0.0.0/8]}
"""


def event(name: str) -> bytes:
    return orjson.dumps({"type": "event", "name": name, "user_id": "u"})


@pytest.mark.parametrize("processes", [1, 2])
def test_new_partitions_are_read_from_their_beginning_without_anybodys_restart(
    topics: Topics, tmp_path: Path, processes: int
) -> None:
    events = topics.create("events")
    (tmp_path / "webhooks").mkdir()
    log = tmp_path / "log"
    with Receiver() as receiver, log.open("wb") as talk:
        (tmp_path / "webhooks/w.yaml").write_text(WEBHOOK % receiver.port)
        (tmp_path / "pipeline.yaml").write_text(PIPELINE % (topics.broker.address, events, topics.suffix))

        def received(*names: str) -> None:
            def has() -> bool:
                return sorted(orjson.loads(one.body)["name"] for one in receiver.requests) == sorted(names)

            until(has, f"{names}: {log.read_text()}", 40)

        words = [sys.executable, "-m", "pipeline.cli", "run", "-c", tmp_path, "--processes", processes]
        job = subprocess.Popen([*map(str, words)], stdout=talk, stderr=talk, stdin=subprocess.DEVNULL)
        try:
            topics.send(events, event("before"), partition=0)
            received("before")
            topics.admin.create_partitions([NewPartitions(events, 3)])[events].result(10)
            until(
                lambda: len(topics.admin.list_topics(events).topics[events].partitions) == 3, "they are there"
            )
            Topics(topics.broker).send(events, event("new"), partition=2)
            received("before", "new")
            topics.send(events, event("after"), partition=0)
            received("before", "new", "after")
            assert job.poll() is None
            job.terminate()
            assert job.wait(30) == 0, log.read_text()
        finally:
            job.kill()
            job.wait()
