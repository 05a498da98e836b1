"""Batches that were damaged on a broker's disk, and headers that cannot be read, on a real broker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from confluent_kafka import TopicPartition

from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import Registry
from pipeline.sources.topics.ends import LAG_EVERY_MS
from pipeline.telemetry import metrics
from tests.kafka.servers.topics import Tapper, Topics, until


def overwrite(topics: Topics, topic: str, what: bytes, by: bytes, *, after: int = 0) -> Callable[[], None]:
    """Overwrite a part of a topic's log, so many bytes behind the last ``what``; returns what undoes it."""
    if topics.broker.directory is None:
        pytest.skip("a broker that is not ours keeps its log elsewhere")
    path = topics.broker.directory / "data" / f"{topic}-0" / f"{0:020}.log"
    content = path.read_bytes()
    at = content.rindex(what) + after

    def write(part: bytes) -> None:
        with open(path, "r+b") as log:
            log.seek(at)
            log.write(part)

    write(by)
    return partial(write, content[at : at + len(by)])


@pytest.mark.parametrize(
    ("config", "what", "after"),
    [
        pytest.param({"compression.type": "gzip"}, b"\x1f\x8b", 12, id="what the client reports"),
        pytest.param({}, b"damaged", -1, id="a length, which it does not report"),
    ],
)
def test_a_damaged_batch_is_told_and_read_once_it_is_whole_again(
    topics: Topics, tap: Tapper, config: dict[str, str], what: bytes, after: int
) -> None:
    events = topics.create("events", config=config)
    topics.send(events, b"before")
    topics.send(events, b"damaged")
    mend = overwrite(topics, events, what, b"\xff\xff", after=after)
    topics.send(events, b"behind")
    seen = tap(topics.open(events=(events,)))

    def told() -> float:
        seen.turn()
        topics.clock.ahead += LAG_EVERY_MS
        return metrics.read("source_unreadable_records", partition=f"{events}/0")

    until(lambda: told() == 2, "the damaged one and what is behind it")
    assert seen.lines == [b"before"]
    mend()
    assert seen.take(3) == [b"before", b"damaged", b"behind"]
    until(lambda: not told(), "nothing behind it")


def test_a_message_with_a_header_that_has_no_name_in_utf8_is_read_without_its_headers(
    topics: Topics, tap: Tapper
) -> None:
    events = topics.create("events")
    topics.send(events, b"first", headers=[("a", b"1")])
    topics.send(events, b"odd", headers=[("xx", b"2"), ("b", b"3")])
    overwrite(topics, events, b"xx", b"\xff\xfe")
    topics.send(events, b"last", headers=[("c", b"4")])
    seen = tap(topics.open(events=(events,)))
    assert seen.take(3) == [b"first", b"odd", b"last"]
    headers = [list(one or ()) for chunk in seen.chunks for one in chunk.headers or ()]
    assert headers == [[("a", b"1")], [], [("c", b"4")]]
    assert metrics.read("source_headers_unreadable_total", topic=events) == 1


def test_such_a_message_in_a_frame_is_asked_for_its_headers_twice(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    topics.send(events, b"{}", headers=[("xx", b"2")])
    overwrite(topics, events, b"xx", b"\xff\xfe")
    reader = topics.open(events=(events,))
    reader._streams[0].frame = Frame("avro", Registry("http://127.0.0.1:1"))
    assert tap(reader).take(1) == [b"{}"]


@pytest.mark.parametrize("with_users", [False, True])
def test_a_consumer_that_fetches_no_more_is_replaced_and_nothing_is_lost_or_read_twice(
    topics: Topics, tap: Tapper, *, with_users: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if with_users else ()
    reader = topics.open(events=(events,), users=users)
    seen = tap(reader)
    topics.send_many(events, [b"1", b"2"])
    seen.take(2)
    stuck = reader._streams[-1].consumer
    stuck.pause([TopicPartition(events, 0)])
    topics.send_many(events, [b"3", b"4"])

    def renewed() -> bool:
        seen.turn()
        topics.clock.ahead += LAG_EVERY_MS
        return reader._streams[-1].consumer is not stuck

    until(renewed, "another consumer")
    assert seen.take(4) == [b"1", b"2", b"3", b"4"]
    assert seen.reader.position[2][-1][1] == 4
