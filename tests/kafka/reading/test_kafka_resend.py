"""A new state directory: for a group that has read before it asks first; where topics begin stays so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewPartitions

from pipeline.config.job import load_pipeline
from pipeline.model.errors import StateError
from pipeline.runtime.state.resend import would_resend
from tests.kafka.servers.topics import Tapper, Topics, until
from tests.kit.programs.forge import Program, forge

PIPELINE = """
source: {kafka: {brokers: "%s", events: [%s], group: "group-%s"}}
state: %s/state
"""


def commit(topics: Topics, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": topics.broker.address, "group.id": f"group-{topics.suffix}"})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


@pytest.fixture
def events(topics: Topics, tmp_path: Path) -> str:
    """A topic with three records, and a job without webhooks that reads it."""
    events = topics.create("events")
    topics.send_many(events, [b"{}"] * 3)
    (tmp_path / "config" / "webhooks").mkdir(parents=True)
    (tmp_path / "config" / "pipeline.yaml").write_text(
        PIPELINE % (topics.broker.address, events, topics.suffix, tmp_path)
    )
    return events


def start(tmp_path: Path, *words: str, **env: str) -> Program:
    return forge().open(["run", "-c", str(tmp_path / "config"), *words], os.environ | env)


def test_a_start_without_a_terminal_is_refused_with_the_remedies(
    topics: Topics, events: str, tmp_path: Path
) -> None:
    commit(topics, events, 2)
    job = start(tmp_path)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 2
    assert "2 records" in said
    assert all(remedy in said for remedy in ("--yes", "HOOKLINE_YES=1", "start: latest"))
    assert not (tmp_path / "state").exists(), "nothing was made that looks like a state"


@pytest.mark.parametrize(("words", "env"), [(["--yes"], {}), ([], {"HOOKLINE_YES": "1"})])
def test_with_consent_it_starts(
    topics: Topics, events: str, tmp_path: Path, words: list[str], env: dict[str, str]
) -> None:
    commit(topics, events, 2)
    job = start(tmp_path, *words, **env)
    try:
        until(lambda: (tmp_path / "state" / "hookline.json").exists() or job.poll() is not None, "the start")
        assert job.poll() is None
    finally:
        job.kill()
        job.communicate()


def test_only_a_new_state_that_would_repeat_something_is_asked_about(
    topics: Topics, events: str, tmp_path: Path
) -> None:
    def told(**changes: Any) -> str | None:
        given = {f"source.kafka.{name}": value for name, value in changes.items()}
        return would_resend(load_pipeline(tmp_path / "config", flags=given).require())

    assert told() is None, "the group has read nothing"
    commit(topics, events, 0)
    assert told() is None, "it stands at the beginning"
    commit(topics, events, 3)
    asked = str(told())
    assert asked.startswith(f"{tmp_path / 'state'} is a new state directory")
    assert f"group `group-{topics.suffix}` has committed offsets of {events}: 3 records" in asked
    assert told(start="latest") is None
    assert told(start="2026-01-01") is None
    topics.admin.delete_records([TopicPartition(events, 0, 3)])
    until(lambda: told() is None, "retention to remove all that was read")
    topics.send(events, b"{}")
    commit(topics, events, 4)
    assert told() is not None
    named: dict[str, Any] = {"topics": {events: {"side": "events"}}}
    assert told(events=[], **named) is not None, "a topic with settings of its own is none the less one"
    assert told(events=[], topics={events: {"side": "users"}}) is None, "these are always read again"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hookline.json").write_text("{}")
    assert told() is None, "the state is not new"


@pytest.mark.parametrize("together", [False, True])
def test_the_state_directory_knows_new_partitions_though_no_group_tells(
    topics: Topics, tap: Tapper, tmp_path: Path, together: bool
) -> None:
    events = topics.create("events", 2)
    topics.send(events, b"old")
    given: dict[str, Any] = {"events": (events,), "start": "latest", "together": together, "state": tmp_path}
    first = topics.source(**given)
    before = [tap(first.open(name)).reader.position for name in first.list_partitions()]
    topics.admin.create_partitions([NewPartitions(events, 3)])[events].result(10)
    until(lambda: topics.source(**given).admin.topics()[events].partitions == 3, "it")
    for partition in (0, 2):
        Topics(topics.broker).send(events, b"%d" % partition, partition=partition)
    second = topics.source(**given)
    if together:
        assert tap(second.open("kafka-0", before[0])).take(2) in ([b"0", b"2"], [b"2", b"0"])
    else:
        assert tap(second.open("kafka-0", before[0])).take(1) == [b"0"]
        assert tap(second.open("kafka-2")).take(1) == [b"2"], "although it begins at the latest"


def test_latest_is_where_it_was_at_the_first_start_until_an_epoch_is_durable(
    topics: Topics, tap: Tapper, tmp_path: Path
) -> None:
    events = topics.create("events")
    topics.send(events, b"old")
    given: dict[str, Any] = {"events": (events,), "start": "latest", "state": tmp_path}
    seen = tap(topics.open(**given))
    topics.send(events, b"read")
    assert seen.take(1) == [b"read"]
    seen.reader.close()
    topics.send(events, b"while it was away")
    resend = tap(topics.open(**given))
    assert resend.take(2) == [b"read", b"while it was away"]
    resend.reader.close()
    elsewhere = topics.open(**(given | {"start": 4_102_444_800_000, "state": tmp_path}))
    assert tap(elsewhere).reader.position[2][0][1] == 3, "another start than before holds"
    topics.open(**given).close()
    topics.send(events, b"more")
    assert tap(topics.open(**given)).reader.position[2][0][1] == 3
    topics.admin.delete_records([TopicPartition(events, 0, 4)])
    until(lambda: topics.source(events=(events,)).admin.find(events, 0, "earliest") == 4, "the deletion")
    with pytest.raises(StateError, match="begins at offset 4 now: 1 offsets from 3 on"):
        topics.open(**given)
    (file,) = tmp_path.glob("source/*/began")
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(StateError, match="began: damaged; it says where topics began"):
        topics.open(**given)
