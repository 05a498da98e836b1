"""Recordings into topics and topics into recordings."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from pipeline.model.errors import Fatal
from pipeline.recording.produce import produce
from pipeline.recording.record import record
from pipeline.recording.topic_writer import TopicWriter
from pipeline.sources.files.recording import Recording
from tests.kafka.servers.broker import free_port
from tests.kafka.servers.topics import Topics


def shop(path: Path, users: int = 20, rounds: int = 10) -> list[bytes]:
    """Write a stream whose order matters: each user's plan changes right before and right after an event."""
    lines = []
    for turn in range(rounds):
        for user in range(users):
            lines += [
                {"type": "user", "user_id": f"u{user}", "set": {"turn": turn}},
                {"type": "event", "user_id": f"u{user}", "name": "Purchase", "properties": {"turn": turn}},
                {"type": "user", "user_id": f"u{user}", "set": {"turn": -1}},
            ]
    raw = [orjson.dumps(line) for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in raw))
    return raw


def per_user(lines: list[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for line in lines:
        found.setdefault(orjson.loads(line)["user_id"], []).append(line)
    return found


def read(path: Path) -> tuple[list[bytes], list[tuple[str, int]]]:
    reader = Recording([str(path)])
    lines: list[bytes] = []
    origins: list[tuple[str, int]] = []
    while not reader.done:
        chunk = reader.read(200)
        if chunk is not None:
            lines += [line or b"" for line in chunk.lines]
            origins += zip(chunk.sources, chunk.offsets, strict=True)
    reader.close()
    return lines, origins


@pytest.mark.parametrize("times", ["now", "keep"])
def test_a_recording_loaded_into_topics_and_recorded_again_is_the_same_per_user(
    topics: Topics, tmp_path: Path, times: str
) -> None:
    raw = shop(tmp_path / "shop.jsonl")
    events, users = f"events-{topics.suffix}", f"users-{topics.suffix}"
    done = produce(
        Recording([str(tmp_path / "shop.jsonl")]),
        topics.broker.address,
        events=events,
        users=users,
        partitions=3,
        times="now" if times == "now" else "keep",
    )
    assert done.messages == {events: 200, users: 400}
    assert sorted(done.created) == sorted([events, users])
    source = topics.source(events=(events,), users=(users,), stop="end")
    assert source.list_partitions() == ["kafka-0", "kafka-1", "kafka-2"]
    written = record(source, tmp_path / "out")
    assert written.records == 600
    lines, origins = read(tmp_path / "out")
    assert per_user(lines) == per_user(raw), "updates and events of a user in their order, from two topics"
    assert len(set(origins)) == 600
    assert {origin.split("-")[0] for origin, _ in origins} == {"events", "users"}


def test_topics_of_other_numbers_of_partitions_are_told_before_anything_is_loaded(
    topics: Topics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop(tmp_path / "shop.jsonl")
    events, users = topics.create("events", 2), topics.create("users", 3)
    produce(Recording([str(tmp_path / "shop.jsonl")]), topics.broker.address, events=events, users=users)
    (told,) = [one for one in caplog.records if "not co-partitioned" in one.getMessage()]
    assert str({events: 2, users: 3}) in str(vars(told))


def test_recording_goes_on_after_a_stop_with_what_came_in_between(topics: Topics, tmp_path: Path) -> None:
    events, users = topics.create("events"), topics.create("users")
    for turn in range(3):
        topics.send(users, b'{"turn":%d}' % turn, time_ms=10 * turn + 1)
        topics.send(events, b'{"turn":%d}' % turn, time_ms=10 * turn + 2, headers=[("h", b"v")])
        record(topics.source(events=(events,), users=(users,), stop="never"), tmp_path / "out", sync_secs=0,
               stopping=lambda turn=turn: len(read(tmp_path / "out")[0]) >= 2 * turn + 2)  # type: ignore[misc]  # fmt: skip
    lines, origins = read(tmp_path / "out")
    assert lines == [b'{"turn":%d}' % turn for turn in range(3) for _ in range(2)]
    assert origins == [(f"{topic}/0", turn) for turn in range(3) for topic in (users, events)]


def test_a_recording_of_topics_can_be_loaded_into_topics_again(topics: Topics, tmp_path: Path) -> None:
    first = topics.create("first")
    topics.send(first, None, key=b"u1", time_ms=1000)
    topics.send(first, b'{"type":"event","user_id":"u1","name":"A"}', key=b"u1", headers=[("h", b"v")])
    topics.send(first, b"garbage", key=None)
    record(topics.source(events=(first,), stop="end"), tmp_path / "out")
    done = produce(
        Recording([str(tmp_path / "out")]), topics.broker.address, events=f"e-{topics.suffix}", users=None
    )
    assert done.invalid == 1
    again = topics.source(events=(f"e-{topics.suffix}",), stop="end")
    messages = []
    for name in again.list_partitions():
        reader = again.open(name)
        while not reader.done:
            chunk = reader.read(10)
            if chunk is not None:
                headers = chunk.headers or [None] * len(chunk)
                messages += list(
                    zip(chunk.keys or (), chunk.lines, [list(h or ()) for h in headers], strict=True)
                )
        reader.close()
    assert sorted(messages, key=lambda message: message[1] or b"") == [
        (b"u1", None, []),
        (None, b"garbage", []),
        (b"u1", b'{"type":"event","user_id":"u1","name":"A"}', [("h", b"v")]),
    ]


def test_the_topic_decides_how_large_a_record_may_be(topics: Topics) -> None:
    large, small = topics.create("large", config={"max.message.bytes": "3000000"}), topics.create("small")
    writer = TopicWriter(topics.broker.address)
    value = random.Random(1).randbytes(2_000_000)  # which no compression makes smaller
    writer.send(large, value, key=b"u1", time_ms=1, headers=None)
    writer.flush()
    writer.send(small, value, key=b"u1", time_ms=1, headers=None)
    with pytest.raises(Fatal, match=r"`small-.*` took no message of 2,000,000 bytes: .*raise `max"):
        writer.flush()


def test_brokers_that_do_not_answer_are_told(tmp_path: Path) -> None:
    shop(tmp_path / "shop.jsonl", 1, 1)
    with pytest.raises(Fatal, match=r"no Kafka broker at .* answered"):
        TopicWriter(f"127.0.0.1:{free_port()}", connect_secs=0.3).ensure(["events"], 1, {})
