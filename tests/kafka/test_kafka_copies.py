"""Copies of dead letters to a topic."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from pipeline.config.models.installation.job import DeadLettersKafka, DeadLettersSection
from pipeline.config.models.installation.source import KafkaSource
from pipeline.model.errors import ConfigError, Fatal
from pipeline.model.records import Origin
from pipeline.outbox.codec import DeadLetter, delivery_key
from pipeline.outbox.copies.copies import open_copies
from pipeline.outbox.copies.kafka_copies import KafkaCopies
from pipeline.outbox.copies.place import NotCopied
from pipeline.outbox.handover import Progress, Request
from pipeline.receiver.server import Receiver
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.telemetry import metrics
from tests.kafka.servers.broker import free_port
from tests.kafka.servers.topics import Tap, Topics, until
from tests.kafka.test_kafka_job import start

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


def test_copies_are_in_the_topic_when_copy_returns(topics: Topics, tap: Tapper) -> None:
    dead = topics.create("dead")
    copies = open_copies(
        DeadLettersSection(kafka=DeadLettersKafka(topic=dead)),
        KafkaSource(brokers=topics.broker.address, events=["events"]),
    )
    assert copies is not None
    copies.copy([letter(offset) for offset in range(300)])
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
    with pytest.raises(Fatal, match=r"no Kafka broker at 127\.0\.0\.1:"):
        KafkaCopies(f"127.0.0.1:{free_port()}", "dead", {}, connect_secs=0.3)


def test_a_letter_too_large_for_the_topic_is_copied_without_its_body(
    topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    dead = topics.create("dead", config={"max.message.bytes": "1500"})
    copies = KafkaCopies(topics.broker.address, dead, {})
    large = letter(1, body=b"x" * 5_000), letter(2, body=b"x" * 5_000_000)
    copies.copy([*large, letter(3), letter(4, excerpt="x" * 5_000)])
    copies.close()
    seen = tap(topics.open(events=(dead,), stop="end"))
    found = [orjson.loads(line or b"") for line in seen.finish()]
    bodies = {one["origin"]["offset"]: one["request"]["body"] for one in found}
    assert bodies == {1: None, 2: None, 3: "{}"}
    assert metrics.read("dead_letter_copies_total", result="ok") == 3
    assert metrics.read("dead_letter_copies_total", result="error") == 1
    assert "was not copied" in caplog.text


def test_brokers_that_were_away_get_all_of_it_once_more(topics: Topics, tap: Tapper) -> None:
    if topics.broker.process is None:
        pytest.skip("a broker that is not ours is not stopped")
    dead = topics.create("dead")
    copies = KafkaCopies(topics.broker.address, dead, {}, flush_secs=0.3)
    topics.broker.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(NotCopied, match=dead):
            copies.copy([letter(1), letter(2)])
    finally:
        topics.broker.process.send_signal(signal.SIGCONT)
    copies._flush_secs = 60.0
    until(lambda: took(copies, letter(1), letter(2)), "the broker to take them", 60)
    copies.close()
    assert set(offsets_in(topics, tap, dead)) == {1, 2}


def took(copies: KafkaCopies, *letters: DeadLetter) -> bool:
    try:
        copies.copy(letters)
    except NotCopied:
        return False
    return True


def offsets_in(topics: Topics, tap: Tapper, dead: str) -> list[int]:
    seen = tap(topics.open(events=(dead,), stop="end"))
    return [orjson.loads(line or b"")["origin"]["offset"] for line in seen.finish()]


WEBHOOK = """
id: crm
trigger: {events: "*"}
request: {url: "http://127.0.0.1:%d/hook", body: {number: "{{ event.properties.number }}"}}
"""

PIPELINE = """
source: {jsonl: {paths: [events.jsonl], follow: true}}
epoch: 200ms
shards: 2
network: {allow: [127.0.0.0/8]}
dead_letters: {kafka: {brokers: "%s", topic: "%s", settings: {message.timeout.ms: %d}}}
"""


def test_a_topic_that_is_gone_stops_no_delivery_and_gets_all_copies_once_it_is_back(
    topics: Topics, tap: Tapper, tmp_path: Path
) -> None:
    dead, log, lines = topics.create("dead"), tmp_path / "log", tmp_path / "events.jsonl"
    (tmp_path / "webhooks").mkdir()
    lines.touch()
    sent = 0

    def add(number: int) -> None:
        nonlocal sent
        with lines.open("a") as file:
            for _ in range(number):
                event = {"type": "event", "name": "a", "user_id": f"u{sent}", "properties": {"number": sent}}
                file.write(f"{json.dumps(event)}\nno record {sent}\n")
                sent += 1

    with Receiver() as receiver:
        (tmp_path / "webhooks" / "crm.yaml").write_text(WEBHOOK % receiver.port)
        (tmp_path / "pipeline.yaml").write_text(PIPELINE % (topics.broker.address, dead, 300))

        def received() -> None:
            until(lambda: len(receiver.requests) >= sent, f"{sent} requests:\n{log.read_text()[-2000:]}", 40)

        job = start(log, "run", "-c", tmp_path)
        try:
            add(10)
            received()
            topics.admin.delete_topics([dead])[dead].result(20)
            add(10)
            received()
            until(lambda: "dead letters cannot be copied" in log.read_text(), "it to be told", 40)
            add(10)
            received()
            job.kill()
            job.wait()
            assert topics.create("dead") == dead
            (tmp_path / "pipeline.yaml").write_text(PIPELINE % (topics.broker.address, dead, 60_000))
            job = start(log, "run", "-c", tmp_path)
            wanted = set(range(10, sent))
            until(lambda: wanted <= {*numbers_in(topics, tap, dead)}, f"all:\n{log.read_text()[-2000:]}", 40)
            job.send_signal(signal.SIGTERM)
            assert job.wait(20) == 0, log.read_text()[-2000:]
        finally:
            job.kill()
            job.wait()


def numbers_in(topics: Topics, tap: Tapper, dead: str) -> list[int]:
    seen = tap(topics.open(events=(dead,), stop="end"))
    letters = [orjson.loads(line or b"") for line in seen.finish()]
    return [int(one["request"]["body"].removeprefix("no record ")) for one in letters]
