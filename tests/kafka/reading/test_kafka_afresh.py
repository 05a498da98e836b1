"""A new state directory for a group that has read before asks first: a lost volume repeats nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from pipeline.config.job import load_pipeline
from pipeline.runtime.state.afresh import Again, read_before
from tests.kafka.servers.topics import Topics, until
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
    def told(**changes: str) -> Again | None:
        given = {f"source.kafka.{name}": value for name, value in changes.items()}
        return read_before(load_pipeline(tmp_path / "config", flags=given).require())

    assert told() is None, "the group has read nothing"
    commit(topics, events, 0)
    assert told() is None, "it stands at the beginning"
    commit(topics, events, 3)
    assert told() == Again(f"group-{topics.suffix}", 3, (events,), str(tmp_path / "state"))
    assert told(start="latest") is None
    assert told(start="2026-01-01") is None
    topics.admin.delete_records([TopicPartition(events, 0, 3)])
    until(lambda: told() is None, "retention to remove all that was read")
    topics.send(events, b"{}")
    commit(topics, events, 4)
    assert told() is not None
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hookline.json").write_text("{}")
    assert told() is None, "the state is not new"
