"""Topics with formats and sides of their own, on a broker: one order, each record by its topic's shape."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipeline.cli.app import run
from pipeline.decode.decode import BY_NAME
from pipeline.decode.formats import Formats
from pipeline.decode.scan import scan
from pipeline.kafka.client import KafkaSettings
from pipeline.model.records import Event, PropertyUpdate
from pipeline.sources.topics.latest import latest, one_message
from tests.kafka.servers.topics import Tapper, Topics
from tests.kit.programs.run import Bench
from tests.kit.streams.shapes import shape

pytestmark = pytest.mark.kafka

PEOPLE = shape("- user: {user_id: message.key.id, set: .}", "people")
SHOP = shape("- event: {name: message.headers.event, user_id: uid, properties: '*'}", "shop")


def test_explain_takes_the_latest_message_of_a_topic_or_one_by_its_place(
    topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = topics.create("shop", 2)
    for number, name in enumerate((b"First", b"Second", b"Third")):
        topics.send(shop, b'{"uid":7}', time_ms=10 + number, partition=number % 2, headers=[("event", name)])
    kafka = f"brokers: '{topics.broker.address}', topics: {{{shop}: {{format: shop}}}}"
    bench = Bench(tmp_path, settings=f"source: {{kafka: {{{kafka}}}}}")
    bench.write("a", 'trigger: {events: "*"}\nrequest: {url: "https://x.example/"}\n')
    (bench.config / "shapes").mkdir()
    (bench.config / "shapes" / "shop.yaml").write_text(
        "records: {event: {name: message.headers.event, user_id: uid}}"
    )
    for place, told in ((shop, "Third"), (f"{shop}/1:0", "Second")):
        assert run(["explain", "-c", str(bench.config), "--from-topic", place]) == 0
        assert f"a: fires on {told}" in capsys.readouterr().out
    for place, code, told in (
        (f"{shop}/1:7", 2, "there is no message at"),
        (f"{shop}/5:0", 2, "there is no message at"),
        (f"{shop}/0:-1", 1, "is no name of a topic"),
    ):
        assert run(["explain", "-c", str(bench.config), "--from-topic", place]) == code
        assert told in capsys.readouterr().err


def test_a_message_without_a_value_deletes_nobody_in_a_topic_of_events(
    topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, users = topics.create("events"), topics.create("users")
    for topic in (events, users):
        topics.send(topic, None, key=b"u1")
    kafka = f"brokers: '{topics.broker.address}', events: [{events}], users: [{users}]"
    bench = Bench(tmp_path, settings=f"source: {{kafka: {{{kafka}}}}}")
    bench.write("a", 'trigger: {events: "*"}\nrequest: {url: "https://x.example/"}\n')
    for topic, told in ((events, "a record without a value in a topic of events"), (users, "deletes a user")):
        assert run(["explain", "-c", str(bench.config), "--from-topic", topic]) == 1
        assert told in capsys.readouterr().err


def test_sniff_looks_at_the_latest_messages_of_topics(
    topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, native, empty = topics.create("shop", 2), topics.create("native"), topics.create("empty")
    for number in range(6):
        headers = [("event", b"Opened" if number % 2 else b"Shut")]
        at = {"time_ms": 10**12, "partition": number % 2}
        topics.send(shop, b'{"door":3}', key=b"u%d" % number, headers=headers, **at)
    topics.send(native, b'{"type":"event","name":"Second","user_id":"7"}', time_ms=10**12)
    named = [word for topic in (shop, native, empty) for word in ("--topic", topic)]
    address = topics.broker.address
    assert run(["sniff", "--brokers", address, *named, "-c", str(tmp_path), "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert found["formats"] == {shop: shop, native: "native"}
    assert [(one["records"], one["whole"]) for one in found["sources"]] == [(6, True), (1, True), (0, True)]
    (made,) = found["proposals"]
    assert (made["records"], made["understood"]) == (6, 6)
    assert "name: message.headers.event" in made["yaml"]
    assert "user_id: message.key" in made["yaml"]
    # Without a time of their own they have the broker's.
    assert made["first"][0]["records"][0]["time"] == 10**12
    assert run(["sniff", "--brokers", address, "--topic", "nothing-here"]) == 1
    assert "nothing-here" in capsys.readouterr().err


def test_what_stands_before_a_long_transaction_that_was_aborted_is_found(topics: Topics) -> None:
    events = topics.create("events")
    topics.send(events, b"kept")
    with topics.transaction(commit=False) as producer:
        for _ in range(200):
            producer.produce(events, b"aborted", b"u1", 0)
    settings = KafkaSettings(topics.broker.address)
    found = one_message(settings, events)
    assert found is not None
    assert latest(settings, events, 10, 1 << 20) == ([found], True)
    assert found.value == b"kept"


def test_topics_of_three_sides_leave_in_one_order_and_each_is_read_by_its_shape(
    topics: Topics, tap: Tapper
) -> None:
    people, mixed, shop = topics.create("people"), topics.create("mixed"), topics.create("shop")
    idle = topics.create("idle")
    topics.send(shop, b'{"uid":7,"n":1}', time_ms=10, headers=[("event", b"First")])
    topics.send(people, b'{"plan":"pro"}', key=b'{"id":7}', time_ms=10)
    topics.send(mixed, b'{"type":"event","name":"Second","user_id":"7"}', time_ms=20)
    topics.send(mixed, b'{"type":"user","user_id":"7","set":{"a":1}}', time_ms=20)
    topics.send(people, None, key=b'{"id":7}', time_ms=30)
    topics.send(shop, b'{"uid":7}', time_ms=30, headers=[("event", b"Third")])
    topics.send(shop, None, key=b"u", time_ms=31)
    # `idle` has brought nothing and holds nobody up: events never wait for other events.
    reader = topics.open(users=(people,), both=(mixed,), events=(shop, idle), stop="end")
    formats = Formats(BY_NAME["auto"], {people: PEOPLE, shop: SHOP})
    reader.under(formats)
    seen = tap(reader)
    seen.finish()
    found = [
        one for chunk in seen.chunks for one in scan(chunk, format=formats, wants=lambda *_: True).records
    ]
    told = [
        one.name if isinstance(one, Event) else (one.user_id, one.set, one.delete)
        for one in found
        if isinstance(one, Event | PropertyUpdate)
    ]
    assert told == [
        ("7", {"plan": "pro"}, False), "First", "Second", ("7", {"a": 1}, False), ("7", {}, True), "Third",
    ]  # fmt: skip
    assert "without a value in a topic of events" in found[-1].reason  # type: ignore[union-attr]  # the last one
