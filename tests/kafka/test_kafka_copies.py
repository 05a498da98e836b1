"""Copies of dead letters to a topic."""

from __future__ import annotations

import signal
from collections.abc import Callable

import orjson
import pytest

from pipeline.config.models.installation.job import DeadLettersKafka, DeadLettersSection
from pipeline.config.models.installation.source import KafkaSource
from pipeline.model.errors import ConfigError, Fatal
from pipeline.model.records import Origin
from pipeline.outbox.codec import DeadLetter, delivery_key
from pipeline.outbox.copies.copies import open_copies
from pipeline.outbox.copies.kafka_copies import KafkaCopies
from pipeline.outbox.handover import Progress, Request
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.telemetry import metrics
from tests.kafka.servers.broker import free_port
from tests.kafka.servers.topics import Tap, Topics

Tapper = Callable[[KafkaReader], Tap]


def letter(offset: int, body: bytes = b"{}", excerpt: str = "") -> DeadLetter:
    request = Request(
        key=delivery_key("crm", Origin("events/0", offset)),
        webhook_id="crm",
        message_id="msg_1",
        config="abc",
        method="POST",
        url="https://crm.test/x",
        body=body,
        user="u1",
        created_ms=1,
    )
    progress = Progress(attempt=1, status=400, excerpt=excerpt)
    return DeadLetter(kind="delivery", reason="status-400", dead_ms=2, request=request, progress=progress)


def test_copies_are_in_the_topic_when_flush_returns(topics: Topics, tap: Tapper) -> None:
    dead = topics.create("dead")
    copies = open_copies(
        DeadLettersSection(kafka=DeadLettersKafka(topic=dead)),
        KafkaSource(brokers=topics.broker.address, events=["events"]),
    )
    assert copies is not None
    for offset in range(300):
        copies.write(letter(offset))
    copies.flush()
    copies.close()
    seen = tap(topics.open(events=(dead,), stop="end"))
    found = [orjson.loads(line or b"") for line in seen.finish()]
    assert [one["origin"]["offset"] for one in found] == list(range(300))
    assert [key for chunk in seen.chunks for key in chunk.keys or ()][:2] == [
        b"crm/events/0:0",
        b"crm/events/0:1",
    ]
    assert metrics.read("dead_letter_copies_total", result="ok") == 300


def test_a_topic_that_is_not_there_is_told_at_the_start_and_not_created(topics: Topics) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        KafkaCopies(topics.broker.address, "dead-nowhere", {})
    assert "dead-nowhere" not in topics.admin.list_topics(timeout=10).topics


def test_brokers_that_do_not_answer_are_told_at_the_start() -> None:
    with pytest.raises(Fatal, match="cannot reach topic `dead` at"):
        KafkaCopies(f"127.0.0.1:{free_port()}", "dead", {}, connect_secs=0.3)


def test_a_letter_too_large_for_the_topic_is_copied_without_its_body(
    topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    dead = topics.create("dead", config={"max.message.bytes": "1500"})
    copies = KafkaCopies(topics.broker.address, dead, {})
    copies.write(letter(1, body=b"x" * 5_000))
    copies.write(letter(2, body=b"x" * 5_000_000))
    copies.write(letter(3))
    copies.write(letter(4, excerpt="x" * 5_000))
    copies.flush()
    copies.close()
    seen = tap(topics.open(events=(dead,), stop="end"))
    found = [orjson.loads(line or b"") for line in seen.finish()]
    bodies = {one["origin"]["offset"]: one["request"]["body"] for one in found}
    assert bodies == {1: None, 2: None, 3: "{}"}
    assert metrics.read("dead_letter_copies_total", result="ok") == 3
    assert metrics.read("dead_letter_copies_total", result="error") == 1
    assert "was not copied" in caplog.text


def test_a_copy_that_is_not_acknowledged_in_time_stops_the_epoch(topics: Topics) -> None:
    if topics.broker.process is None:
        pytest.skip("a broker that is not ours is not stopped")
    copies = KafkaCopies(
        topics.broker.address, topics.create("dead"), {"message.timeout.ms": 300}, flush_secs=5
    )
    topics.broker.process.send_signal(signal.SIGSTOP)
    try:
        copies.write(letter(1))
        with pytest.raises(Fatal, match=r"timed out; nothing is lost"):
            copies.flush()
    finally:
        topics.broker.process.send_signal(signal.SIGCONT)
    copies.close()
    assert metrics.read("dead_letter_copies_total", result="error") == 1
